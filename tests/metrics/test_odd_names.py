"""Names of metrics that addresses and file systems give a meaning of their own."""

from __future__ import annotations

import csv
import io
import json
import re
from email.message import Message
from urllib.parse import quote, urlencode

import pytest

from config.web.files import file_name
from experiments.models import Experiment
from projects.models import ProjectMetric

pytestmark = pytest.mark.differs_on_servers("names go to the record, the spool and the metric store and come back")
NAMES = [
    "train/loss", "train%2Floss", "100%", "%25", "%", ".", "..", "a/../b", "./a", "/lead", "trail/", "a//b", "🚀", "()", "$", "$&",
    "a b", "a+b", "a&b=c", "a?b#c", "a;b",
    "a,b", "a`b", 'a"b', "a'b", "\\", "<b>", "-", "~", "größe", "损失", "CON", "loss.min", "x" * 250,
]  # fmt: skip


@pytest.fixture
def api(store, erin, api_for):
    return api_for(erin)


@pytest.fixture
def logged(experiment, log) -> Experiment:
    log(experiment, {name: [float(n)] for n, name in enumerate(NAMES)})
    return experiment


def saved_as(answer) -> str:
    """The name under which a browser saves an answer."""
    head = Message()
    head["Content-Disposition"] = answer["Content-Disposition"]
    found = head.get_filename()
    assert found is not None
    return found


def test_every_name_is_found_in_a_query_and_in_a_path(api, logged):
    for n, name in enumerate(NAMES):
        asked = [f"timeseries/digits/baseline/{quote(name, safe='')}", f"timeseries/digits/baseline?{urlencode({'metric': name})}"]
        answers = [api.get(f"/api/v1/metrics/{address}") for address in asked]
        assert [(answer.status_code, answer.json()["points"][0]["value"]) for answer in answers] == [(200, n)] * 2, name
        compared = api.get("/api/v1/metrics/compare/digits", {"metric": name, "experiments": "baseline"})
        assert compared.json()["series"][0]["avg"] == [n], name
        over = api.get("/api/v1/metrics/compare/digits", {"metric": name, "experiments": "baseline", "x": "metric", "x_metric": NAMES[-1]})
        assert over.json()["count"] == 1, name


def test_every_name_is_changed_and_forgotten_by_query_and_path(api, logged):
    project = logged.project
    for name in NAMES:
        for address in (f"/metrics/{quote(name, safe='')}", f"/metrics?{urlencode({'metric': name})}"):
            for direction in ("minimize", "maximize"):
                answer = api.patch(f"/api/v1/projects/digits{address}", json.dumps({"direction": direction}), content_type="application/json")
                assert (answer.status_code, answer.json()["direction"]) == (200, direction), name
        again = api.post("/api/v1/projects/digits/metrics", json.dumps({"name": name}), content_type="application/json")
        told = re.search(r"PATCH (\S+) to change", again.json()["error"]["message"])
        assert told
        assert api.patch(told[1], json.dumps({"direction": ""}), content_type="application/json").status_code == 200, told[1]
        assert api.delete(f"/api/v1/projects/digits/metrics?{urlencode({'metric': name})}").status_code == 204, name
    assert not ProjectMetric.objects.filter(project=project).exists()


def test_an_address_that_names_no_metric_asks_for_one(api, logged):
    assert api.get("/api/v1/metrics/timeseries/digits/baseline").status_code == 422
    assert api.patch("/api/v1/projects/digits/metrics", "{}", content_type="application/json").status_code == 422
    assert api.patch("/api/v1/projects/digits/metrics/los", "{}", content_type="application/json").status_code == 404
    assert ProjectMetric.objects.count() == len(NAMES)


def test_every_name_is_exported_as_a_file_with_a_fitting_name(api, logged):
    for n, name in enumerate(NAMES):
        points = api.get("/api/v1/metrics/points/digits", {"metric": name, "experiments": "baseline"})
        series = api.get("/api/v1/metrics/timeseries/digits/baseline", {"metric": name, "format": "csv"})
        for answer in (points, series):
            rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
            assert (answer.status_code, [float(row["value"]) for row in rows]) == (200, [n]), name
            assert re.fullmatch(r"""[^\s/\\:*?"'<>|`%.-][^\s/\\:*?"'<>|`%]*\.csv""", saved_as(answer)), saved_as(answer)
            assert len(saved_as(answer).encode()) <= 255


def test_the_pages_show_every_name(browser_for, bob, logged):
    browser, project = browser_for(bob), "/projects/vision-team/digits/"
    explore, compare, attribution = (project + page for page in ("explore", "compare", "attribution"))
    addresses = [f"{project}experiments/baseline/", f"{project}compare?e=baseline", project, f"{project}metrics/"]
    for name in NAMES:
        column = {"columns": f"metric:{name}", "sort": f"metric:{name.replace('%', '%25').replace(',', '%2C')}"}
        addresses += [f"{project}?{urlencode(column)}", f"{project}?{urlencode(column)}&format=csv", f"{explore}?{urlencode({'x': f'metric:{name}'})}"]
        addresses += [
            f"{attribution}?{urlencode({'metric': name})}",
            f"{compare}?{urlencode({'e': 'baseline', 'x': 'metric', 'x_metric': name})}",
        ]
    assert [(address, status) for address in addresses if (status := browser.get(address).status_code) != 200] == []


@pytest.mark.parametrize(
    ("parts", "name"),
    [(("digits", "train/loss"), "digits-train-loss"), (("digits", ".."), "digits"), (("digits", "🚀"), "digits-🚀"),
     (("..", "/"), "file"), (("a", ".hidden"), "a-hidden"),
     (("digits", "$"), "digits-$"), (("digits", "f(x)"), "digits-f(x)"), (("x" * 199, "损" * 99), f"{'x' * 120}-{'损' * 40}"), (("a\u202eb",), "a-b")],
)  # fmt: skip
def test_a_file_is_named_after_what_is_in_it(parts, name):
    assert file_name(*parts) == name
