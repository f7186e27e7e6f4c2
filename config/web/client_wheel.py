"""The Python client as the server offers it: a page that pip can read, and the wheel. Open to all, as there is nothing secret in it."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from config.errors import NotFound

FOLDER: Path = settings.BASE_DIR / "client" / "dist"


def wheels() -> list[str]:
    """Names of the wheels that `make` built."""
    return sorted(path.name for path in FOLDER.glob("*.whl"))


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """How to install the client; `pip install --find-links` reads this page too."""
    return render(request, "client_index.html", {"wheels": wheels(), "origin": request.build_absolute_uri("/").rstrip("/")})


@require_safe
def wheel(request: HttpRequest, name: str) -> FileResponse:
    """One wheel. Raises NotFound for any name that is not one of them."""
    if name not in wheels():
        raise NotFound(f"There is no {name} here: run `make client` on the server.")
    return FileResponse((FOLDER / name).open("rb"), as_attachment=True, filename=name, content_type="application/octet-stream")
