"""Names in addresses, as they travel: both servers read escaped names alike."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.faults.served import Served

NAMES = ["train/loss", "train%2Floss", "%25", "100%", ".", "..", "🚀", "()", "$", "a//b", "a?b#c"]


@pytest.fixture(params=["serve", pytest.param("gunicorn", marks=pytest.mark.differs_on_servers("gunicorn reads paths in its own way"))])
def server(request: pytest.FixtureRequest) -> Served:
    """The product under each of its two servers."""
    made: Served = request.getfixturevalue("served" if request.param == "serve" else "workers")()
    if request.param == "gunicorn":
        made.prepare()  # type: ignore[attr-defined]  # a Workers has it
    made.start()
    return made


def asked(server: Served) -> Callable[..., tuple[int, Any, str]]:
    """ask(verb, target, body): (status, JSON or text, Content-Disposition), the target sent letter by letter."""

    def ask(verb: str, target: str, body: object = None) -> tuple[int, Any, str]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        connection.request(verb, target, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        read = answer.read().decode()
        found = json.loads(read) if answer.getheader("Content-Type", "").startswith("application/json") else read
        connection.close()
        return answer.status, found, answer.getheader("Content-Disposition", "")

    return ask


def test_every_name_works_in_every_address(server):
    ask = asked(server)
    assert ask("POST", "/api/v1/experiments", {"project": "digits", "create_project": True, "name": "run"})[0] == 201
    body = {"steps": [0], "metrics": {name: [n] for n, name in enumerate(NAMES)}}
    assert ask("POST", "/api/v1/metrics/log-batch/digits/run?wait=visible", body)[:2][1]["visible"]
    for n, name in enumerate(NAMES):
        escaped, query = quote(name, safe=""), urlencode({"metric": name})
        for target in (f"/api/v1/metrics/timeseries/digits/run/{escaped}", f"/api/v1/metrics/timeseries/digits/run?{query}"):
            status, found, _ = ask("GET", target)
            assert (status, found.get("points", [{}])[0].get("value")) == (200, n), target
        for target in (f"/api/v1/projects/digits/metrics/{escaped}", f"/api/v1/projects/digits/metrics?{query}"):
            assert ask("PATCH", target, {"direction": "minimize"})[0] == 200, target
        status, text, disposition = ask("GET", f"/api/v1/metrics/points/digits?{query}&experiments=run")
        assert (status, text.count("\n"), "attachment" in disposition) == (200, 2, True), name
    assert ask("POST", "/api/v1/metrics/log/digits/run?wiat=visible", {"metric_name": "loss", "metric_value": 1})[0] == 422


def test_projects_and_experiments_whose_names_have_slashes_are_addressed_by_them_escaped(server):
    ask = asked(server)
    for project in ("org/two", "org/llm", "50% /2F"):
        assert ask("POST", "/api/v1/experiments", {"project": project, "create_project": True, "name": "a/b c"})[0] == 201
        escaped = quote(project, safe="")
        assert ask("GET", f"/api/v1/projects/{escaped}")[1]["name"] == project
        assert ask("POST", f"/api/v1/metrics/log/{escaped}/a%2fb%20c?wait=visible", {"metric_name": "val/loss", "metric_value": 7})[0] == 200
        for metric in ("val/loss", "val%2Floss"):
            assert ask("GET", f"/api/v1/metrics/timeseries/{escaped}/a%2Fb%20c/{metric}")[1]["points"][0]["value"] == 7
        assert ask("PATCH", f"/api/v1/projects/{escaped}/metrics/val%2Floss", {"direction": "minimize"})[0] == 200
    assert ask("GET", "/api/v1/projects/org/llm")[0] == 404
    assert ask("GET", "/api/v1/projects/org%252Fllm")[0] == 404
