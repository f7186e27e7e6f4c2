"""The API's description of itself: the schema at /api/schema, and Swagger UI at /docs."""

from __future__ import annotations

import hashlib
import threading
from typing import ClassVar

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer, OpenApiYamlRenderer2
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from config.web.bodies.in_flight import Slots


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema names SessionAuthentication."""

    target_class = "accounts.signing_in.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """The cookie of a signed-in browser."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME, "description": "The session of whoever is signed in on the pages."}


class Kept:
    """The schema as text, by format: making one takes a processor for half a second, and anybody may ask. So each is made once in the life of a process."""

    def __init__(self) -> None:
        self.texts: dict[str, tuple[bytes, str]] = {}
        self.making, self.waiting = threading.Lock(), Slots(max(1, settings.SERVER_THREADS // 4))

    def text(self, renderer: BaseRenderer, generator: type[SchemaGenerator]) -> tuple[bytes, str]:
        """(text, ETag). One thread makes it, some wait for that, and the others come again: raises Unavailable."""
        if renderer.format not in self.texts:
            with self.waiting.one(), self.making:
                if renderer.format not in self.texts:
                    self.texts[renderer.format] = made(renderer, generator)
        return self.texts[renderer.format]


def made(renderer: BaseRenderer, generator: type[SchemaGenerator]) -> tuple[bytes, str]:
    """The whole schema, whoever asks, and its ETag."""
    schema = generator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    text = bytes(renderer.render(schema, renderer_context={}))  # type: ignore[arg-type]  # none of these renders a str
    return text, f'W/"{hashlib.blake2b(text, digest_size=16).hexdigest()}"'


class ApiSchema(SpectacularAPIView):
    """OpenAPI 3 as JSON, or as YAML to who asks for it."""

    http_method_names = ["get", "head"]  # noqa: RUF012  # as Django declares it
    kept: ClassVar[Kept] = Kept()

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer, OpenApiYamlRenderer2]  # noqa: RUF012  # as DRF declares it

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """The same bytes to everybody who asks for the same format."""
        renderer = request.accepted_renderer
        text, tag = self.kept.text(renderer, self.generator_class)
        named = f'inline; filename="{settings.APP_NAME} API.{renderer.format}"'
        return HttpResponse(text, content_type=renderer.media_type, headers={"Content-Disposition": named, "ETag": tag})


# Swagger UI brings a style element and style attributes of its own; its scripts come from here, and all else is as strict as everywhere.
@method_decorator(csp_update({"style-src": [UNSAFE_INLINE]}), name="dispatch")
class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI: the page, and with `?script` the script that starts it."""

    http_method_names = ["get", "head"]  # noqa: RUF012  # as Django declares it
