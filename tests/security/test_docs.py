import json
from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import ConsoleMessage, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-background-networking"]


def test_the_schema_is_open_and_names_every_part_of_the_api(client, db):
    schema = client.get("/api/schema")
    assert schema["Content-Type"].startswith("application/json")
    paths = json.loads(schema.content)["paths"]
    assert {"/api/v1/projects", "/api/v1/experiments", "/api/v1/tokens", "/api/v1/metrics/log/{project}/{experiment}"} <= set(paths)
    assert client.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi"}).content.startswith(b"openapi:")


def test_each_operation_stands_in_one_chapter_and_no_chapter_is_empty(client, db):
    schema = client.get("/api/schema").json()
    tags = [operation["tags"] for methods in schema["paths"].values() for operation in methods.values()]
    chapters = [chapter["name"] for chapter in schema["tags"]]
    assert all(len(each) == 1 for each in tags)
    assert {each[0] for each in tags} == set(chapters)
    told = {operation["operationId"]: operation["tags"][0] for methods in schema["paths"].values() for operation in methods.values()}
    assert told | {"log_batch": "Metrics", "channels": "Alerts", "attribution": "Hypotheses", "restore": "Operators", "sign_in": "Access"} == told


def test_the_docs_relax_the_policy_for_style_alone(client, db):
    strict = dict(part.split(" ", 1) for part in client.get("/sign-in")["Content-Security-Policy"].split("; "))
    relaxed = dict(part.split(" ", 1) for part in client.get("/docs")["Content-Security-Policy"].split("; "))
    assert relaxed.pop("style-src") == "'self' 'unsafe-inline'"
    strict.pop("style-src")
    assert relaxed == strict


def is_complaint(message: ConsoleMessage) -> bool:
    """Errors and warnings, but for the icon that Chromium asks of every site by itself."""
    return message.type in ("error", "warning") and not message.location["url"].endswith("/favicon.ico")


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed")
@pytest.mark.parametrize("address", ["/docs", "/admin/experiments/experiment/add/"])
def test_pages_of_libraries_run_under_the_policy(live_server, address, django_user_model):
    user = django_user_model.objects.create_superuser("operator", password="long enough to pass")
    client = Client()
    client.force_login(user)
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        context = browser.new_context()
        context.add_cookies([session])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.goto(live_server.url + address)
        if address == "/docs":
            page.get_by_text("/api/v1/experiments/{experiment}/heartbeat").first.click()
            page.get_by_role("button", name="Try it out").wait_for()
        else:
            page.locator("#id_project + .select2").click()
            page.get_by_text("No results found").wait_for()
        browser.close()
    assert complaints == []
