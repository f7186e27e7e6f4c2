"""From a click to what a person sees, in Chromium: the clock stops once the canvas is painted, two frames after it was drawn from its answer."""

from __future__ import annotations

import json
import os
import statistics
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench.load import CLIENTS, columns, curve, post, sent
from bench.report import Line
from bench.run import FOREST, OVERLAID, OVERLAID_POINTS, WIDE_RUNS, Run

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDE_METRICS, WIDE_POINTS = 100, 200
LIVE_POINTS, LIVE_ROUNDS = 1990, 5
NAMES = {
    "overlay": f"{OVERLAID} runs x {OVERLAID_POINTS:,} points, from the click on Compare to the first chart painted",
    "wide": f"a page of {WIDE_METRICS} charts, until all that can be seen are painted",
    "tree": "lineage of 2,000 arms, until it is painted and can be moved",
    "live": "what a page is told when 3 points are new",
}
BUDGETS = {"overlay": 1.0, "wide": 3.0, "tree": None, "live": 2000}
UNITS = {"overlay": "s", "wide": "s", "tree": "s", "live": "bytes"}
# The moment of the last press on the old page, and on the new one the first moment at which `isDone` holds, two frames later, in ms since 1970.
CLOCK = """
  const now = () => performance.timeOrigin + performance.now();
  addEventListener("click", () => sessionStorage.setItem("pressed", now()), { capture: true });
  const inSight = (card) => { const box = card.getBoundingClientRect(); return box.top < innerHeight && box.bottom > 0; };
  const isDrawn = (card) => card.querySelector(".uplot canvas") && !card.classList.contains("is-loading");
  const done = {
    first: () => { const card = document.querySelector(".chart"); return card && isDrawn(card); },
    seen: () => { const cards = [...document.querySelectorAll(".chart")].filter(inSight); return cards.length > 0 && cards.every(isDrawn); },
    tree: () => document.querySelector("[data-zoom]:not([hidden])"),
  };
  window.painted = (what) => new Promise((resolve) => {
    const look = () => {
      if (document.readyState === "loading" || !done[what]()) requestAnimationFrame(look);
      else requestAnimationFrame(() => requestAnimationFrame(() => resolve(now())));
    };
    look();
  });
  for (const what of Object.keys(done)) { const moment = window.painted(what); window[`at_${what}`] = moment; }
"""
# Where the seconds went: until the page was there, until its chart asked, until the answer was there, until it was painted.
PARTS = """(at) => {
  const [page] = performance.getEntriesByType("navigation"), loaded = performance.getEntriesByType("resource");
  const asked = loaded.find((each) => each.name.includes("/metrics/compare/"));
  return { page: page.responseEnd / 1000, scripts: (asked.startTime - page.responseEnd) / 1000, answer: (asked.responseEnd - asked.startTime) / 1000,
    drawing: (at - performance.timeOrigin - asked.responseEnd) / 1000 };
}"""
INK = """() => { const canvas = document.querySelector('.chart .uplot canvas'), { width, height } = canvas;
  const copy = Object.assign(document.createElement('canvas'), { width, height });
  const context = copy.getContext('2d'); context.drawImage(canvas, 0, 0);
  return new Set(new Uint32Array(context.getImageData(0, 0, copy.width, copy.height).data.buffer)).size; }"""


def painted(run: Run) -> list[Line]:
    """All that needs a browser; without one every line says so."""
    if not CHROMIUM.exists():
        return [Line(name, None, UNITS[key], BUDGETS[key], note="not measured: no Chromium") for key, name in NAMES.items()]
    measures: dict[str, Callable[[Run, Page], tuple[float, str]]] = {"overlay": overlay, "wide": wide, "tree": tree, "live": live}
    for log in (log_overlay, log_wide, log_live, log_forest):
        log(run)
    lines = []
    with chromium() as browser:
        for key, measure in measures.items():
            page = signed_in(browser, run)
            value, note = measure(run, page)
            lines.append(Line(NAMES[key], value, UNITS[key], BUDGETS[key], note=note))
            page.context.close()
    return lines


