"""How a run ends: by itself, by an error, by a signal, with its process."""

import signal
import sys
import threading
import time
from contextlib import suppress

import pytest
import research_platform as rp
from research_platform import cli, keeping
from research_platform.children import ending_by

from .conftest import TOKEN, until


def logged(far):
    return [value for batch in far.batches for value in batch.json["metrics"].get("loss", [])]


def log_and_raise(run, error):
    run.log({"loss": 1})
    raise error


def test_finish_sends_everything_before_it_ends_the_run(far, start):
    run = start(pace=rp.Pace(flush_s=60))
    run.log({"loss": 1})
    run.finish()
    assert [request.method for request in far.requests] == ["POST", "POST", "PATCH"]
    assert far.endings == [{"status": "complete"}]


def test_finish_may_be_called_again(far, start):
    run = start()
    run.finish()
    run.finish(status="failed")
    assert len(far.endings) == 1


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"status": "failed", "failure_kind": "diverged"}, {"status": "failed", "failure_kind": "diverged"}),
        ({"status": "failed"}, {"status": "failed", "failure_kind": "crashed"}),
        ({"failure_kind": "interrupted"}, {"status": "failed", "failure_kind": "interrupted"}),
        ({"status": "complete"}, {"status": "complete"}),
    ],
)
def test_a_run_ends_as_its_script_says(far, start, asked, told):
    start().finish(**asked)
    assert far.endings == [told]


@pytest.mark.parametrize("words", [{"status": "completed"}, {"failure_kind": "boom"}])
def test_a_status_that_there_is_not_raises_and_leaves_the_run_open(far, start, words):
    run = start()
    with pytest.raises(ValueError, match="A run ends as complete or failed"):
        run.finish(**words)
    run.log({"loss": 1})
    run.finish()
    assert logged(far) == [1.0]


def test_the_status_is_offered_until_it_is_taken(far, start):
    run = start()
    good, refusals = far.answer, iter([(503, None, {})] * 3)
    far.answer = lambda request: next(refusals, None) or good(request)
    run.finish()
    assert len(far.of("PATCH")) == 4


def test_a_run_that_was_ended_elsewhere_is_not_ended_again_and_again(far, start, caplog):
    run = start()
    good, conflict = far.answer, (409, {"error": {"code": "conflict", "message": "It is failed already."}, "request_id": "r"}, {})
    far.answer = lambda request: conflict if request.method == "PATCH" else good(request)
    run.finish()
    assert len(far.of("PATCH")) == 1
    assert "could not be marked as complete (409 It is failed already.)" in caplog.text


@pytest.mark.parametrize(
    ("error", "kind"), [(ZeroDivisionError(), "crashed"), (KeyboardInterrupt(), "interrupted"), (SystemExit(1), "crashed"), (SystemExit("no"), "crashed")]
)
def test_an_error_in_the_block_fails_the_run_and_goes_on(far, start, error, kind):
    run = start()
    with pytest.raises(type(error)), run:
        log_and_raise(run, error)
    assert logged(far) == [1.0]
    assert far.endings == [{"status": "failed", "failure_kind": kind}]


def test_a_block_that_ends_well_completes_the_run(far, start):
    with pytest.raises(SystemExit), start():
        raise SystemExit(0)
    with start():
        pass
    assert far.endings == [{"status": "complete"}] * 2


def test_a_script_that_never_finishes_its_run_loses_nothing(far, script):
    process = script('run = rp.init("digits")\nfor i in range(1000): run.log({"loss": i})\n')
    assert process.wait(20) == 0
    assert logged(far) == [float(i) for i in range(1000)]
    assert far.endings == [{"status": "complete"}]
    assert process.stderr.read() == ""


def test_a_script_that_crashes_fails_its_run_and_shows_its_traceback(far, script):
    process = script('run = rp.init("digits")\nrun.log({"loss": 1})\n1 / 0\n')
    assert process.wait(20) == 1
    assert logged(far) == [1.0]
    assert far.endings == [{"status": "failed", "failure_kind": "crashed"}]
    assert "ZeroDivisionError" in process.stderr.read()


