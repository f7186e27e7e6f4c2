"""What may be done with a run besides logging to it: copy it, pass it on, start the next one in its place."""

import copy
import pickle
import sys

import pytest
import research_platform as rp

from .conftest import TOKEN, until

COMPLETE = {"status": "complete"}


@pytest.fixture
def prompt(monkeypatch):
    """A person types, as in a notebook."""
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run)), lambda run: copy.deepcopy({"run": run})["run"]])
def test_a_copy_of_a_run_is_the_run(start, copied):
    run = start()
    assert copied(run) is run


def test_a_pickled_run_holds_no_token(start):
    assert TOKEN.encode() not in pickle.dumps(start(params={"lr": 1}))


def test_a_disabled_run_is_pickled_as_what_it_is():
    run = pickle.loads(pickle.dumps(rp.init("digits", mode="disabled", params={"lr": 1}, tags=["a"])))
    assert (type(run), run.params, run.tags) == (rp.DisabledRun, {"lr": 1}, ["a"])
    run.log({"loss": 1})
    run.finish()


PASSED_ON = """
import multiprocessing, pickle, sys
def work(run):
    print(run.id, run.slug, run.params, flush=True)
    run.log({"loss": 2})
    run.log({"loss": 3})
    run.update(tags=["x"])
    run.finish(status="failed")
if __name__ == "__main__":
    run = rp.init("digits", name="first", params={"lr": 1})
    run.log({"loss": 1})
    worker = multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(run,))
    worker.start()
    worker.join()
    assert worker.exitcode == 0, worker.exitcode
    run.log({"loss": 4})
"""


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_a_run_that_is_passed_to_another_process_can_be_read_there_and_says_that_it_takes_no_points(far, script, method):
    process = script(PASSED_ON, arguments=[method])
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert output.strip() == "0d3b9f6e-0000-4000-8000-000000000002 first {'lr': 1}"
    assert errors.count("was started by another process") == 1
    assert [value for batch in far.batches for value in batch.json["metrics"]["loss"]] == [1.0, 4.0]
    assert far.endings == [COMPLETE]


def test_a_run_that_is_started_again_in_a_notebook_ends_the_one_before(far, start, prompt, caplog):
    first = start(name="first")
    first.log({"loss": 1})
    second = start(name="second")
    assert far.endings == [COMPLETE]
    assert len(far.batches) == 1
    assert "first was still open" in caplog.text
    second.log({"loss": 2})
    until(lambda: len(far.batches) == 2)


@pytest.mark.parametrize(("error", "kind"), [(KeyboardInterrupt(), "interrupted"), (ZeroDivisionError(), "crashed")])
def test_a_run_whose_cell_was_cut_short_does_not_end_well(far, start, prompt, monkeypatch, error, kind):
    start(name="first").log({"loss": 1})
    monkeypatch.setattr(sys, "last_value", error, raising=False)
    start(name="second")
    assert far.endings == [{"status": "failed", "failure_kind": kind}]


def test_an_error_in_a_notebook_after_which_the_run_went_on_does_not_fail_it(far, start, prompt, monkeypatch):
    first = start(name="first")
    monkeypatch.setattr(sys, "last_value", NameError(), raising=False)
    first.log({"loss": 1})
    start(name="second")
    assert far.endings == [COMPLETE]


def test_runs_in_blocks_go_on_beside_each_other_in_a_notebook(far, start, prompt):
    with start(name="first") as first, start(name="second"):
        assert far.endings == []
        first.log({"loss": 1})
    assert far.endings == [COMPLETE] * 2


def test_a_script_may_have_several_runs_open(far, start):
    first, second = start(name="first"), start(name="second")
    assert far.endings == []
    first.log({"loss": 1})
    second.log({"loss": 1})
    until(lambda: len(far.batches) == 2)


def test_a_prompt_that_starts_a_run_again_ends_the_one_before_and_then_the_last(far, script):
    process = script("", command=[sys.executable, "-i", "-q"])
    lines = ["import research_platform as rp", *(f"run = rp.init('digits', name='{name}')" for name in "ab"), "1 / 0", "run.log({'loss': 1})"]
    _, errors = process.communicate("\n".join(lines) + "\n", timeout=30)
    assert far.endings == [COMPLETE] * 2, errors
    assert errors.count("was still open") == 1
