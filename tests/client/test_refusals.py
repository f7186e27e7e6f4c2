"""What the server will not take costs those points and no other, and what cannot be sent now is kept. The far side decides as the product does."""

import gzip
import json
import subprocess
import sys
import threading
import time

import pytest
import research_platform as rp
from research_platform import cli, keeping
from research_platform.parts import halves, points_in

from config.errors import Refused
from config.web.answers import refusal
from metrics.points import decoding
from metrics.points.valid import Limits
from metrics.spool.queue import too_many

from .conftest import QUICK, RECEIPT, TOKEN, until

NEW_TOKEN = "rp_another-good-token"


class Product:
    """Takes points as the product does, and keeps each under the identity that the store gives it."""

    def __init__(self, far):
        self.names, self.names_most, self.points_most = [], 10_000, 100_000
        self.stored, self.receipts, self.unheard = {}, set(), 0
        self.far, self.good = far, far.answer
        self.tokens, self.is_archived, self.says_metric = {TOKEN}, False, True
        far.answer = self.answer

    def answer(self, request):
        if request.headers["authorization"].removeprefix("Bearer ") not in self.tokens:
            return 401, {"error": {"code": "unauthenticated", "message": "This token is revoked."}}, {}
        if "/log-batch/" not in request.path:
            return self.good_for(request)
        if self.is_archived:
            return 409, {"error": {"code": "archived", "message": "It is archived."}}, {}
        try:
            self.take(request)
        except Refused as refused:
            return self.refused(refused)
        if self.unheard:
            self.unheard -= 1
            return "hang up"
        return RECEIPT

    def good_for(self, request):
        if request.method == "GET" and "/experiments/" in request.path:
            return 200, {"missing": self.missing}, {}
        request.headers["authorization"] = f"Bearer {TOKEN}"
        return self.good(request)

    def refused(self, refused):
        status, headers, body = refusal(refused, "r")
        found = json.loads(body)
        for fault in () if self.says_metric else found["error"].get("errors", ()):
            fault.pop("metric", None)
        return status, found, headers

    def take(self, request):
        key = request.headers["idempotency-key"]
        raw = gzip.decompress(request.raw) if request.headers.get("content-encoding") == "gzip" else request.raw
        points = decoding.many(raw, now_us=time.time_ns() // 1000, limits=Limits(points=self.points_most))
        if key in self.receipts:
            return
        new = [name for name in points.names if name not in self.names]
        if len(self.names) + len(new) > self.names_most:
            raise too_many(points, new, known=len(self.names), limit=self.names_most)
        self.names += new
        self.receipts.add(key)
        for place, (code, step, value) in enumerate(zip(points.name_codes, points.steps, points.values, strict=True)):
            identity = (points.names[code], int(step), points.writer, points.ordinal + place)
            assert identity not in self.stored
            self.stored[identity] = float(value)

    def values(self, metric):
        return [value for (name, *_), value in sorted(self.stored.items(), key=lambda item: item[0][1]) if name == metric]

    @property
    def missing(self):
        told = {}
        for request in self.far.of("PATCH"):
            if request.headers["authorization"].removeprefix("Bearer ") in self.tokens:
                told.update({(each["how"], each["reason"]): each for each in request.json.get("missing", ())})
        return [each for each in told.values() if each["points"]]

    def counts(self):
        return {(each["how"], each["reason"]): each["points"] for each in self.missing}


@pytest.fixture
def product(far):
    return Product(far)


SLOW = rp.Pace(**{**vars(QUICK), "flush_s": 60})
NAMES = ["loss", "acc", *(f"step_{number}" for number in range(334))]


def test_near_the_limit_of_names_only_the_names_beyond_it_are_lost(product, start, caplog):
    product.names_most = 4
    run = start(pace=SLOW)
    for step in range(3):
        run.log(dict.fromkeys(NAMES, float(step)))
    run.finish()
    assert product.names == ["loss", "acc", "step_0", "step_1"]
    assert [product.values(name) for name in product.names] == [[0.0, 1.0, 2.0]] * 4
    assert product.counts() == {("refused", "too_many_names"): 332 * 3}
    assert "996 points were refused by the server" in caplog.records[-1].message
    assert [record for record in caplog.records if "the limit is 4" in record.message] == [caplog.records[0]]


def test_a_name_without_room_is_not_asked_for_again_with_each_batch(product, start, far):
    product.names_most = 1
    run = start()
    for step in range(3):
        run.log({"loss": step, "new": step})
        until(lambda step=step: len(product.values("loss")) == step + 1)
    run.finish()
    assert len(far.batches) == 4
    assert product.counts() == {("refused", "too_many_names"): 3}


def test_a_name_finds_room_again_once_the_limit_is_raised(product, start):
    product.names_most = 1
    run = start(pace=rp.Pace(**{**vars(QUICK), "ask_again_s": 0.0}))
    run.log({"loss": 0, "new": 0})
    until(lambda: product.values("loss"))
    product.names_most = 2
    run.log({"loss": 1, "new": 1})
    run.finish()
    assert product.values("new") == [1.0]


@pytest.mark.parametrize("answers_unheard", [0, 1, 2])
def test_nothing_is_lost_or_doubled_where_the_answers_to_the_good_points_are_lost(product, start, answers_unheard):
    product.names_most, product.unheard = 2, answers_unheard
    run = start(pace=SLOW)
    for step in range(5):
        run.log({"loss": step, "acc": step, "more": step})
    run.finish()
    assert (product.values("loss"), product.values("acc")) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert len(product.stored) == 10


def test_a_name_that_only_the_server_refuses_costs_its_points(product, start, monkeypatch):
    monkeypatch.setattr("research_platform.names.is_unseen", lambda *_: False)
    run = start(pace=SLOW)
    run.log({"loss": 1, "a\u2060b": 2})
    run.log({"loss": 2})
    run.finish()
    assert product.values("loss") == [1.0, 2.0]
    assert product.counts() == {("refused", "name"): 1}


def test_a_clock_that_is_wrong_costs_the_points_of_its_time(product, start, monkeypatch):
    run = start(pace=SLOW)
    run.log({"loss": 1})
    with monkeypatch.context() as patch:
        patch.setattr("research_platform.run.time.time", lambda: -5.0)
        run.log({"loss": 2, "acc": 2})
    run.log({"loss": 3})
    run.finish()
    assert product.values("loss") == [1.0, 3.0]
    assert product.counts() == {("refused", "time"): 2}


def test_a_machine_whose_name_the_server_refuses_sends_without_it(product, start, monkeypatch):
    monkeypatch.setattr("research_platform.provenance.host", lambda: "gpu\u00857")
    run = start()
    run.log({"loss": 1})
    until(lambda: product.values("loss") == [1.0])
    run.log({"loss": 2})
    run.finish()
    assert product.values("loss") == [1.0, 2.0]
    assert product.counts() == {}


@pytest.mark.parametrize("names", [1, 7])
def test_a_batch_that_is_too_large_is_sent_in_parts(product, start, names):
    product.points_most = 10
    run = start(pace=SLOW)
    for step in range(20):
        run.log({f"m{name}": step for name in range(names)})
    run.finish()
    assert [product.values(f"m{name}") for name in range(names)] == [list(range(20))] * names
    assert product.counts() == {}


def test_a_server_that_takes_little_at_a_time_gets_all_of_a_backlog(product, start, far):
    product.points_most = 10
    run = start(pace=SLOW)
    for step in range(4_000):
        run.log({"loss": step})
    run.finish()
    assert product.values("loss") == list(range(4_000))
    assert product.counts() == {}


def test_the_size_that_fits_is_remembered_for_the_batches_that_follow(product, start, far):
    product.points_most = 10
    run = start()
    for step in range(100):
        run.log({"loss": step})
    until(lambda: len(product.stored) == 100)
    before = len(far.batches)
    for step in range(100, 200):
        run.log({"loss": step})
    run.finish()
    assert product.values("loss") == list(range(200))
    assert max(len(batch.json["steps"]) for batch in far.batches[before:]) <= 10


def test_a_server_to_which_even_one_point_is_too_large_is_not_asked_for_ever(product, start, far):
    product.points_most = 0
    run = start(pace=SLOW)
    for step in range(2_000):
        run.log({"loss": step})
    run.finish()
    assert len(far.batches) < 700
    assert product.counts() == {("refused", "too_large"): 2_000}


def test_a_server_that_does_not_name_the_bad_points_is_asked_for_them(product, start):
    product.names_most, product.says_metric = 5, False
    run = start(pace=SLOW)
    for step in range(3):
        run.log(dict.fromkeys(["loss", "acc", *"abcdefgh"], float(step)))
    run.finish()
    assert len(product.names) == 5
    assert product.values("loss") == product.values("acc") == [0.0, 1.0, 2.0]
    assert product.counts() == {("refused", "too_many_names"): 15} or product.counts() == {("refused", "invalid"): 15}


def test_halves_of_a_batch_hold_all_its_points_under_ordinals_of_their_own():
    content = {"steps": [0, 1, 2], "timestamps": [1, 2, 3], "metrics": {"a": [1, None, 3], "b": [None, 2, None]}, "ordinal": 7}
    for by_rows in (True, False):
        first, second = halves(content, by_rows=by_rows)
        assert (first["ordinal"], second["ordinal"]) == (7, 7 + points_in(first))
        assert points_in(first) + points_in(second) == 3


def test_what_is_left_out_is_counted_on_the_run_too(product, start):
    run = start()
    run.log({"loss": 1, "note": "text", "a\u200bb": 1})
    run.log({"loss": 1, "acc": 1}, step=1.5)
    run.finish()
    assert product.counts() == {("left_out", "value"): 1, ("left_out", "name"): 1, ("left_out", "step"): 2}


def test_a_run_says_what_was_refused_while_it_goes_on(product, start, far):
    product.names_most = 1
    run = start(pace=rp.Pace(**{**vars(QUICK), "heartbeat_s": 0.05}))
    run.log({"loss": 1, "new": 1})
    until(lambda: product.counts() == {("refused", "too_many_names"): 1})
    told = len(far.of("PATCH"))
    beats = len(far.of("POST", "/heartbeat"))
    until(lambda: len(far.of("POST", "/heartbeat")) > beats + 2)
    assert len(far.of("PATCH")) == told
    run.finish()


def test_an_older_server_that_knows_no_missing_points_is_still_told_how_the_run_ended(product, start, far):
    product.names_most, asked = 1, product.answer
    far.answer = lambda request: (422, {"error": {"code": "invalid"}}, {}) if request.method == "PATCH" and "missing" in request.json else asked(request)
    run = start()
    run.log({"loss": 1, "new": 1})
    run.finish()
    assert far.endings[-1] == {"status": "complete"}


# A writer that is shut out


def kept_files():
    return [path.name for path in keeping.files()]


@pytest.fixture
def shut_out(product, start):
    """A run whose token was revoked in its midst: three points came before, three after."""
    run = start(pace=rp.Pace(**{**vars(QUICK), "shut_out_s": 60.0}))
    for step in range(3):
        run.log({"loss": step})
    until(lambda: len(product.values("loss")) == 3)
    product.tokens.clear()
    for step in range(3, 6):
        run.log({"loss": step})
    until(lambda: kept_files())
    return run


def test_points_after_a_revoked_token_are_kept_and_it_is_said_where(shut_out, product, caplog):
    shut_out.finish()
    (path,) = keeping.files()
    said = "\n".join(record.message for phase in ("setup", "call") for record in caplog.get_records(phase))
    assert said.count("takes no points of this run now (401 This token is revoked.)") == 1
    assert str(path) in said
    assert "3 points were not taken" in said
    assert "research-platform send" in said
    assert product.values("loss") == [0.0, 1.0, 2.0]
    assert path.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in path.read_text()


def test_what_was_kept_is_sent_with_a_new_token_and_the_run_ends_as_it_did(shut_out, product, far, capsys):
    shut_out.finish(failure_kind="diverged")
    product.tokens.add(NEW_TOKEN)
    assert cli.main(["send", "--token", TOKEN]) == 1
    assert len(kept_files()) == 1
    assert cli.main(["send", "--token", NEW_TOKEN]) == 0
    assert product.values("loss") == [0, 1, 2, 3, 4, 5]
    assert far.endings[-1] == {"status": "failed", "failure_kind": "diverged"}
    assert kept_files() == []
    assert "3 points sent" in capsys.readouterr().out
    assert cli.main(["send", "--token", NEW_TOKEN]) == 0


@pytest.fixture
def credentials_file(far, monkeypatch, tmp_path):
    path = tmp_path / "credentials.json"
    monkeypatch.setenv("RP_CREDENTIALS", str(path))
    return lambda token: path.write_text(json.dumps({"url": far.url, "token": token}))


def test_a_run_goes_on_by_itself_once_there_is_a_new_token(product, start, credentials_file, far):
    credentials_file(TOKEN)
    run = start(url=None, token=None, pace=rp.Pace(**{**vars(QUICK), "shut_out_s": 0.02}))
    product.tokens.clear()
    run.log({"loss": 0})
    until(lambda: kept_files())
    product.tokens.add(NEW_TOKEN)
    credentials_file(NEW_TOKEN)
    until(lambda: product.values("loss") == [0.0])
    until(lambda: not kept_files())
    run.log({"loss": 1})
    run.finish()
    assert product.values("loss") == [0.0, 1.0]
    assert far.endings == [{"status": "complete"}]
    assert product.counts() == {}


@pytest.mark.parametrize("status", [403, 404])
def test_a_writer_that_may_not_write_keeps_its_points(far, start, status, caplog):
    asked = far.answer
    far.answer = lambda request: (status, {"error": {"code": "some", "message": "Not so."}}, {}) if "/log-batch/" in request.path else asked(request)
    run = start()
    run.log({"loss": 1, "acc": 2})
    run.finish()
    assert len(kept_files()) == 1
    assert "2 points were not taken" in caplog.text
    (told,) = [each for request in far.of("PATCH") for each in request.json.get("missing", ())]
    assert (told["how"], told["points"]) == ("kept", 2)
    assert str(keeping.files()[0]) in told["message"]


FOREIGN = [
    (302, b"", {"Location": "/login"}),
    (405, b"", {}),
    (405, {"error": {"code": "method_not_allowed", "message": "Not so."}}, {}),
    (400, b"<html>Bad request</html>", {}),
    (400, {"detail": "no"}, {}),
    (409, b"", {}),
    (422, b"<html>", {}),
]


@pytest.mark.parametrize("answer", FOREIGN, ids=str)
def test_an_answer_that_says_nothing_against_the_points_keeps_them_and_the_ending(product, start, far, caplog, answer):
    asked, far.answer = far.answer, lambda request: answer if "/experiments" not in request.path or request.method == "PATCH" else asked(request)
    run = start()
    run.log({"loss": 1})
    run.finish()
    assert len(kept_files()) == 1
    assert f"takes no points of this run now ({answer[0]}" in caplog.text
    assert "1 point was not taken" in caplog.text
    far.answer = asked
    assert cli.main(["send", "--token", TOKEN]) == 0
    assert product.values("loss") == [1.0]
    assert far.endings[-1] == {"status": "complete"}


def test_a_run_that_is_archived_in_its_midst_keeps_its_points_until_it_is_restored(product, start, far):
    run = start(pace=rp.Pace(**{**vars(QUICK), "shut_out_s": 0.02}))
    product.is_archived = True
    run.log({"loss": 1})
    until(lambda: kept_files())
    product.is_archived = False
    run.finish()
    assert product.values("loss") == [1.0]
    assert kept_files() == []


def test_what_an_outage_kept_from_being_sent_in_time_is_sent_later(product, start, far, caplog):
    run = start(pace=rp.Pace(**{**vars(QUICK), "flush_timeout_s": 0.3}))
    asked, far.answer = far.answer, lambda request: "hang up"
    for step in range(4):
        run.log({"loss": step})
        time.sleep(0.03)
    run.finish()
    assert "4 points were not sent in time" in caplog.text
    far.answer = asked
    assert cli.main(["send", "--token", TOKEN]) == 0
    assert product.values("loss") == [0, 1, 2, 3]
    assert far.endings[-1] == {"status": "complete"}
    assert product.counts() == {}


def test_a_batch_that_arrived_unheard_and_is_sent_from_its_file_counts_once(product, start, far):
    run = start(pace=rp.Pace(**{**vars(QUICK), "flush_timeout_s": 0.2, "request_s": 0.1}))
    product.unheard = 1_000
    run.log({"loss": 1})
    run.finish()
    product.unheard = 0
    assert len(product.stored) == 1
    assert cli.main(["send", "--token", TOKEN]) == 0
    assert len(product.stored) == 1


def test_a_file_whose_last_line_was_cut_short_is_sent_as_far_as_it_goes(shut_out, product):
    shut_out.finish()
    (path,) = keeping.files()
    with path.open("ab") as file:
        file.write(b'{"key": "abc", "po')
    product.tokens.add(NEW_TOKEN)
    assert cli.main(["send", str(path), "--token", NEW_TOKEN]) == 0
    assert product.values("loss") == [0, 1, 2, 3, 4, 5]


def test_a_file_that_was_set_aside_by_a_sender_that_was_killed_is_found(shut_out, product):
    shut_out.finish()
    (path,) = keeping.files()
    path.rename(keeping.aside_of(path))
    product.tokens.add(NEW_TOKEN)
    assert cli.main(["send", "--token", NEW_TOKEN]) == 0
    assert product.values("loss") == [0, 1, 2, 3, 4, 5]
    assert kept_files() == []


def test_the_file_of_a_run_that_goes_on_is_left_to_it(shut_out, product, capfd):
    product.tokens.add(NEW_TOKEN)
    (path,) = keeping.files()
    command = [sys.executable, "-m", "research_platform", "send", "--token", NEW_TOKEN]
    sent = subprocess.run(
        command, env={"PYTHONPATH": str(cli.Path(rp.__file__).parents[1]), "HOME": str(cli.Path.home())}, capture_output=True, text=True, check=True
    )
    assert "its run goes on" in sent.stdout
    assert path.exists()


def test_the_file_of_a_run_is_left_to_it_also_while_it_is_set_aside(shut_out, product, start, far, capsys):
    """The run sends from it, slowly, and keeps more meanwhile."""
    (path,) = keeping.files()
    asked, answered = far.answer, threading.Event()

    def slow(request):
        if "/log-batch/" in request.path:
            answered.wait(20)
        return asked(request)

    far.answer = slow
    product.tokens.add(TOKEN)
    closing = threading.Thread(target=shut_out.finish)
    closing.start()
    until(lambda: keeping.aside_of(path).exists())
    assert cli.main(["send", "--token", TOKEN]) == 0
    assert "its run goes on" in capsys.readouterr().out
    assert keeping.aside_of(path).exists()
    answered.set()
    closing.join()
    assert product.values("loss") == [0, 1, 2, 3, 4, 5]
    assert list(keeping.folder().iterdir()) == []


def test_a_file_that_is_being_sent_is_left_alone_by_who_comes_second(shut_out, product, capsys):
    shut_out.finish()
    (path,) = keeping.files()
    product.tokens.add(TOKEN)
    first = keeping.Keep(keeping.Destination(*"abcdef"), path)
    assert first.hold()
    assert cli.main(["send", "--token", TOKEN]) == 0
    assert path.exists()
    first.close()
    assert cli.main(["send", "--token", TOKEN]) == 0
    assert product.values("loss") == [0, 1, 2, 3, 4, 5]
    assert list(keeping.folder().iterdir()) == []


CROWDED = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
run = rp.init("digits", pace=rp.Pace(flush_s=0.01, shut_out_s=0.02, heartbeat_s=60))
for step in range(60):
    run.log({"loss": step}, step=step)
    time.sleep(0.01)
run.finish()
"""


@pytest.mark.parametrize("room", [0, 100, 3_000])
def test_a_folder_without_room_keeps_whole_lines_and_the_rest_is_told_as_dropped(product, script, far, room):
    asked, far.answer = far.answer, lambda request: (302, b"", {}) if "/log-batch/" in request.path else asked(request)
    process = script(CROWDED.replace("ROOM", str(room)))
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert "ARE LOST" in errors
    counts = {}
    for (how, _), points in product.counts().items():
        counts[how] = counts.get(how, 0) + points
    assert sum(counts.values()) == 60
    assert counts["dropped"] > 0
    for path in keeping.files():
        assert all(json.loads(line) for line in path.read_text().splitlines())
    far.answer = asked
    assert cli.main(["send", "--token", TOKEN]) == 0
    assert len(product.values("loss")) == counts.get("kept", 0)
    assert far.endings[-1] == {"status": "complete"}


def test_the_next_run_says_that_something_is_kept(shut_out, product, start, caplog):
    shut_out.finish()
    product.tokens.add(TOKEN)
    start(name="next")
    assert "keeps what 1 earlier run could not send" in caplog.text


def test_points_that_cannot_be_kept_either_are_counted_as_lost(product, start, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RP_UNSENT_DIR", str(tmp_path / "file" / "below"))
    run = start()
    product.tokens.clear()
    run.log({"loss": 1})
    run.finish()
    assert "ARE LOST: set RP_UNSENT_DIR" in caplog.text
    assert "1 point was dropped" in caplog.text


def test_after_a_part_was_sent_the_run_says_how_many_points_are_kept_still(product, start, far, capsys):
    run = start(pace=rp.Pace(**{**vars(QUICK), "shut_out_s": 0.01}))
    product.tokens.clear()
    for step in range(10):
        run.log({"loss": step})
        until(lambda step=step: sum(len(keeping.kept_batch(line).batch.content["steps"]) for line in lines_kept()) == step + 1)
    run.finish()
    product.tokens.add(TOKEN)
    asked, taken = far.answer, iter(range(4))

    def answer(request):
        if "/log-batch/" in request.path and next(taken, None) is None:
            return 409, {"error": {"code": "archived", "message": "It is archived."}}, {}
        return asked(request)

    far.answer = answer
    assert cli.main(["send", "--token", TOKEN]) == 1
    arrived = len(product.values("loss"))
    assert 0 < arrived < 10
    assert sum(points for (how, _), points in product.counts().items() if how == "kept") == 10 - arrived
    far.answer = asked
    assert cli.main(["send", "--token", TOKEN]) == 0
    assert product.counts() == {}
    assert product.values("loss") == list(range(10))


def lines_kept():
    return [line for path in keeping.files() for line in keeping.lines_of(path) if "key" in line]


def test_points_of_a_run_that_was_deleted_can_be_discarded(shut_out, product, far, capsys):
    shut_out.finish()
    (path,) = keeping.files()
    far.answer = lambda request: (404, {"error": {"code": "not_found", "message": "Nothing here."}}, {})
    assert cli.main(["send", "--token", TOKEN]) == 1
    assert f"research-platform send --discard {path}" in capsys.readouterr().err
    asked = len(far.requests)
    assert cli.main(["send", "--discard", str(path)]) == 0
    assert "3 points deleted" in capsys.readouterr().out
    assert list(keeping.folder().iterdir()) == []
    assert len(far.requests) == asked
    assert cli.main(["send", "--discard", str(path)]) == 1


def test_the_points_of_a_run_that_goes_on_are_not_discarded(shut_out, capsys):
    (path,) = keeping.files()
    assert cli.main(["send", "--discard", str(path)]) == 1
    assert "its run goes on" in capsys.readouterr().err
    assert path.exists()


def test_a_file_that_is_none_is_refused_with_a_sentence(tmp_path, capsys):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    assert cli.main(["send", str(tmp_path / "x.jsonl")]) == 1
    assert cli.main(["send", str(tmp_path / "absent")]) == 1
    assert "no file of points that a run kept" in capsys.readouterr().err


def test_nothing_kept_is_said(capsys):
    assert cli.main(["send"]) == 0
    assert "Nothing is kept" in capsys.readouterr().out