@pytest.mark.parametrize("block", ["", "with run:\n  "])
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, -signal.SIGINT),
        *((number, 128 + number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)),
        *((number, 128 + number) for number in (signal.SIGQUIT, signal.SIGALRM, signal.SIGXCPU)),
    ],
)
def test_a_script_that_is_stopped_has_an_interrupted_run(far, script, block, number, code):
    process = script(f'import time\nrun = rp.init("digits")\nrun.log({{"loss": 1}})\n{block}time.sleep(60)\n')
    until(lambda: far.batches)
    process.send_signal(number)
    assert process.wait(20) == code
    assert logged(far) == [1.0]
    assert far.endings == [{"status": "failed", "failure_kind": "interrupted"}]


def test_a_tight_loop_that_is_interrupted_keeps_every_row_whole(far, script):
    process = script('run = rp.init("digits")\ni = 0\nwhile True:\n  run.log({"loss": i, "acc": i}, step=i)\n  i += 1\n')
    until(lambda: far.batches)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    for body in (batch.json for batch in far.batches):
        assert body["metrics"]["loss"] == body["metrics"]["acc"] == [float(step) for step in body["steps"]]
        assert len(body["timestamps"]) == len(body["steps"])


def test_a_script_whose_runs_are_finished_dies_of_sigterm_as_any_other(far, script):
    process = script('import time\nrp.init("digits").finish()\nprint("ready", flush=True)\ntime.sleep(60)\n')
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM
    assert far.endings == [{"status": "complete"}]


def test_a_script_with_its_own_sigterm_handler_keeps_it(far, script):
    handler = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
    process = script(handler + 'run = rp.init("digits")\nprint("ready", flush=True)\ntime.sleep(60)\n')
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.wait(20) == 5


def test_an_exit_without_a_server_ends_in_time_and_says_what_is_lost(far, script):
    process = script('import time\nrun = rp.init("digits")\nprint("ready", flush=True)\ntime.sleep(0.5)\nrun.log({"loss": 1})\n', RP_FLUSH_TIMEOUT="1")
    assert process.stdout.readline() == "ready\n"
    far.answer = lambda request: "hang up"
    begin = time.monotonic()
    assert process.wait(20) == 0
    assert time.monotonic() - begin < 8
    assert "1 point was not sent in time" in process.stderr.read()


FORKED = """
import os, sys
run = rp.init("digits")
run.log({"loss": 1})
child = os.fork()
if child == 0:
    run.log({"loss": 2})
    run.log({"loss": 3})
    run.update(tags=["x"])
    run.finish(status="failed")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
run.log({"loss": 4})
"""


def test_a_forked_child_logs_nothing_and_ends_nothing(far, script):
    process = script(FORKED)
    assert process.wait(20) == 0
    assert logged(far) == [1.0, 4.0]
    assert far.endings == [{"status": "complete"}]
    assert process.stderr.read().count("was started by another process") == 1


WORKERS = """
import multiprocessing, time
def work(): time.sleep(60)
if __name__ == "__main__":
    run = rp.init("digits")
    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    time.sleep(0.3)
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == -15, worker.exitcode
"""


def test_a_forked_worker_dies_of_sigterm_as_any_other(far, script):
    process = script(WORKERS)
    assert process.wait(20) == 0, process.stderr.read()
    assert far.endings == [{"status": "complete"}]


def test_two_open_runs_both_end_with_their_process(far, script):
    process = script('for name in "ab": rp.init("digits", name=name).log({"loss": 1})\n')
    assert process.wait(20) == 0
    assert far.endings == [{"status": "complete"}] * 2


INTERRUPTED, CRASHED, COMPLETE = {"status": "failed", "failure_kind": "interrupted"}, {"status": "failed", "failure_kind": "crashed"}, {"status": "complete"}
MODULE = 'import sys, os, signal, time\nrun = rp.init("digits")\nrun.log({"loss": 1})\n'


