"""The page of alerts in a real browser: acknowledging and silencing without a reload, the badge, a phone's width, no script."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Site, photograph, product, sign_in, site_of
from tests.faults.served import ROOT

pytestmark = pytest.mark.browser

RUNS = ("one", "two", "three")
OPEN = """
from experiments.models import Experiment
from alerts import lifecycle as alerts
for run in Experiment.objects.all():
    alerts.open_alert(kind="stalled", severity="mid", experiment=run, message="No point and no heartbeat for 12 min: look at the script.")
alerts.open_alert(kind="disk", severity="high", part="disk of web1", message="3 GB are free where the spool lies: make room.")
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with alerts that are open: three of runs, one of the server."""
    with product(tmp_path_factory.mktemp("watched")) as served:
        served.make_experiments("digits", list(RUNS))
        environment = os.environ | served.settings | {"DATA_DIR": str(served.data_dir)}
        subprocess.run([sys.executable, "manage.py", "shell", "--no-imports", "-c", OPEN], cwd=ROOT, env=environment, check=True, timeout=120)
        yield site_of(served)


def opened(browser: Browser, site: Site, *, width: int = 1440, dark: bool = False, script: bool = True) -> Page:
    context = browser.new_context(
        base_url=site.url, viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", java_script_enabled=script
    )
    page = context.new_page()
    sign_in(page, site)
    page.goto("/alerts/")
    return page


def test_what_is_done_shows_at_once_without_another_page(browser: Browser, watched: Site, console):
    page = opened(browser, watched)
    console.watch(page)
    badge = page.locator("#alert-badge")
    expect(badge).to_have_attribute("data-count", "4")
    expect(page.locator(".table.alerts tbody tr").first).to_contain_text("disk of web1")
    page.evaluate("() => { window.unchanged = true; }")
    page.get_by_role("button", name="Acknowledge").first.click()
    expect(badge).to_have_attribute("data-count", "3")
    expect(page.locator(".table.alerts")).to_contain_text("admin sees to it")
    row = page.locator(".table.alerts tbody tr").first
    row.get_by_label("How long").select_option("1w")
    row.get_by_role("button", name="Silence").click()
    expect(page.get_by_role("button", name="End silence")).to_have_count(1)
    expect(badge).to_have_attribute("data-count", "2")
    page.get_by_role("button", name="End silence").click()
    expect(badge).to_have_attribute("data-count", "3")
    assert page.evaluate("() => window.unchanged") is True
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_fits_its_window_and_says_all(browser: Browser, watched: Site, console, width: int, dark: bool):
    page = opened(browser, watched, width=width, dark=dark)
    console.watch(page)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    for message in page.locator(".table.alerts td.wrap").all():
        box = message.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    expect(page.get_by_role("heading", name="Parts")).to_be_visible()
    photograph(page, f"alerts-{width}-{'dark' if dark else 'light'}")
    page.context.close()


def test_it_works_without_scripts(browser: Browser, watched: Site):
    page = opened(browser, watched, script=False)
    before = page.get_by_role("button", name="Acknowledge").count()
    page.get_by_role("button", name="Acknowledge").first.click()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(before - 1)
    assert page.url.endswith("/alerts/")
    page.context.close()


@pytest.mark.parametrize("width", [1440, pytest.param(390, marks=pytest.mark.slow)])
def test_a_channel_is_made_tested_changed_and_deleted(browser: Browser, watched: Site, console, width: int):
    page = opened(browser, watched, width=width)
    console.watch(page)
    console.allowed.append("status of 422")
    page.get_by_role("link", name="Add a channel").click()
    page.get_by_label("Name").fill("عند الطلب")
    page.get_by_label("By", exact=True).select_option("webhook")
    page.get_by_label("Send to").fill("https://127.0.0.1/hook")
    page.get_by_role("button", name="Make the channel").click()
    expect(page.get_by_role("alert")).to_contain_text("leads to a private, local or reserved address")
    expect(page.get_by_label("Name")).to_have_value("عند الطلب")
    page.get_by_label("Send to").fill("https://hooks.invalid/hook")
    page.get_by_role("button", name="Make the channel").click()
    expect(page.locator("#secret")).not_to_be_empty()
    photograph(page, f"channel-made-{width}")
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("alert")).to_contain_text("hooks.invalid cannot be reached from here")
    expect(page.locator("#secret")).to_have_count(0)
    expect(page.locator("main .table")).to_contain_text("failed")
    photograph(page, f"channel-{width}")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("From severity").select_option("high")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("is saved")
    page.get_by_role("link", name="Back to Health").click()
    expect(page.locator("#channels")).to_contain_text("hooks.invalid cannot be reached from here")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    photograph(page, f"channels-{width}")
    page.locator("#channels").get_by_role("link", name="عند الطلب").click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.locator("#channels")).to_contain_text("sent nowhere yet")
    page.context.close()
