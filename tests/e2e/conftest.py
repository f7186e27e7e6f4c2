"""A real server with the demo, and a real browser before it. What the console says counts: an error or a refused inline script fails the test."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.faults.served import ROOT, Served
from tests.faults.team import Team

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
NO_BROWSER = f"No Chromium at {CHROMIUM}: the browser tests did not run. Install it (Debian: apt-get install chromium), or name another by CHROMIUM=/path."
OUTPUT = ROOT / "test-output"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LOUD = ("error", "warning")
skipped: list[str] = []


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A skip for want of a browser is said in the last lines, where it is read."""
    if skipped:
        terminalreporter.section("browser tests skipped", sep="!", red=True, bold=True)
        terminalreporter.line(f"{len(skipped)} module(s): {NO_BROWSER}")


@dataclass(frozen=True)
class Site:
    """The served product as its first start describes it."""

    url: str
    username: str
    password: str
    token: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, *, token: str = "") -> Any:
        """The API as a script uses it, with the first token where no other is given."""
        head = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data=json.dumps(body).encode() if body else None, method=method, headers=head)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def delete(self, path: str) -> None:
        """Delete something, which takes more than the first token: the first admin signs in for it."""
        signed_in = self.call("POST", "/api/v1/auth/token", {"username": self.username, "password": self.password})
        self.call("DELETE", path, token=signed_in["access"])

    def run(self, project: str, name: str, metrics: dict[str, list[Any]] | None = None, **fields: Any) -> str:
        """A new experiment with these points, by its slug."""
        slug: str = self.call("POST", "/api/v1/experiments", {"project": project, "create_project": True, "name": name, **fields})["slug"]
        if metrics:
            self.log(project, slug, metrics)
        return slug

    def log(self, project: str, slug: str, metrics: dict[str, list[Any]], first: int = 0) -> None:
        """Points at steps from `first`, visible once this returns."""
        steps = list(range(first, first + len(next(iter(metrics.values())))))
        self.call("POST", f"/api/v1/metrics/log-batch/{project}/{quote(slug)}?wait=visible", {"steps": steps, "metrics": metrics})


@contextmanager
def product(folder: Path, *, with_demo: bool = False) -> Iterator[Served]:
    """A product of the caller's own, running: `serve`, or with TEST_FORM=server a team's servers."""
    if os.environ.get("TEST_FORM") == "server":
        team = Team(folder)
        try:
            team.start(with_demo=with_demo)
            yield team.web
        finally:
            team.remove()
        return
    served = Served(folder, arguments=() if with_demo else ("--no-demo",))
    try:
        served.start()
        yield served
        served.stop()
    finally:
        served.end()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A product with the demo project."""
    with product(tmp_path_factory.mktemp("served"), with_demo=True) as served:
        yield site_of(served)


def site_of(served: Served) -> Site:
    """What its credentials say."""
    known = json.loads((served.data_dir / "credentials.json").read_text())
    return Site(**{name: known[name] for name in ("url", "username", "password", "token")})


@dataclass(frozen=True)
class Crowd:
    """A served product with the data of crowd.py; `values` stand for the parameters of an address."""

    site: Site
    values: dict[str, str]


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """A server of its own with a thousand hostile experiments, in the form that `site` has."""
    from tests.e2e.crowd import settle

    folder = tmp_path_factory.mktemp("crowd")
    if os.environ.get("TEST_FORM") == "server":
        team = Team(folder)
        try:
            team.start()
            yield Crowd(site_of(team.web), settle(team.web.settings))
        finally:
            team.remove()
        return
    served = Served(folder)
    try:
        values = settle({"DATA_DIR": str(folder)})
        served.start()
        yield Crowd(site_of(served), values)
    finally:
        served.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Of a module each, because Django refuses its database to a thread in which Playwright's loop runs."""
    if not CHROMIUM.exists():
        skipped.append(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@dataclass
class Console:
    """What the browser complained of. `allowed` are texts of complaints that a test provokes."""

    said: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Hear everything that this page says."""
        page.on("console", self.hear)
        page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}"))

    def hear(self, message: ConsoleMessage) -> None:
        """Keep errors and warnings; a Content Security Policy violation is an error."""
        if message.type in LOUD and not any(text in message.text for text in self.allowed):
            self.said.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")


@pytest.fixture
def console() -> Iterator[Console]:
    """The browser's console. It must stay silent."""
    heard = Console()
    yield heard
    assert heard.said == []


@pytest.fixture(scope="module")
def signed_in(browser: Browser, site: Site) -> Any:
    """The cookies of a signed-in admin."""
    context = browser.new_context(base_url=site.url)
    page = context.new_page()
    sign_in(page, site)
    state = context.storage_state()
    context.close()
    return state


def sign_in(page: Page, site: Site) -> None:
    """Through the form, as a person does."""
    page.goto("/sign-in")
    page.get_by_label("Username").fill(site.username)
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


Opener = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, site: Site, signed_in: Any, console: Console) -> Iterator[Opener]:
    """visit("/path", width=390, dark=True, …): a signed-in page, its curves drawn."""
    contexts: list[BrowserContext] = []

    def opened(path: str, *, width: int = 1440, dark: bool = False, script: bool = True, **options: Any) -> Page:
        scheme = "dark" if dark else "light"
        context = browser.new_context(
            base_url=site.url, viewport={"width": width, "height": 900}, color_scheme=scheme, storage_state=signed_in, java_script_enabled=script, **options
        )
        contexts.append(context)
        page = context.new_page()
        console.watch(page)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()


def settled(page: Page) -> Page:
    """Once every card near the window has its curves and none is loading."""
    page.wait_for_selector(".chart .uplot canvas")
    page.wait_for_function("() => ![...document.querySelectorAll('.chart')].some((card) => card.classList.contains('is-loading'))")
    return page


def photograph(page: Page, name: str) -> None:
    """A picture of the whole page for people to look at, in test-output/."""
    OUTPUT.mkdir(exist_ok=True)
    page.screenshot(path=OUTPUT / f"{name}.png", full_page=True)