@pytest.mark.parametrize(
    ("leave", "code", "told"),
    [
        ("sys.exit(1)", 1, CRASHED),
        ("sys.exit('no data')", 1, CRASHED),
        ("sys.exit(0.0)", 1, CRASHED),
        ("sys.exit()", 0, COMPLETE),
        ("sys.exit(0)", 0, COMPLETE),
        ("sys.exit(256)", 0, COMPLETE),
        ("sys.exit(130)", 130, INTERRUPTED),
        ("sys.exit(128 + signal.SIGTERM)", 143, INTERRUPTED),
        ("exit(3)", 3, CRASHED),
        ("quit(3)", 3, CRASHED),
        ("raise SystemExit(4)", 4, CRASHED),
        ("raise SystemExit", 0, COMPLETE),
        ("try: raise SystemExit(4)\nexcept SystemExit as error: kept = error\nraise kept", 4, CRASHED),
        ("def late():\n  try: raise SystemExit(4)\n  except SystemExit as error: kept = again = error\n  raise kept\nlate()", 4, CRASHED),
        ("try: raise SystemExit(4)\nexcept SystemExit as error: kept = [error, error]", 0, COMPLETE),
        ("import numpy; sys.exit(numpy.int64(0))", 1, CRASHED),
        ("kept = SystemExit(9)", 0, COMPLETE),
        ("kept = type('Proxy', (), {'__class__': property(lambda self: 1 / 0)})()\nraise SystemExit(4)", 4, CRASHED),
        ("os._exit(5)", 5, CRASHED),
        ("os._exit(0)", 0, COMPLETE),
        ("try: sys.exit(2)\nexcept SystemExit: pass", 0, COMPLETE),
        ("try: raise KeyboardInterrupt\nexcept KeyboardInterrupt: sys.exit(1)", 1, INTERRUPTED),
        ("try: raise KeyboardInterrupt\nexcept KeyboardInterrupt: sys.exit(0)", 0, COMPLETE),
        ("sys.excepthook = lambda *_: None\n1 / 0", 1, CRASHED),
        ("import threading\nthread = threading.Thread(target=sys.exit, args=(3,)); thread.start(); thread.join()", 0, COMPLETE),
    ],
)
def test_the_exit_code_decides_how_a_run_ended(far, script, leave, code, told):
    process = script(MODULE + leave + "\n")
    assert process.wait(20) == code, process.stderr.read()
    assert logged(far) == [1.0]
    assert far.endings == [told]


TEE = """
import sys
class Tee:
    def __init__(self, *streams): self.streams = streams
    def write(self, text): return [stream.write(text) for stream in self.streams][0]
    def flush(self): [stream.flush() for stream in self.streams]
"""
INIT = 'run = rp.init("digits")\n'
LOG = 'run.log({"loss": 1})\n'


@pytest.mark.parametrize(
    "source",
    [
        "sys.stderr = Tee(sys.stderr)\n" + INIT + LOG,
        "sys.stdout, sys.stderr = Tee(sys.stdout), Tee(sys.stderr)\n" + INIT + LOG,
        INIT + "sys.stderr = Tee(sys.stderr)\n" + LOG,
        INIT + "sys.stdout, sys.stderr = Tee(sys.stdout), Tee(sys.stderr)\n" + LOG,
        INIT + LOG + "sys.stderr.close()\n",
        INIT + LOG + "sys.stderr = None\n",
        "sys.stderr = None\n" + INIT + LOG,
    ],
)
@pytest.mark.parametrize(("code", "told"), [(3, CRASHED), (0, COMPLETE)])
def test_a_raised_exit_is_heard_whatever_the_streams_are(far, script, source, code, told):
    process = script(TEE + source + f"raise SystemExit({code})\n")
    assert process.wait(20) == code
    assert far.endings == [told]


def test_a_script_that_took_exit_out_of_sys_before_its_run_began_is_heard_as_well(far, script):
    process = script('from sys import exit\nrp.init("digits")\nexit(3)\n')
    assert process.wait(20) == 3
    assert far.endings == [CRASHED]


