"""Pages of other origins: named ones may call the API with a token, and nobody may with another's cookies."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings

PAGE = "https://team.example.org"
# MIDDLEWARE hangs on the setting, so that a request costs nothing more without it: each case is a process of its own.
ASK = """
import json, sys
import django
django.setup()
from django.conf import settings
from django.test import Client
method, path, origin = sys.argv[1:]
head = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}
answer = Client(headers=head, raise_request_exception=False).generic(method, path)
print(json.dumps({"status": answer.status_code, **{name.lower(): value for name, value in answer.items()}}))
"""


def ask(method: str, path: str, origin: str, **given: str) -> dict[str, str]:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings", "ALLOWED_HOSTS": "testserver"} | given
    done = subprocess.run(
        [sys.executable, "-c", ASK, method, path, origin], cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


LOG = "/api/v1/metrics/log/digits/baseline"


@pytest.mark.parametrize("path", ["/api/v1/auth/token", LOG])
def test_a_named_origin_may_call_the_api_without_cookies(path):
    answer = ask("OPTIONS", path, PAGE, CORS_ALLOWED_ORIGINS=PAGE)
    assert answer["access-control-allow-origin"] == PAGE
    assert {"authorization", "idempotency-key"} <= {name.strip() for name in answer["access-control-allow-headers"].split(",")}
    assert "access-control-allow-credentials" not in answer


def test_the_answer_to_a_point_carries_the_header_too():
    answer = ask("POST", LOG, PAGE, CORS_ALLOWED_ORIGINS=PAGE)
    assert (answer["status"], answer["access-control-allow-origin"]) == (401, PAGE)
    assert "retry-after" in answer["access-control-expose-headers"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "origin", "allowed"),
    [(LOG, "https://elsewhere.example.org", PAGE), ("/sign-in", PAGE, PAGE), (LOG, PAGE, "")],
    ids=["other origin", "page", "none named"],
)
def test_all_else_is_closed(path, origin, allowed):
    assert "access-control-allow-origin" not in ask("OPTIONS", path, origin, CORS_ALLOWED_ORIGINS=allowed)


@pytest.mark.slow
def test_all_origins_may_be_let_in_outside_production():
    assert ask("OPTIONS", LOG, PAGE, CORS_ALLOWED_ORIGINS="*")["access-control-allow-origin"] == "*"
