"""The example trains for real, logs what it measures, and the demo is a recording of it."""

import gzip
import json
import math
import os
import subprocess
import sys

import hypothesis_digits
import pytest
import record_demo
import train_digits

from tests.faults.served import Served

from .conftest import CLIENT, ROOT, TOKEN


class Kept:
    def __init__(self):
        self.rows = []

    def log(self, metrics, step):
        self.rows.append({"step": step, **metrics})

    def of(self, metric):
        return [row[metric] for row in self.rows]


@pytest.fixture(scope="module")
def data():
    return train_digits.digits()


def planned(name, *, epochs):
    return next(plan for plan in train_digits.plans(train_digits.VARIANTS, seeds=1, epochs=epochs) if plan.variant.name == name)


def test_training_learns(data):
    run = Kept()
    result = train_digits.train(planned("baseline", epochs=12), data, run)
    losses = run.of("train/loss")
    assert run.of("step") == list(range(12))
    assert losses == sorted(losses, reverse=True)
    assert run.of("val/loss")[-1] < run.of("val/loss")[0] / 2
    assert result.best_accuracy == max(run.of("val/accuracy")) > 0.9
    assert not result.is_diverged


def test_the_same_seed_gives_the_same_run_and_another_seed_another(data):
    plans = list(train_digits.plans(train_digits.VARIANTS[:1], seeds=2, epochs=2))
    runs = [Kept() for _ in range(3)]
    for plan, run in zip([plans[0], plans[0], plans[1]], runs, strict=True):
        train_digits.train(plan, data, run)
    assert runs[0].rows == runs[1].rows != runs[2].rows


def test_one_variant_truly_diverges(data):
    run = Kept()
    result = train_digits.train(planned("linear, lr 0.4", epochs=50), data, run)
    assert result.is_diverged
    assert math.isnan(run.of("train/loss")[-1])
    assert len(run.rows) < 50


def test_every_variant_says_what_it_changes_against_its_parent():
    plans = {plan.name: plan for plan in train_digits.plans(train_digits.VARIANTS, seeds=2, epochs=1)}
    assert plans["baseline · s2"].parent is None
    assert plans["baseline · s2"].features_diff == {}
    child = plans["wider + regularised · s2"]
    assert child.parent == "wider · s2"
    assert child.features_diff == {"alpha": {"from": 1e-4, "to": 0.3}}
    assert (child.params["hidden"], child.params["alpha"], child.params["seed"]) == ([128], 0.3, 2)
    assert [name for name, plan in plans.items() if plan.parent and plan.parent not in list(plans)[: list(plans).index(name)]] == []


def test_a_variant_alone_keeps_what_its_absent_parents_changed():
    [plan] = train_digits.plans([v for v in train_digits.VARIANTS if v.name == "wider + regularised"], seeds=1, epochs=1)
    assert (plan.parent, plan.features_diff) == (None, {})
    assert (plan.params["hidden"], plan.params["alpha"]) == ([128], 0.3)