@pytest.mark.parametrize("leave", ["sys.exit(3)", "exit(3)", "os._exit(3)"])
def test_a_module_that_is_run_as_a_script_ends_as_its_exit_code_says(far, script, tmp_path, leave):
    process = script(MODULE + leave + "\n", command=[sys.executable, "-W", "error", "-m", "train"], cwd=tmp_path)
    assert process.wait(20) == 3, process.stderr.read()
    assert far.endings == [CRASHED]


ARGPARSE = """
import argparse
rp.init("digits")
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.parse_args(["--lr", "high"])
"""
CLICK = """
import click
@click.command()
@click.option("--how")
def train(how):
    run = rp.init("digits")
    if how == "bad": raise click.ClickException("no data")
    if how == "usage": raise click.UsageError("no such layer")
    if how == "exit": click.get_current_context().exit(7)
train()
"""
HYDRA = """
import sys
import hydra
sys.argv = [sys.argv[0], "hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none"]
@hydra.main(version_base=None, config_path=None)
def train(config):
    run = rp.init("digits")
    run.log({"loss": 1})
    HOW
train()
"""


@pytest.mark.parametrize(
    ("source", "code", "told"),
    [
        (ARGPARSE, 2, CRASHED),
        (CLICK.replace("train()", "train(['--how', 'bad'])"), 1, CRASHED),
        (CLICK.replace("train()", "train(['--how', 'usage'])"), 2, CRASHED),
        (CLICK.replace("train()", "train(['--how', 'exit'])"), 7, CRASHED),
        (CLICK.replace("train()", "train(['--how', 'well'])"), 0, COMPLETE),
        (HYDRA.replace("HOW", "1 / 0"), 1, CRASHED),
        (HYDRA.replace("HOW", "raise KeyboardInterrupt"), -signal.SIGINT, INTERRUPTED),
        (HYDRA.replace("HOW", "pass"), 0, COMPLETE),
    ],
    ids=["argparse", "click", "click usage", "click exit", "click well", "hydra", "hydra ctrl-c", "hydra well"],
)
def test_a_failure_that_a_command_line_library_turns_into_an_exit_code_fails_the_run(far, script, tmp_path, source, code, told):
    process = script(source, warnings="default", cwd=tmp_path)
    assert process.wait(30) == code, process.stderr.read()
    assert far.endings == [told]


def test_a_signal_that_native_code_has_a_handler_for_is_left_to_it(far, script):
    process = script(
        "import faulthandler, os, signal, sys\nfaulthandler.register(signal.SIGUSR1)\n"
        'run = rp.init("digits")\nos.kill(os.getpid(), signal.SIGUSR1)\nrun.log({"loss": 1})\n'
    )
    assert process.wait(20) == 0
    assert far.endings == [COMPLETE]
    assert "most recent call first" in process.stderr.read()


def test_a_hangup_that_nohup_ignores_is_ignored(far, script):
    process = script(
        'import os, signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nrun = rp.init("digits")\nos.kill(os.getpid(), signal.SIGHUP)\nrun.log({"loss": 1})\n'
    )
    assert process.wait(20) == 0
    assert far.endings == [COMPLETE]


def test_a_script_that_leaves_well_after_it_was_told_to_stop_is_interrupted_all_the_same(far, script):
    process = script('import os, signal, sys\nrp.init("digits")\ntry: os.kill(os.getpid(), signal.SIGTERM)\nexcept SystemExit: sys.exit(0)\n')
    assert process.wait(20) == 0
    assert far.endings == [INTERRUPTED]


CHILD = """
import multiprocessing, os, signal, sys, time
def work(how):
    run = rp.init("digits")
    run.log({"loss": 1})
    if how == "error": raise ValueError("no data")
    if how == "exit": sys.exit(3)
    if how == "vanish": os._exit(3)
    if how == "terminated": os.kill(os.getpid(), signal.SIGTERM)
if __name__ == "__main__":
    worker = multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(sys.argv[2],))
    worker.start()
    worker.join()
    print(worker.exitcode)
"""


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@pytest.mark.parametrize(("how", "code", "told"), [("error", 1, CRASHED), ("exit", 3, CRASHED), ("vanish", 3, CRASHED), ("well", 0, COMPLETE)])
def test_a_run_of_a_child_process_ends_as_the_child_does(far, script, method, how, code, told):
    process = script(CHILD, arguments=[method, how])
    output, errors = process.communicate(timeout=30)
    assert output.split() == [str(code)], errors
    assert logged(far) == [1.0]
    assert far.endings == [told]


