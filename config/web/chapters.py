"""The API in chapters: each operation stands under the resource that its address names."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

# The first that fits: where an address begins under another resource's than its own.
CHAPTER_OF = {
    "/teams/{team}/channels": "Alerts",
    "/projects/{project}/attribution": "Hypotheses",
    "/metrics/dead-letters": "Operators",
    "/metrics/restore": "Operators",
    "/auth": "Access",
    "/account": "Access",
    "/people": "Operators",
    "/invitations": "Teams",
    "/audit": "Teams",
    "/tokens": "Access",
    **{f"/{chapter['name'].lower()}": chapter["name"] for chapter in settings.SPECTACULAR_SETTINGS["TAGS"]},
}


class FaultRow(serializers.Serializer[Any]):  # Any: shown, never read
    """One thing that is wrong with what was sent or asked."""

    index = serializers.IntegerField(allow_null=True, help_text="Of the point, null for the whole body.")
    field = serializers.CharField(help_text="Its name, or a dotted path.")
    code = serializers.CharField()
    message = serializers.CharField()
    position = serializers.IntegerField(required=False, help_text="Where in a text it is wrong, in characters from 0.")
    length = serializers.IntegerField(required=False)
    suggestion = serializers.CharField(required=False, help_text="What may stand there instead.")
    metric = serializers.CharField(required=False, help_text="The metric whose points cannot be taken.")


class Refusal(serializers.Serializer[Any]):  # Any: shown, never read
    """What went wrong, and what to do."""

    code = serializers.CharField(help_text="A stable word for scripts.")
    message = serializers.CharField()
    errors = FaultRow(many=True, required=False)  # type: ignore[assignment]  # as above


class Error(serializers.Serializer[Any]):  # Any: shown, never read
    """The one shape of every error."""

    error = Refusal()
    request_id = serializers.CharField(help_text="Stands in the server's log, too.")


# What every operation may answer beside what it says itself.
REFUSALS = {
    "400": "It cannot be read: malformed, or in a shape that nothing has",
    "401": "No token or session that holds",
    "403": "The role in the team does not allow it",
    "404": "Not there, or not yours",
    "409": "The state of what is there forbids it, or a name means several",
    "422": "Not valid; `errors` says what",
    "429": "Too much in too short a time; Retry-After",
    "503": "Not just now; Retry-After",
}
OF_BODIES = {"413": "Too large", "415": "A Content-Type or Content-Encoding that is not understood"}


class Chaptered(AutoSchema):
    """Operations in chapters, by the resource that their address names; each says which scope of a token it takes, and the errors that every one may answer."""

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular has it
        """What the operation says of itself, and the weakest scopes that it takes where it takes a token."""
        said, takes = str(super().get_description() or ""), getattr(self.view, "scopes", {}).get(getattr(self.view, "action", None) or self.method.lower())
        return f"{said}\n\nTakes a token of the scope {' or '.join(f'`{scope.value}`' for scope in takes)}." if takes else said

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:  # Any: parts of a schema
        """What an operation says of its answers, and what all may answer."""
        found: dict[str, Any] = super()._get_response_bodies(direction)
        more = REFUSALS | (OF_BODIES if self.method in ("POST", "PUT", "PATCH") else {})
        for code in more.keys() - found.keys():
            found[code] = self._get_response_for_code(OpenApiResponse(Error, more[code]), code)  # type: ignore[no-untyped-call]  # comes without types
        return dict(sorted(found.items()))

    def get_tags(self) -> list[str]:
        """The one chapter that an operation stands in."""
        below = self.path.removeprefix("/api/v1")
        return [next(chapter for begins, chapter in CHAPTER_OF.items() if below.startswith(begins))]

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:  # Any: a serializer or its class, parts of a schema
        """As the serializer says it, but for what an answer may lack by its `may_lack`: drf-spectacular takes whatever is read only for always there."""
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]  # as above
        if lacking := getattr(serializer, "may_lack", ()):
            schema["required"] = [name for name in schema.get("required", ()) if name not in lacking]
        return {name: part for name, part in schema.items() if name != "required" or part}