def test_the_script_logs_every_epoch_of_every_run(far, tmp_path):
    settings = {"RP_URL": far.url, "RP_TOKEN": TOKEN, "PYTHONPATH": str(CLIENT), "PATH": os.environ["PATH"]}
    command = [sys.executable, str(ROOT / "examples" / "train_digits.py"), "--quick", "--seeds", "1", "--variants", "baseline", "linear", "linear, lr 0.4"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "3 runs in" in done.stdout
    assert f"{far.url}/digits/" in done.stdout
    started = [request.json for request in far.of("POST", "/experiments")]
    assert [run["name"] for run in started] == ["baseline · s1", "linear · s1", "linear, lr 0.4 · s1"]
    assert started[1]["parent"]
    assert started[1]["features_diff"] == {"activation": {"from": "relu", "to": "identity"}}
    assert [ending["status"] for ending in far.endings] == ["complete", "complete", "failed"]
    assert far.endings[2]["failure_kind"] == "diverged"
    assert sum(len(batch.json["steps"]) for batch in far.batches) == 36


def test_a_recording_holds_what_was_logged_and_when(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["record_demo.py", "--seeds", "1", "--epochs", "2", "--to", str(tmp_path / "deep" / "demo.json.gz")])
    record_demo.main()
    content = json.loads(gzip.decompress((tmp_path / "deep" / "demo.json.gz").read_bytes()))
    assert [metric["name"] for metric in content["project"]["metrics"]] == ["val/accuracy", "val/loss", "train/loss"]
    assert len(content["experiments"]) == len(train_digits.VARIANTS)
    check(content)


def test_the_committed_demo_is_whole_and_small():
    path = record_demo.RECORDING
    assert path.stat().st_size < 400_000
    content = json.loads(gzip.decompress(path.read_bytes()))
    assert len(content["experiments"]) == 45
    assert {run["failure_kind"] for run in content["experiments"]} == {"", "diverged"}
    assert any(set(run["metrics"]["train/loss"]) & {"NaN", "Infinity"} for run in content["experiments"])
    check(content)


def test_a_recording_of_hypotheses_holds_claims_before_runs_and_links_as_they_start(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["record_demo.py", "--hypotheses", "--seeds", "2", "--epochs", "2", "--to", str(tmp_path / "demo.json.gz")])
    record_demo.main()
    content = json.loads(gzip.decompress((tmp_path / "demo.json.gz").read_bytes()))
    assert len(content["experiments"]) == 2 * len(hypothesis_digits.TESTED)
    check(content)
    check_hypotheses(content, seeds=2)


def test_the_committed_hypotheses_are_those_of_the_script_and_their_seeds_are_fresh():
    path = record_demo.HYPOTHESES
    assert path.stat().st_size < 40_000
    content = json.loads(gzip.decompress(path.read_bytes()))
    check(content)
    check_hypotheses(content, seeds=hypothesis_digits.SEEDS)
    before = json.loads(gzip.decompress(record_demo.RECORDING.read_bytes()))
    seeds = [{run["seed"] for run in recording["experiments"]} for recording in (before, content)]
    assert seeds[0].isdisjoint(seeds[1])
    assert {len(run["steps"]) for run in content["experiments"]} == {hypothesis_digits.EPOCHS}


def check_hypotheses(content, *, seeds):
    """Said as the script says it, before the first run, and linked by the variant's own runs when they start."""
    runs = content["experiments"]
    for claim, kept in zip(hypothesis_digits.CLAIMS, content["hypotheses"], strict=True):
        assert claim.terms.items() <= kept.items()
        assert 0 <= kept["stated_s"] <= runs[0]["started_s"]
        linked = [runs[each["experiment"]] for each in kept["links"]]
        assert [run["name"].split(" · ")[0] for run in linked] == [claim.variant] * seeds
        assert [each["linked_s"] for each in kept["links"]] == [run["started_s"] for run in linked]


@pytest.fixture
def product(tmp_path):
    """The whole product, empty, and the environment of a script that talks to it."""
    (tmp_path / "data").mkdir()
    served = Served(tmp_path / "data")
    served.start()
    try:
        yield {"RP_CREDENTIALS": str(served.data_dir / "credentials.json"), "PYTHONPATH": str(CLIENT), "PATH": os.environ["PATH"]}
        assert served.stop() == 0
    finally:
        served.end()


@pytest.mark.slow
def test_the_script_states_trains_and_ends_with_a_verdict_of_each_kind_and_a_second_time_with_fresh_seeds(product):
    printed = [hypotheses_printed(product, "--seeds", "4"), hypotheses_printed(product, "--seeds", "1")]
    words = [line.split(":")[0].strip() for line in printed[0].splitlines() if " runs v " in line]
    assert words == ["Supported", "Refuted", "Testing"], printed[0]
    assert printed[0].count("/projects/research-team/digits/hypotheses/") == 3
    assert ["baseline · s1 " in text for text in printed] == [True, False]
    assert "baseline · s17 " in printed[1]
    assert printed[1].count(": 1 run v 5,") == 3


def hypotheses_printed(environment, *arguments):
    """What the script prints."""
    command = [sys.executable, str(ROOT / "examples" / "hypothesis_digits.py"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_server_the_script_says_what_to_do(tmp_path):
    command = [sys.executable, str(ROOT / "examples" / "hypothesis_digits.py")]
    environment = {"PYTHONPATH": str(CLIENT), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert "research-platform login" in done.stderr
    assert "Traceback" not in done.stderr


def check(content):
    end = 0.0
    for place, run in enumerate(content["experiments"]):
        assert run["parent"] is None or run["parent"] < place
        assert run["parent"] is None or content["experiments"][run["parent"]]["seed"] == run["seed"]
        assert {len(run["steps"]), len(run["times_s"])} | set(map(len, run["metrics"].values())) == {len(run["steps"])}
        assert end <= run["started_s"] <= run["times_s"][0]
        assert run["times_s"] == sorted(run["times_s"])
        assert run["times_s"][-1] <= run["finished_s"]
        assert (run["status"] == "failed") == (run["failure_kind"] != "")
        end = run["finished_s"]