ALONE = pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python warns of threads beside a fork, so a parent that has none listens to none")
KILLED = """
import multiprocessing, os, signal, sys, time
def work(how):
    run = rp.init("digits")
    run.log({"loss": 1})
    while not reached.exists(): time.sleep(0.01)
    os.kill(os.getpid(), how)
import pathlib
reached = pathlib.Path(sys.argv[3])
if __name__ == "__main__":
    worker = multiprocessing.get_context(sys.argv[1]).Process(target=work, args=(int(sys.argv[2]),))
    worker.start()
    worker.join()
    print(worker.exitcode)
"""


@pytest.mark.parametrize(
    ("method", "number", "told"),
    [
        ("spawn", signal.SIGKILL, INTERRUPTED),
        ("forkserver", signal.SIGKILL, INTERRUPTED),
        ("spawn", signal.SIGSEGV, CRASHED),
        pytest.param("fork", signal.SIGKILL, INTERRUPTED, marks=ALONE),
        pytest.param("fork", signal.SIGABRT, CRASHED, marks=ALONE),
        ("forkserver", signal.SIGSEGV, CRASHED),
    ],
)
def test_the_run_of_a_child_that_is_killed_is_ended_by_its_parent(far, script, tmp_path, method, number, told):
    process = script(KILLED, arguments=[method, str(int(number)), str(tmp_path / "reached")])
    until(lambda: far.batches)
    (tmp_path / "reached").touch()
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, len(output.split())) == (0, 1), errors
    assert far.endings == [told]


def test_the_runs_of_children_that_end_well_are_ended_once(far, script):
    process = script(CHILD.replace("worker.join()", "worker.join()\n    worker = None; sys.exit(0)"), arguments=["spawn", "well"])
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert far.endings == [COMPLETE]
    assert errors == ""


def test_a_parent_that_starts_children_leaves_as_it_would_otherwise(far, script):
    source = (
        "import multiprocessing\nif __name__ == '__main__':\n    with multiprocessing.get_context('spawn').Pool(2) as pool: print(pool.map(abs, [-1, -2]))\n"
    )
    process = script(source)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output, errors) == (0, "[1, 2]\n", "")
    assert far.requests == []


# A signal while a run is ending


@pytest.fixture
def gate(far):
    """Holds back the answers to batches until it is opened, or closed for good: then nobody answers."""
    opened, good = threading.Event(), far.answer
    opened.is_broken = False

    def answer(request):
        if "/log-batch/" in request.path:
            opened.wait(30)
            return "hang up" if opened.is_broken else good(request)
        return good(request)

    far.answer = answer
    yield opened
    opened.set()


def shut(gate):
    gate.is_broken = True
    gate.set()


ROWS = 20_000
LONG = f'run = rp.init("digits")\nfor i in range({ROWS}): run.log({{"loss": i}}, step=i)\n'
BEGUN = "import threading\nrun.close(); run.await_sent(0.01)\n"


# Says so once its process's end has begun to end it.
AT_EXIT = "close = run.close\nrun.close = lambda: (close(), print('ending', flush=True))\n"


def values_of(lines):
    return [value for line in lines if "key" in line for value in keeping.kept_batch(line).batch.content["metrics"]["loss"]]


