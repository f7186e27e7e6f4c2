"""Every page of the product on the hostile thousand: silent console, nothing sideways, nothing injected, no serious finding of axe-core.

Pages are those of tests/security/matrix.py, so that a new one is walked by itself. With PICTURES=/a/directory each is photographed for people to look at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e.conftest import Console, Crowd, sign_in
from tests.e2e.crowd import ARABIC, CHINESE, HOSTILE, LEADING, NAN_RUN, SINGLE_RUN, slug
from tests.faults.served import ROOT
from tests.security.matrix import EXPERIMENT, NOBODY, PROJECT, ROUTES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = os.environ.get("PICTURES", "")
TALLEST = 6000
# What is no page of ours: what programs ask, and the pages that Django and Swagger bring.
ELSEWHERE = ("api/", "admin/", "docs")
SIX = ",".join(slug(number) for number in (0, 1, NAN_RUN, SINGLE_RUN, 4, 5))
# What an address is asked beside itself.
ASKED: dict[str, list[dict[str, Any]]] = {
    "search": [{"q": "wider"}, {"q": HOSTILE[:60]}, {"q": "nothing of the kind"}],
    PROJECT: [
        {"q": f"params.lr < 1e-2 and metrics.`{LEADING}`.max > 0.5", "sort": f"-metric:{LEADING},param:lr", "arrange": "1"},
        {"q": 'params.nosuch = "<script>"'},
        {"q": HOSTILE[:60]},
        {"columns": [f"metric:{HOSTILE}", f"param:{ARABIC}", f"max:{CHINESE}", f"at:{LEADING}@train/loss"], "page": "3"},
    ],
    PROJECT + "compare": [{"e": SIX}, {"e": SIX, "params": "all", "log": "1", "smooth": "0.6", "clip": "1", "metric": "val"}, {"e": f"{slug(0)},gone"}],
    PROJECT + "lineage": [{"from": slug(7)}],
    PROJECT + "hypotheses/new": [{"experiments": SIX, "baseline": slug(0), "metric": LEADING}],
    PROJECT + "attribution": [{"metric": LEADING}],
}
# Other runs than the hostile one.
RUNS = {EXPERIMENT: [slug(0), slug(NAN_RUN), slug(SINGLE_RUN), slug(4), slug(249)]}
INJECTED = "() => window.struck !== undefined || document.querySelector('.struck, [onerror], img[src=x]') !== null"
SIDEWAYS = "() => document.documentElement.scrollWidth - window.innerWidth"
SPILT = "() => [...document.querySelectorAll('td.wrap')].filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent.trim())"
LOADED = """() => [...document.querySelectorAll('[data-charts] .chart')].slice(0, 2).every((card) => card.querySelector('canvas, .chart-note'))
  && ![...document.querySelectorAll('.chart')].some((card) => card.classList.contains('is-loading'))"""
FOUND = """async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
  .filter((each) => ['serious', 'critical'].includes(each.impact))
  .map((each) => [each, each.nodes[0], [...each.nodes[0].any, ...each.nodes[0].all, ...each.nodes[0].none][0]])
  .map(([each, node, check]) => `${each.id}: ${each.nodes.length} x, as ${node.html.slice(0, 160)} (${check?.message})`)"""
REFUSALS = (
    "document.addEventListener('securitypolicyviolation', (event) => console.error(`refused by policy: ${event.violatedDirective} ${event.blockedURI}`));"
)


def filled(route: str, values: dict[str, str]) -> str:
    """The route with its parameters filled in."""
    missing = [name for name in re.findall(r"<\w+:(\w+)>", route) if name not in values]
    assert not missing, f"Say in tests/e2e/crowd.py (`record`) what stands for {missing} in {route}."
    return "/" + re.sub(r"<\w+:(\w+)>", lambda found: quote(values[found[1]]), route)


def addresses(values: dict[str, str]) -> Iterator[str]:
    """Every address that may be a page, as it is and with each of its questions."""
    for route in (route for route, verbs in ROUTES.items() if "GET" in verbs and verbs["GET"] != NOBODY and not route.startswith(ELSEWHERE)):
        bare = filled(route, values)
        yield bare
        for asked in ASKED.get(route, []):
            yield f"{bare}?{urlencode(asked, doseq=True)}"
        for run in RUNS.get(route, []):
            yield filled(route, values | {"experiment_slug": run})


@pytest.fixture(scope="module")
def pages(browser: Browser, crowd: Crowd) -> list[str]:
    """The addresses that are pages for who is signed in."""
    context = browser.new_context(base_url=crowd.site.url)
    sign_in(context.new_page(), crowd.site)
    found = [address for address in addresses(crowd.values) if is_page(context, address)]
    context.close()
    assert len(found) >= 40
    return found


def is_page(context: BrowserContext, address: str) -> bool:
    """Whether a person reads it: a whole HTML document, no fragment and no file."""
    answer = context.request.get(address)
    assert answer.ok, (address, answer.status)
    return answer.headers.get("content-type", "").startswith("text/html") and answer.text().lstrip().lower().startswith("<!doctype")


@pytest.fixture
def walker(browser: Browser, crowd: Crowd, console: Console) -> Iterator[Callable[..., Page]]:
    """walker(width=390, dark=True): a page that looks so, signed in, and heard."""
    contexts: list[BrowserContext] = []

    def opened(*, width: int, dark: bool, is_signed_in: bool = True) -> Page:
        context = browser.new_context(base_url=crowd.site.url, viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
        contexts.append(context)
        context.add_init_script(REFUSALS)
        page = context.new_page()
        console.watch(page)
        page.on("dialog", lambda dialog: (console.said.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
        if is_signed_in:
            sign_in(page, crowd.site)
        return page

    yield opened
    for context in contexts:
        context.close()


def faults(page: Page) -> list[str]:
    """What is wrong with the page as it stands."""
    found = ["something of the texts became part of the page"] if page.evaluate(INJECTED) else []
    beyond = page.evaluate(SIDEWAYS)
    found += [f"{beyond} px wider than the window"] if beyond > 0 else []
    found += [f"a text runs out of its cell: {text[:60]}" for text in page.evaluate(SPILT)]
    page.evaluate(AXE.read_text())  # by the debugger's door: the page's own policy lets no script in
    return found + list(page.evaluate(FOUND))


def photographed(page: Page, name: str) -> None:
    """A picture of the page, for people to look at, where they said in which directory."""
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        height = min(TALLEST, page.evaluate("() => document.documentElement.scrollHeight"))
        page.screenshot(
            path=Path(PICTURES) / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')[:90]}.png",
            full_page=True,
            clip={"x": 0, "y": 0, "width": page.viewport_size["width"], "height": height},
        )  # type: ignore[index]


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
def test_every_page_is_silent_narrow_and_open_to_everyone(walker: Callable[..., Page], pages: list[str], console: Console, width: int, dark: bool):
    page, wrong = walker(width=width, dark=dark), {}
    for number, address in enumerate(pages):
        page.goto(address)
        page.wait_for_function(LOADED)
        found = faults(page) + console.said
        console.said.clear()
        photographed(page, f"{number:02}-{width}-{'dark' if dark else 'light'}-{address.removeprefix('/projects/research-team/')}")
        if found:
            wrong[address] = found
    assert not wrong, said(wrong)


def said(wrong: dict[str, list[str]]) -> str:
    """Each fault once, with the pages that have it."""
    places: dict[str, list[str]] = {}
    for address, found in wrong.items():
        for fault in found:
            places.setdefault(fault, []).append(address)
    return "\n" + "\n".join(f"{fault}\n    on {len(where)}: {', '.join(where[:3])}" for fault, where in places.items())


def test_the_door_is_open_to_everyone(walker: Callable[..., Page]):
    for width, dark in ((1440, False), (390, True)):
        page = walker(width=width, dark=dark, is_signed_in=False)
        page.goto("/sign-in")
        assert faults(page) == []
        photographed(page, f"sign-in-{width}-{'dark' if dark else 'light'}")