@contextmanager
def chromium() -> Iterator[Browser]:
    """One Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


def signed_in(browser: Browser, run: Run) -> Page:
    """A page of a desk's size, with the clock in every document."""
    context = browser.new_context(base_url=f"http://127.0.0.1:{run.server.port}", viewport={"width": 1440, "height": 900})
    context.add_init_script(CLOCK)
    known = json.loads((run.server.data_dir / "credentials.json").read_text())
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("Username").fill(known["username"])
    page.get_by_label("Password").fill(known["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    return page


def overlay(run: Run, page: Page) -> tuple[float, str]:
    """Tick all runs of two pages of the table, press Compare, until the first chart is painted.

    Another order of runs each time, so that no cache has the answer.
    """
    taken = []
    for number in range(2 + run.rounds):
        page.goto("/projects/research-team/overlay/")
        page.locator("input[name=e][form=compare]").nth(number).check()
        page.locator("[data-select-all]").check()
        page.get_by_role("link", name="Next 50").click()
        page.wait_for_url("**page=2**")
        page.locator("[data-select-all]:not(:checked)").check()
        page.get_by_role("button", name=f"Compare {OVERLAID}").click()
        page.wait_for_url("**/compare?**")
        at = page.evaluate("() => window.at_first")
        taken.append((at - float(page.evaluate("() => sessionStorage.getItem('pressed')"))) / 1000)
        assert page.evaluate(INK) > 20, "the chart is empty"
        parts = page.evaluate(PARTS, at)
    said = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
    return statistics.median(taken), f"all: {' '.join(f'{each:.2f}' for each in taken)} s, the first after a start; of the last: {said} s"


def wide(run: Run, page: Page) -> tuple[float, str]:
    """Seconds from the first byte asked for until every chart in the window is painted; how many were asked for."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/metrics/compare/" in request.url or "/metrics/live/" in request.url else None)
    taken = []
    for number in range(run.rounds):
        asked.clear()
        page.goto(f"/projects/research-team/wide/compare?e={','.join(f'e{(i + number) % WIDE_RUNS}' for i in range(WIDE_RUNS))}")
        taken.append(page.evaluate("async () => (await window.at_seen) - performance.timeOrigin") / 1000)
    cards, drawn = page.locator(".chart").count(), page.locator(".chart .uplot").count()
    assert 0 < drawn < cards, (drawn, cards)
    assert len(asked) <= 2 * drawn, (len(asked), drawn)
    return statistics.median(taken), f"{cards} charts on the page, {drawn} drawn, {len(asked)} asked for; worst {max(taken):.2f} s"


def tree(run: Run, page: Page) -> tuple[float, str]:
    """Seconds from the first byte asked for until the tree is painted and its script has taken over."""
    taken = []
    for _ in range(run.rounds):
        page.goto("/projects/research-team/forest/lineage")
        taken.append(page.evaluate("async () => (await window.at_tree) - performance.timeOrigin") / 1000)
    return statistics.median(taken), f"{page.locator('svg.tree .box').count()} of them drawn at first; worst {max(taken):.2f} s"


def live(run: Run, page: Page) -> tuple[float, str]:
    """Bytes of the answers by which an open page gets 3 new points of a run, whatever the address is that brings them. On the way the chart gets
    full once: its buckets double, and it is asked for anew.
    """
    page.goto("/projects/research-team/live/experiments/e0/")
    page.wait_for_selector(".chart .uplot canvas")
    page.wait_for_timeout(1000)
    told: dict[str, int] = {}
    page.on("response", lambda answer: told.update({urllib.parse.urlsplit(answer.url).path: len(answer.body())}) if "/api/" in answer.url else None)
    sizes, paths = [], set[str]()
    for done in range(LIVE_ROUNDS):
        told.clear()
        drawn = page.evaluate("() => document.querySelector('.chart canvas').toDataURL()")
        body = columns(LIVE_POINTS + 3 * done, 3, seed=f"live, {done}")
        status, _, said = run.server.call("POST", "/metrics/log-batch/live/e0?wait=visible", body)
        assert status == 200, said
        page.wait_for_function("(drawn) => document.querySelector('.chart canvas').toDataURL() !== drawn", arg=drawn, timeout=60_000)
        page.wait_for_timeout(500)  # what it asks for on top of it
        sizes.append(sum(told.values()))
        paths |= {path.rsplit("/", 1)[0] for path in told}
    return float(
        statistics.median(sizes)
    ), f"all: {' '.join(map(str, sizes))} bytes before compression, of {' and '.join(sorted(paths))}; where the chart got full, anew"


# Points ------------------------------------------------------------------------------------------------------------------------------------


def log_overlay(run: Run) -> None:
    """What the overlay's job logged, or logs now; then a start, so that the process knows nothing of it."""
    assert run.overlaid
    run.restart()


def log_wide(run: Run) -> None:
    """A hundred metrics of a few runs."""
    token = run.server.token

    def body(number: int) -> dict[str, Any]:
        return {
            "steps": list(range(WIDE_POINTS)),
            "metrics": {f"part {m // 10}/metric {m}": curve(WIDE_POINTS, seed=("wide", number, m)) for m in range(WIDE_METRICS)},
        }

    sent(run.server.port, lambda client: [post(f"log-batch/wide/e{number}", body(number), token) for number in range(client, WIDE_RUNS, CLIENTS)])
    run.drain()


def log_live(run: Run) -> None:
    """A run that goes on."""
    status, _, said = run.server.call("POST", "/metrics/log-batch/live/e0?wait=visible", columns(0, LIVE_POINTS, seed="live"))
    assert status == 200, said


def log_forest(run: Run) -> None:
    """One value of each arm of every tenth."""
    body = {"steps": [0], "metrics": {"accuracy": [time.time() % 1]}}
    sent(run.server.port, lambda client: [post(f"log-batch/forest/e{n}", body, run.server.token) for n in range(client * 10, FOREST, CLIENTS * 10)])
    run.drain()
