"""What every endpoint knows: who asks, what that caller may do, and which scope of a token each operation takes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from rest_framework import serializers
from rest_framework.response import Response

from accounts.access import Caller, caller
from accounts.models import Role
from accounts.scopes import Scopes, operations_of, refuse_undeclared
from config.web.query import Endpoint
from config.web.rest import RecordParser, StrictSerializer
from config.web.words import NAMES_ARE_TOLD, names_told


class SlugWarning(serializers.Serializer[Any]):  # Any: shown, never read
    """What an answer says where a slug is not what the name gives: another has it, or it cannot hold all of the name."""

    field = serializers.CharField(help_text="Where the name was sent.")
    code = serializers.CharField()
    message = serializers.CharField()


class ScopedEndpoint(Endpoint):
    """An endpoint that says of each operation which scope of a token it takes, and is not put under an address without.

    `scopes` has the weakest scopes of each operation, `of_the_team` those that no token of one project may do.
    """

    scopes: ClassVar[Scopes]
    of_the_team: ClassVar[frozenset[str]] = frozenset()

    if not TYPE_CHECKING:  # DRF's two kinds of views each have their own signature

        @classmethod
        def as_view(cls, actions: dict[str, str] | None = None, **options: Any) -> Callable[..., Any]:  # Any: DRF's own signatures
            """The view. Raises ImproperlyConfigured where an operation does not say its scope."""
            refuse_undeclared(cls, set(operations_of(cls, actions)))
            return super().as_view(**({"actions": actions} if actions else {}), **options)

        def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:  # Any: DRF's own signatures
            """Answer; a token that reaches only what it made is told no name that is near the one it asked for."""
            with names_told(is_so=True):
                return super().dispatch(request, *args, **kwargs)

        def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:  # Any: DRF's own signatures
            """Look who asks, and whether names may be told."""
            super().initial(request, *args, **kwargs)
            NAMES_ARE_TOLD.set(not caller(request).logs_alone)


class RecordView(ScopedEndpoint):
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


def unstored(answer: Response) -> Response:
    """The same answer, kept by nobody on its way: it holds a secret."""
    answer["Cache-Control"] = "no-store"
    return answer
