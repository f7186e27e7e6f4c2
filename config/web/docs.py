"""The API's description of itself: the schema at /api/schema, and Swagger UI at /docs."""

from __future__ import annotations

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.utils.decorators import method_decorator
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer, OpenApiYamlRenderer2
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema names SessionAuthentication."""

    target_class = "accounts.signing_in.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        """The cookie of a signed-in browser."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME, "description": "The session of whoever is signed in on the pages."}


class ApiSchema(SpectacularAPIView):
    """OpenAPI 3 as JSON, or as YAML to who asks for it."""

    http_method_names = ["get", "head"]  # noqa: RUF012  # as Django declares it

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer, OpenApiYamlRenderer2]  # noqa: RUF012  # as DRF declares it


# Swagger UI brings a style element and style attributes of its own; its scripts come from here, and all else is as strict as everywhere.
@method_decorator(csp_update({"style-src": [UNSAFE_INLINE]}), name="dispatch")
class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI: the page, and with `?script` the script that starts it."""

    http_method_names = ["get", "head"]  # noqa: RUF012  # as Django declares it
