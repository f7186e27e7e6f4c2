"""The example trains for real, logs what it measures, and the demo is a recording of it."""

import gzip
import json
import math
import os
import subprocess
import sys

import pytest
import record_demo
import train_digits

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
