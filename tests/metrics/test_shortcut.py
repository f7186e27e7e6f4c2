"""Behind a server, points take the short way; what it answers is what Django answers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from accounts.models import User
from experiments.models import Experiment
from metrics import process
from metrics.ingest.shortcut import PointsFirst
from projects.models import Project

pytestmark = pytest.mark.differs_on_servers("the short way asks the database and the shared cache without Django's views")
POINT = {"metric_name": "loss", "metric_value": 0.5}
BATCH = {"metrics": [POINT, POINT]}
LOG, LOG_BATCH = "/api/v1/metrics/log/digits/baseline", "/api/v1/metrics/log-batch/digits/baseline"


def django(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("299 Left to Django", [])
    return [b""]


def short(path: str, body: bytes, *, query: str = "", stream: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of a POST by the short way."""
    told: list[Any] = []
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": path.encode().decode("latin-1"), "QUERY_STRING": query, "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": stream or io.BytesIO(body), **headers,
    }  # fmt: skip
    content = b"".join(PointsFirst(django)(environ, lambda status, found: told.extend([status, dict(found)])))
    return int(told[0].split()[0]), told[1], content


CASES = {
    "a point": (LOG, POINT, "", {}),
    "a batch": (LOG_BATCH, BATCH, "", {}),
    "a batch that is waited for": (LOG_BATCH, BATCH, "wait=visible", {}),
    "a word that is no wait": (LOG_BATCH, BATCH, "wait=forever", {}),
    "an invalid point": (LOG_BATCH, {"metrics": [POINT, {"metric_name": "", "metric_value": True}]}, "", {}),
    "no token": (LOG, POINT, "", {"HTTP_AUTHORIZATION": ""}),
    "an unknown token": (LOG, POINT, "", {"HTTP_AUTHORIZATION": "Bearer rp_unknown"}),
    "an experiment that is not there": ("/api/v1/metrics/log/digits/gone", POINT, "", {}),
    "an unknown encoding": (LOG, POINT, "", {"HTTP_CONTENT_ENCODING": "br"}),
    "broken compression": (LOG, POINT, "", {"HTTP_CONTENT_ENCODING": "gzip"}),
    "no JSON": (LOG_BATCH, "{", "", {}),
    "an empty body": (LOG_BATCH, "", "", {}),
    "a chunked body": (LOG_BATCH, BATCH, "", {"HTTP_TRANSFER_ENCODING": "chunked"}),
    "a name in Chinese": ("/api/v1/metrics/log/digits/学习率", POINT, "", {}),
}


@pytest.mark.parametrize("case", list(CASES))
def test_both_ways_answer_alike(case: str, project: Project, experiment: Experiment, erin: User, token_for: Any, store: process.Process) -> None:
    path, content, query, headers = CASES[case]
    Experiment.objects.create(project=project, name="学习率")
    body = (content if isinstance(content, str) else json.dumps(content)).encode()
    sent = {"HTTP_AUTHORIZATION": f"Bearer {token_for(erin)}", "HTTP_X_REQUEST_ID": "one", **headers}
    quick = short(path, body, query=query, **sent)
    slow = Client().generic("POST", f"{quote(path)}?{query}", body, content_type="application/json", **sent)
    assert quick[0] == slow.status_code, (quick, slow.content)
    assert without_batch(quick[2]) == without_batch(slow.content)
    for name in ("Content-Type", "WWW-Authenticate", "Retry-After", "X-Request-ID"):
        assert quick[1].get(name) == slow.get(name), name


def without_batch(content: bytes) -> dict[str, Any]:
    """The JSON but for what is new each time."""
    found: dict[str, Any] = json.loads(content)
    return found | {"batch_id": None}


def test_the_short_way_has_no_session_and_no_csp(project: Project, experiment: Experiment, erin: User, token_for: Any, store: process.Process) -> None:
    _, headers, _ = short(LOG, json.dumps(POINT).encode(), HTTP_AUTHORIZATION=f"Bearer {token_for(erin)}")
    assert set(headers) == {"Content-Type", "Content-Length", "X-Request-ID"}


def test_a_repeat_says_that_it_is_one(project: Project, experiment: Experiment, erin: User, token_for: Any, store: process.Process) -> None:
    sent = {"HTTP_AUTHORIZATION": f"Bearer {token_for(erin)}", "HTTP_IDEMPOTENCY_KEY": "again"}
    first, second = (short(LOG, json.dumps(POINT).encode(), **sent) for _ in range(2))
    assert first[2] == second[2]
    assert "Idempotent-Replayed" not in first[1]
    assert second[1]["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("case", ["another method", "another path", "a browser from elsewhere"])
def test_everything_else_is_left_to_django(case: str) -> None:
    path = "/api/v1/metrics/names/digits" if case == "another path" else LOG
    headers = {"another method": {"REQUEST_METHOD": "PUT"}, "a browser from elsewhere": {"HTTP_ORIGIN": "https://elsewhere.example"}}.get(case, {})
    assert short(path, b"{}", **headers)[0] == 299


def test_a_body_that_breaks_off_is_refused(project: Project, experiment: Experiment, erin: User, token_for: Any) -> None:
    status, _, content = short(LOG, b"{}" * 10, stream=io.BytesIO(b"{"), HTTP_AUTHORIZATION=f"Bearer {token_for(erin)}")
    assert status == 400
    assert "broke off" in json.loads(content)["error"]["message"]


class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise ZeroDivisionError


def test_what_nobody_expected_is_a_500_that_names_itself(project: Project, experiment: Experiment, erin: User, token_for: Any) -> None:
    status, headers, content = short(LOG, b"{}", stream=Broken(), HTTP_AUTHORIZATION=f"Bearer {token_for(erin)}")
    assert status == 500
    assert json.loads(content)["request_id"] == headers["X-Request-ID"]
