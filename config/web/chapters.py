"""The API in chapters: each operation stands under the resource that its address names."""

from __future__ import annotations

from django.conf import settings
from drf_spectacular.openapi import AutoSchema

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


class Chaptered(AutoSchema):
    """Operations in chapters, by the resource that their address names; each says which scope of a token it takes."""

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular has it
        """What the operation says of itself, and the weakest scopes that it takes where it takes a token."""
        said, takes = str(super().get_description() or ""), getattr(self.view, "scopes", {}).get(getattr(self.view, "action", None) or self.method.lower())
        return f"{said}\n\nTakes a token of the scope {' or '.join(f'`{scope.value}`' for scope in takes)}." if takes else said

    def get_tags(self) -> list[str]:
        """The one chapter that an operation stands in."""
        below = self.path.removeprefix("/api/v1")
        return [next(chapter for begins, chapter in CHAPTER_OF.items() if below.startswith(begins))]
