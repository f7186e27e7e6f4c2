"""A served product, and what is asked of it."""

from __future__ import annotations

import http.client
import re
import statistics
import sys
import time
import urllib.parse
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.load import CLIENTS, Maker, Taken, columns, post, rows, sent
from bench.record import ARMS, BASELINE_RUNS, JUDGED_RUNS, prepare
from bench.report import Line
from tests.faults.served import Served

MB = 1_000_000
ROWS = 1000
OVERLAID, OVERLAID_POINTS, BUCKETS = 100, 10_000, 1000
TABLE_METRICS = 10
WIDE_RUNS, FOREST = 5, 2000
IDLE_S = 3.0


class Run:
    """One benchmark: a server on a data directory of its own, and the numbers found so far."""

    def __init__(self, data_dir: Path, *, is_quick: bool) -> None:
        self.is_quick = is_quick
        self.rounds = 1 if is_quick else 3
        self.table_rows = 1_000 if is_quick else 10_000
        self.server = Served(data_dir, ENVIRONMENT="development")
        self.peak_bytes = 0.0
        self.next_step = 0

    # The server's life

    def open(self) -> list[Line]:
        """The first start, the record's preparation, and two more starts."""
        first = self.timed_start()
        self.stop()
        judged = dict.fromkeys(ARMS, BASELINE_RUNS + JUDGED_RUNS)
        beside = {"wide": WIDE_RUNS, "live": 1, "forest": FOREST, **judged}
        prepare(self.server.data_dir, {"ingest": 8, "overlay": OVERLAID, "table": self.table_rows, "visible": 16, **beside})
        again = []
        for _ in range(self.rounds):
            again.append(self.timed_start())
            self.stop()
        self.server.start()
        return [Line("first start, on nothing", first, "s"), Line("another start", statistics.median(again), "s")]

    def timed_start(self) -> float:
        """Seconds until it takes points."""
        before = time.monotonic()
        self.server.start()
        return time.monotonic() - before

    def stop(self) -> None:
        """SIGTERM, its peak noted."""
        self.note_peak()
        self.server.stop()

    def restart(self) -> None:
        """Stop and start: what the process kept in memory is gone."""
        self.stop()
        self.server.start()

    def memory(self, name: str) -> float:
        """VmRSS or VmHWM of the server in bytes."""
        status = Path(f"/proc/{self.server.running.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]

    def note_peak(self) -> None:
        """Keep the highest resident memory that any of the processes reached."""
        self.peak_bytes = max(self.peak_bytes, self.memory("VmHWM"))

    def idle(self) -> list[Line]:
        """Memory of a server that has nothing to do, after its first page."""
        self.page("/")
        time.sleep(IDLE_S)
        return [Line("resident, idle", self.memory("VmRSS") / MB, "MB", 500)]

    # Points in

    def rows(self) -> list[Line]:
        """log-batch in rows."""
        return self.batches("log-batch, 1,000 rows", rows, count=100, budget=200_000)

    def columns(self) -> list[Line]:
        """log-batch in columns."""
        return self.batches("log-batch, 1,000 points in columns", columns, count=200, budget=500_000)

    def batches(self, job: str, body: Callable[..., dict[str, Any]], *, count: int, budget: float) -> list[Line]:
        """Rounds of batches from 4 clients, and how fast they can be queried."""
        taken, stored = [], []
        for _ in range(self.rounds):
            began = time.monotonic()
            taken.append(sent(self.server.port, self.maker(body, count)))
            began = time.monotonic() - taken[-1].seconds
            self.drain()
            stored.append(CLIENTS * count * ROWS / (time.monotonic() - began))
        rate = statistics.median(CLIENTS * count * ROWS / one.seconds for one in taken)
        latency = statistics.median(one.quantile(0.5) for one in taken), statistics.median(one.quantile(0.99) for one in taken)
        note = f"p50 {latency[0] * 1000:.1f} ms, p99 {latency[1] * 1000:.1f} ms"
        return [
            Line(f"{job} x {CLIENTS} clients, acknowledged", rate, "points/s", budget, more_is_better=True, note=note),
            Line(f"{job} x {CLIENTS} clients, until all can be queried", statistics.median(stored), "points/s"),
        ]

    def maker(self, body: Callable[..., dict[str, Any]], count: int) -> Maker:
        """Requests of 1,000 points that nobody sent before."""
        first, token = self.next_step, self.server.token
        self.next_step += count * ROWS

        def make(client: int) -> list[bytes]:
            return [post(f"log-batch/ingest/e{client}", body(first + i * ROWS, ROWS, seed=(first, client, i)), token) for i in range(count)]

        return make

    def singles(self) -> list[Line]:
        """One point a request."""
        found = [sent(self.server.port, self.single_maker("log/ingest/e{}", 1000)) for _ in range(self.rounds)]
        self.drain()
        rate, p50, p99 = medians(found)
        return [
            Line(f"one point a request x {CLIENTS} clients", rate, "requests/s", 800, more_is_better=True, note=f"p50 {p50:.1f} ms"),
            Line(f"one point a request x {CLIENTS} clients, p99", p99, "ms", 100),
        ]

    def single_maker(self, path: str, count: int) -> Maker:
        """Requests of one point."""
        first, token = self.next_step, self.server.token
        self.next_step += count

        def make(client: int) -> list[bytes]:
            points = [{"metric_name": "single", "metric_value": i / 7, "step": first + i} for i in range(count)]
            return [post(path.format(client), point, token) for point in points]

        return make

    def drain(self) -> None:
        """Wait until everything sent so far can be queried."""
        point = {"metric_name": "sentinel", "metric_value": 1.0, "step": 0}
        while not self.server.call("POST", "/metrics/log/ingest/e7?wait=visible", point)[2]["visible"]:
            pass

    # Until they can be seen

    def visible(self) -> list[Line]:
        """From the acknowledgement to the first query that has the points."""
        few = sorted(self.seconds_to_see(number, points=10) for number in range(2 if self.is_quick else 5))
        many = sorted(self.seconds_to_see(number, points=ROWS) for number in range(5 if self.is_quick else 15))
        alone = [sent(self.server.port, self.single_maker("log/visible/e{}?wait=visible", 100), clients=1) for _ in range(self.rounds)]
        together = [sent(self.server.port, self.single_maker("log/visible/e{}?wait=visible", 100)) for _ in range(self.rounds)]
        return [
            Line("visible after ack, 10 points, worst of 5", few[-1], "s", 6, note=f"median {statistics.median(few):.2f} s"),
            Line("visible after ack, 1,000 points, worst of 15", many[-1], "s", 6, note=f"median {statistics.median(many):.3f} s"),
            Line("wait=visible, 1 client, p99", medians(alone)[2], "ms", 100, note=f"p50 {medians(alone)[1]:.1f} ms"),
            Line(f"wait=visible, {CLIENTS} clients, p99", medians(together)[2], "ms", 100, note=f"p50 {medians(together)[1]:.1f} ms"),
        ]

    def seconds_to_see(self, number: int, *, points: int) -> float:
        """Log a batch, and ask until its last point is there."""
        first, self.next_step = self.next_step, self.next_step + points
        status, _, answer = self.server.call("POST", f"/metrics/log-batch/visible/e{number}", columns(first, points, seed=number))
        assert status == 200, answer
        acknowledged, last = time.monotonic(), first + points - 1
        while not self.server.call("GET", f"/metrics/timeseries/visible/e{number}/loss?from={last}&to={last}")[2]["count"]:
            time.sleep(0.01)
        return time.monotonic() - acknowledged

    # Points out

    @cached_property
    def overlaid(self) -> str:
        """The experiments of the overlay, their points stored."""

        def make(client: int) -> list[bytes]:
            numbers = range(client, OVERLAID, CLIENTS)
            return [post(f"log-batch/overlay/e{i}", columns(0, OVERLAID_POINTS, seed=("overlay", i)), token) for i in numbers]

        token = self.server.token
        sent(self.server.port, make)
        self.drain()
        return ",".join(f"e{i}" for i in range(OVERLAID))

    def overlay(self) -> list[Line]:
        """100 curves of 10,000 points on one grid."""
        asked = self.overlaid
        self.restart()
        cold, size = self.compare(asked, BUCKETS)
        warm = [self.compare(asked, BUCKETS - i)[0] for i in range(1, 6 if self.is_quick else 16)]
        kept = statistics.median(self.compare(asked, BUCKETS)[0] for _ in range(5))
        job = f"overlay {OVERLAID} x {OVERLAID_POINTS:,} on {BUCKETS:,} buckets"
        return [
            Line(f"{job}, first after a start", cold, "s", 1),
            Line(f"{job}, not asked before", statistics.median(warm), "s", 0.3, note=f"worst {max(warm):.3f} s; asked again {kept * 1000:.0f} ms"),
            Line(f"{job}, before compression", size / MB, "MB", 3),
        ]

    def compare(self, experiments: str, buckets: int) -> tuple[float, int]:
        """(seconds, bytes) of one overlay."""
        query = urllib.parse.urlencode({"metric": "loss", "experiments": experiments, "max_points": buckets})
        before = time.monotonic()
        status, _, body = self.server.ask("GET", f"/api/v1/metrics/compare/overlay?{query}", headers={"Authorization": f"Bearer {self.server.token}"})
        assert status == 200, body[:300]
        return time.monotonic() - before, len(body)

    @cached_property
    def tabled(self) -> str:
        """The address of the project with many experiments, their points stored."""
        token = self.server.token

        def make(client: int) -> list[bytes]:
            return [post(f"log-batch/table/e{i}", table_points(i), token) for i in range(client, self.table_rows, CLIENTS)]

        sent(self.server.port, make)
        self.drain()
        return "/projects/research-team/table/"

    def table(self) -> list[Line]:
        """The page of a project with many experiments, sorted by a metric."""
        assert self.tabled
        self.restart()
        cold = self.page("/projects/research-team/table/?sort=metric:metric+0")
        found = [self.page(f"/projects/research-team/table/?sort=-metric:metric+{i % TABLE_METRICS}&page={2 + i // TABLE_METRICS}") for i in range(1, 20)]
        job = f"page of {self.table_rows:,} experiments x {TABLE_METRICS} metrics, sorted by a metric"
        return [Line(f"{job}, first after a start", cold, "s"), Line(job, statistics.median(found), "s", 0.3, note=f"worst {max(found):.3f} s")]

    def page(self, path: str) -> float:
        """Seconds of one page for a person who is signed in."""
        before = time.monotonic()
        status, _, body = self.server.ask("GET", path, headers={"Cookie": self.cookie})
        assert status == 200, (status, body[:300])
        return time.monotonic() - before

    @cached_property
    def cookie(self) -> str:
        """The session of the first admin, signed in through the form."""
        import json

        credentials = json.loads((self.server.data_dir / "credentials.json").read_text())
        connection = self.server.connection()
        connection.request("GET", "/sign-in")
        answer = connection.getresponse()
        csrf, form = cookies(answer), answer.read().decode()
        secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]  # type: ignore[index]
        body = urllib.parse.urlencode({"username": credentials["username"], "password": credentials["password"], "csrfmiddlewaretoken": secret, "next": "/"})
        connection.request("POST", "/sign-in", body, {"Cookie": csrf, "Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 302, answer.status
        return cookies(answer)

    # At the end

    def close(self) -> list[Line]:
        """The peak of everything that was asked."""
        self.stop()
        return [Line("resident, highest of the run", self.peak_bytes / MB, "MB", 900)]

    def spool_bytes(self) -> int:
        """What the spool takes on disk: drained batches are kept a while."""
        return sum(path.stat().st_size for path in (self.server.data_dir / "spool").iterdir())


def table_points(number: int) -> dict[str, Any]:
    """A few points of ten metrics."""
    return {"steps": [0, 1, 2], "metrics": {f"metric {m}": [number * 0.37 % 1 + step + m for step in range(3)] for m in range(TABLE_METRICS)}}


def medians(found: list[Taken]) -> tuple[float, float, float]:
    """(requests a second, p50 in ms, p99 in ms), each the median of the rounds."""
    rate = statistics.median(len(one.latencies) / one.seconds for one in found)
    return rate, *(statistics.median(one.quantile(share) for one in found) * 1000 for share in (0.5, 0.99))


def cookies(answer: http.client.HTTPResponse) -> str:
    """The cookies that an answer sets, as a request sends them."""
    return "; ".join(value.split(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie")


def say(text: str) -> None:
    """Progress, apart from the table."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
