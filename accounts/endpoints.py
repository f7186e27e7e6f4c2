"""What every endpoint of the record knows: who asks, and what that caller may do."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers

from accounts.access import Caller, caller
from accounts.models import Role
from config.web.query import Endpoint
from config.web.rest import RecordParser, StrictSerializer


class SlugWarning(serializers.Serializer[Any]):  # Any: shown, never read
    """What an answer says where a slug is not what the name gives: another has it, or it cannot hold all of the name."""

    field = serializers.CharField(help_text="Where the name was sent.")
    code = serializers.CharField()
    message = serializers.CharField()


class RecordView(Endpoint):
    """An endpoint of the record: its caller, and that caller's rights."""

    parser_classes = (RecordParser,)

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return caller(self.request)

    @property
    def is_schema(self) -> bool:
        """Whether nobody asks: the OpenAPI generator only looks at the view."""
        return getattr(self, "swagger_fake_view", False)

    def require(self, role: Role, team_id: uuid.UUID) -> None:
        """Raise NotFound or Forbidden where the caller lacks the role in the team."""
        self.caller.require(role, team_id)

    def asked(self, serializer: type[StrictSerializer], **options: Any) -> dict[str, Any]:  # Any: validated values of any type
        """The request's body, valid by `serializer`. Raises ValidationError."""
        body = serializer(data=self.request.data, **options)
        body.is_valid(raise_exception=True)
        values: dict[str, Any] = body.validated_data
        return values