def kept():
    (path,) = keeping.files()
    return list(keeping.lines_of(path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("end", ["try: print('ending', flush=True); run.finish()\nexcept BaseException: print('stopped', flush=True); raise\n", AT_EXIT])
def test_a_signal_while_a_run_is_ending_makes_it_interrupted_and_loses_no_point(far, script, gate, number, end):
    process = script(LONG + end)
    assert process.stdout.readline() == "ending\n"
    until(lambda: far.batches)
    process.send_signal(number)
    if end != AT_EXIT:
        assert process.stdout.readline() == "stopped\n"
    gate.set()
    process.wait(20)
    received = {batch.headers["idempotency-key"]: batch.json for batch in far.batches}
    assert sorted(value for body in received.values() for value in body["metrics"]["loss"]) == list(range(ROWS))
    assert far.endings == [INTERRUPTED]
    assert keeping.files() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("end", ["run.finish()\n", "with run: pass\n", ""])
def test_a_second_signal_while_a_run_is_ending_keeps_its_points_and_its_end_at_once(far, script, gate, number, end):
    process = script(LONG + 'print("ending", flush=True)\n' + end)
    assert process.stdout.readline() == "ending\n"
    until(lambda: far.batches)
    with suppress(ProcessLookupError):
        until(lambda: process.send_signal(number) or time.sleep(0.1) or process.poll() is not None)
    assert process.returncode != 0
    assert far.endings == []
    assert sorted(values_of(kept())) == list(range(ROWS))
    assert [line["ending"] for line in kept() if "ending" in line] == [INTERRUPTED]


def test_what_a_signal_kept_from_being_sent_in_time_is_sent_later_with_the_ending(far, script, gate):
    process = script(LONG + 'print("ending", flush=True)\nrun.finish()\n', RP_FLUSH_TIMEOUT="3")
    assert process.stdout.readline() == "ending\n"
    until(lambda: far.batches)
    good, far.answer = far.answer, lambda request: "hang up"
    process.terminate()
    shut(gate)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert sorted(values_of(kept())) == list(range(ROWS))
    gate.is_broken, far.answer = False, good
    assert cli.main(["send", "--token", TOKEN]) == 0
    assert far.endings[-1] == INTERRUPTED
    assert keeping.files() == []


def test_finish_may_be_called_again_after_ctrl_c_cut_it_short(far, script, gate):
    process = script(LONG + 'try: print("ending", flush=True); run.finish()\nexcept KeyboardInterrupt: print("again", flush=True); run.finish()\n')
    assert process.stdout.readline() == "ending\n"
    until(lambda: far.batches)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "again\n"
    gate.set()
    assert process.wait(20) == 0, process.stderr.read()
    assert far.endings == [{"status": "complete"}]


def test_a_signal_after_the_end_was_told_changes_nothing_of_it(far, script):
    told, good = threading.Event(), far.answer

    def answer(request):
        if request.method == "PATCH" and len(far.of("PATCH")) > 1:
            return 409, {"error": {"code": "conflict", "message": "It is complete already."}}, {}
        if request.method == "PATCH":
            told.wait(30)
        return good(request)

    far.answer = answer
    process = script('run = rp.init("digits")\nrun.finish()\n')
    until(lambda: far.endings)
    process.terminate()
    until(lambda: len(far.endings) == 2)
    told.set()
    process.wait(20)
    assert far.endings == [COMPLETE, INTERRUPTED]
    assert "could not be marked" not in process.stderr.read()


@pytest.mark.parametrize("timeout_s", [float("inf"), 1e10, float("nan"), -1.0])
def test_a_run_ends_whatever_time_it_is_given(far, start, timeout_s):
    run = start()
    run.finish(timeout_s=timeout_s)
    assert far.endings == [COMPLETE]


@pytest.mark.parametrize("timeout", ["1e10", "inf", "1e400"])
def test_a_process_ends_its_runs_whatever_time_its_environment_gives(far, script, timeout):
    process = script('rp.init("digits").log({"loss": 1})\n', RP_FLUSH_TIMEOUT=timeout)
    assert process.wait(20) == 0
    assert far.endings == [COMPLETE]
    assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("code", "told"),
    [(-9, "interrupted"), (-15, "interrupted"), (143, "interrupted"), (137, "interrupted"), (-11, "crashed"), (3, "crashed"), (None, "crashed")],
)
def test_the_exit_code_of_a_child_says_whether_a_signal_ended_it(code, told):
    assert ending_by(code).failure_kind == told
