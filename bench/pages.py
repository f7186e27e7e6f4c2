"""What the server takes for a filtered table, and for a judgement."""

from __future__ import annotations

import statistics
import time
import urllib.parse
from typing import Any

from bench.load import CLIENTS, curve, post, sent
from bench.record import ARMS, BASELINE_RUNS, JUDGED_METRICS, JUDGED_RUNS
from bench.report import Line
from bench.run import TABLE_METRICS, Run

REQUESTS = 15
JUDGED_POINTS = 100


def filtered(run: Run) -> list[Line]:
    """The table sorted by a metric and filtered by a param; the median of requests of which no two are alike, all of them beside it."""
    run.page(run.tabled)
    queries = [{"q": f"params.lr < {(2 + i) * 1e-4:g}", "sort": f"-metric:metric {i % TABLE_METRICS}"} for i in range(REQUESTS)]
    taken = [run.page(f"{run.tabled}?{urllib.parse.urlencode(query)}") for query in queries]
    job = f"page of {run.table_rows:,} experiments, sorted by a metric, filtered by a param"
    return [Line(job, statistics.median(taken), "s", 0.3, note=f"all: {in_ms(taken)} ms")]


def judged(run: Run) -> list[Line]:
    """A claim over 500 runs and 5 metrics judged through the store, in one arm and in a hundred."""
    lines = []
    for project, arms in ARMS.items():
        log_judged(run, project)
        claim = run.server.call("GET", f"/hypotheses?project={project}")[2]["results"][0]["id"]
        taken = [seconds_to_judge(run, claim) for _ in range(1 + run.rounds)]
        said = "one arm" if arms == 1 else f"{arms} arms"
        lines.append(
            Line(f"a judgement, {JUDGED_RUNS} runs x {len(JUDGED_METRICS)} metrics in {said}", statistics.median(taken), "s", note=f"all: {in_ms(taken)} ms")
        )
    return lines


def log_judged(run: Run, project: str) -> None:
    """A hundred points of each metric of each run."""
    token, numbers = run.server.token, range(BASELINE_RUNS + JUDGED_RUNS)

    def body(number: int) -> dict[str, Any]:
        return {"steps": list(range(JUDGED_POINTS)), "metrics": {name: curve(JUDGED_POINTS, seed=(project, number, name)) for name in JUDGED_METRICS}}

    sent(run.server.port, lambda client: [post(f"log-batch/{project}/e{number}", body(number), token) for number in numbers[client::CLIENTS]])
    run.drain()


def seconds_to_judge(run: Run, claim: str) -> float:
    """One judgement, and that it saw every run."""
    before = time.monotonic()
    status, _, answer = run.server.call("POST", f"/hypotheses/{claim}/evaluate")
    taken = time.monotonic() - before
    assert status == 200, answer
    assert f"{JUDGED_RUNS} runs" in str(answer) or str(JUDGED_RUNS) in str(answer), answer
    return taken


def in_ms(taken: list[float]) -> str:
    """Seconds as whole milliseconds, in the order measured."""
    return " ".join(f"{1000 * each:.0f}" for each in taken)
