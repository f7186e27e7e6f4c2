"""The client against a real server: what is refused costs those points alone, and what cannot be sent is kept until it can."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.served import Served
from tests.faults.workers import Workers

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "client" / "src"))
import research_platform as rp
from research_platform import cli, keeping

pytestmark = [pytest.mark.faults, pytest.mark.slow]
PACE = rp.Pace(flush_s=0.05, heartbeat_s=0.2, shut_out_s=0.1, backoff_s=0.05, flush_timeout_s=20.0)
WITHIN_S = 30.0


@pytest.fixture(params=["serve", pytest.param("gunicorn", marks=pytest.mark.server)])
def server(request: pytest.FixtureRequest) -> Served:
    """A server that takes three metrics an experiment, in one of the two forms."""
    if request.param == "serve":
        made: Served = request.getfixturevalue("served")(METRICS_MAX_NAMES="3", METRICS_ACCESS_CACHE_S="0")
    else:
        workers: Callable[..., Workers] = request.getfixturevalue("workers")
        made = workers(workers=1, METRICS_MAX_NAMES="3", METRICS_ACCESS_CACHE_S="0")
        made.prepare()  # type: ignore[attr-defined]  # Workers have it
    made.start()
    return made


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RP_UNSENT_DIR", str(tmp_path / "unsent"))


class Script:
    """A run with a token of its own, and what the server says of it."""

    def __init__(self, server: Served) -> None:
        self.server, self.url = server, f"http://127.0.0.1:{server.port}"
        self.token_id, self.token = self.new_token()
        self.run = rp.init("digits", url=self.url, token=self.token, pace=PACE)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        status, _, found = self.server.ask(method, f"/api/v1{path}", body, {"Authorization": f"Bearer {self.server.token}"})
        assert status < 300, found
        return json.loads(found or b"null")

    def new_token(self) -> tuple[str, str]:
        made = self.api("POST", "/tokens", {"name": "gpu7"})
        return made["id"], made["token"]

    def record(self) -> Any:
        return self.api("GET", f"/experiments/{self.run.id}")

    def values(self, metric: str) -> list[float]:
        """What can be read of a metric; nothing yet where the project does not know it."""
        path = f"/api/v1/metrics/timeseries/digits/{self.run.slug}?metric={metric}"
        status, _, found = self.server.ask("GET", path, None, {"Authorization": f"Bearer {self.server.token}"})
        return [point["value"] for point in json.loads(found)["points"]] if status == 200 else []

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < end, "It did not happen in time."
            time.sleep(0.05)


@pytest.fixture
def script(server: Served) -> Iterator[Script]:
    made = Script(server)
    yield made
    made.run.finish(timeout_s=1)


def test_beyond_the_limit_of_names_the_good_points_arrive_and_the_run_says_what_was_refused(script: Script) -> None:
    for step in range(4):
        script.run.log({"loss": step, "a": step, "b": step, "c": step, "d": step})
    script.until(lambda: bool(script.record()["missing"]))
    script.run.finish()
    (told,) = script.record()["missing"]
    assert (told["how"], told["reason"], told["points"]) == ("refused", "too_many_names", 8)
    script.until(lambda: len(script.values("loss")) == 4)
    assert script.values("b") == [0.0, 1.0, 2.0, 3.0]
    assert script.record()["status"] == "complete"


def test_points_after_a_revoked_token_are_kept_and_sent_with_a_new_one(script: Script) -> None:
    script.run.log({"loss": 0.0})
    script.until(lambda: script.values("loss") == [0.0])
    script.api("DELETE", f"/tokens/{script.token_id}")
    assert script.record()["writer_lost"]["why"] == "revoked"
    script.run.log({"loss": 1.0})
    script.until(lambda: bool(keeping.files()))
    script.run.finish()
    assert script.record()["status"] == "running"
    _, token = script.new_token()
    assert cli.main(["send", "--token", token]) == 0
    script.until(lambda: script.values("loss") == [0.0, 1.0])
    found = script.record()
    assert (found["status"], found["missing"], found["writer_lost"]) == ("complete", [], None)
    assert keeping.files() == []


def test_points_that_an_outage_kept_from_arriving_are_sent_once_the_server_is_back(script: Script) -> None:
    script.run.log({"loss": 0.0})
    script.until(lambda: script.values("loss") == [0.0])
    script.server.stop()
    script.run.log({"loss": 1.0})
    script.run.finish(timeout_s=1)
    script.server.start()
    assert cli.main(["send", "--token", script.token]) == 0
    script.until(lambda: script.values("loss") == [0.0, 1.0])
    assert script.record()["status"] == "complete"
