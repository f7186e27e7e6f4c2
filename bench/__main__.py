"""`python -m bench`: measure everything once and print it as Markdown. Timings never fail; a wrong answer does."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench import pages, painted, raw, team
from bench.report import Line, Machine, markdown
from bench.run import Run, say

# A job is a method of Run, or a function that takes it.
OTHERS = {"filtered": pages.filtered, "judged": pages.judged, "painted": painted.painted}
JOBS = ("idle", "rows", "columns", "singles", "visible", "overlay", "table", *OTHERS)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the product on this machine, beside its budgets and the raw engine.")
    parser.add_argument("--quick", action="store_true", help="One round of everything, and a table of 1,000 experiments.")
    parser.add_argument("--only", choices=JOBS, action="append", help="Only this job (may be repeated); starts, memory and disk are always measured.")
    parser.add_argument("--embedded", action="store_true", help="Leave out the column of a team's servers.")
    arguments = parser.parse_args()
    began, machine = time.monotonic(), Machine()
    with tempfile.TemporaryDirectory(prefix="research-platform-bench-") as folder:
        jobs = arguments.only or list(JOBS)
        product, engine = measured(Path(folder) / "data", jobs=jobs, is_quick=arguments.quick)
        on_servers = [] if arguments.embedded else team.measured(Path(folder), jobs=[job for job in jobs if job in team.JOBS], is_quick=arguments.quick)
    print(f"Measured {machine}.\n")
    print(markdown(product, "The product", beside=on_servers))
    print(markdown(engine, "The engine alone, same machine, same run"))
    print(f"Took {time.monotonic() - began:.0f} s.")


def measured(data_dir: Path, *, jobs: list[str], is_quick: bool) -> tuple[list[Line], list[Line]]:
    """(the product's lines, the engine's)."""
    run = Run(data_dir, is_quick=is_quick)
    try:
        say("start …")
        lines = run.open()
        for job in jobs:
            say(f"{job} …")
            lines += OTHERS[job](run) if job in OTHERS else getattr(run, job)()
        lines += run.close()
    finally:
        run.server.end()
    say("the engine alone …")
    alone = raw.measured(data_dir, is_quick=is_quick)
    return [*lines, *disk(alone, run.spool_bytes())], engine_lines(alone)


def disk(alone: dict[str, float], spool_bytes: int) -> list[Line]:
    """What a point takes, in the parts as the load left them."""
    if not alone["points"]:
        return []
    note = f"{alone['points']:,.0f} points in {alone['parts']:.0f} parts; the spool keeps {spool_bytes / 1e6:,.0f} MB of drained batches beside them"
    return [Line("disk, metric store", alone["bytes"] / alone["points"], "bytes/point", 10, note=note)]


def engine_lines(alone: dict[str, float]) -> list[Line]:
    """The raw engine's numbers."""
    lines = [Line(f"insert, blocks of {rows:,}", alone[f"insert {rows}"], "rows/s") for rows in raw.BLOCKS]
    names = {
        "overlay cold": "overlay query, first after opening",
        "overlay warm": "overlay query, warm",
        "overlay noted": "which steps hold several values, from summaries",
        "overlay counted": "the same counted, where summaries do not tell",
        "overlay latest": "overlay query, warm, where steps hold several values",
        "table": "one summary of each experiment of the table",
    }
    return lines + [Line(name, alone[key], "s") for key, name in names.items() if key in alone]


if __name__ == "__main__":
    main()
