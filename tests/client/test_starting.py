"""How a run starts, and what keeps it from starting."""

import json
import re
import subprocess
import threading
import time
import uuid

import numpy as np
import pytest
import research_platform as rp

from .conftest import QUICK, TOKEN


def created(far):
    return far.of("POST", "/api/v1/experiments")[0].json


def test_a_run_tells_the_server_what_it_is_and_where_it_came_from(far, start, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "--lr", "0.1", "two words"])
    start(params={"lr": 3e-4}, seed=1, tags=["first"], notes="try", features_diff={"lr": 3e-4}, replicate_group="g")
    asked = created(far)
    assert asked["project"] == "digits"
    assert asked["create_project"] is True
    assert asked["name"] == "lr 3e-4"
    assert (asked["params"], asked["seed"], asked["tags"], asked["notes"]) == ({"lr": 3e-4}, 1, ["first"], "try")
    assert (asked["features_diff"], asked["replicate_group"]) == ({"lr": 3e-4}, "g")
    assert asked["host"]
    assert asked["command"] == "train.py --lr 0.1 'two words'"
    assert "parent" not in asked


def test_a_run_knows_the_names_that_the_server_gave(far, start):
    run = start()
    assert (run.id, run.slug, run.project) == ("0d3b9f6e-0000-4000-8000-000000000002", "lr-3e-4", "digits")
    assert run.url == f"{far.url}/digits/lr-3e-4"


def test_a_run_without_a_name_is_named_after_the_script_and_the_time(far, start, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/home/alice/train.py"])
    start(name=None)
    assert re.fullmatch(r"train \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", created(far)["name"])


@pytest.mark.parametrize("kind", ["run", "uuid", "slug"])
def test_a_parent_may_be_a_run_a_uuid_or_a_slug(far, start, kind):
    first = start()
    parent, expected = {"run": (first, first.id), "uuid": (uuid.UUID(first.id), first.id), "slug": ("lr-3e-4", "lr-3e-4")}[kind]
    start(parent=parent)
    assert far.of("POST", "/api/v1/experiments")[1].json["parent"] == expected


@pytest.mark.parametrize("said", ["wider-is-better", ["wider-is-better"], ("wider-is-better",)])
def test_a_run_names_the_hypotheses_that_it_tests(far, start, said):
    start(hypotheses=said)
    assert created(far)["hypotheses"] == ["wider-is-better"]


@pytest.mark.parametrize("said", [None, [], ""])
def test_a_run_that_tests_nothing_says_nothing_of_hypotheses(far, start, said):
    start(hypotheses=said)
    assert "hypotheses" not in created(far)


def test_a_hypothesis_may_be_a_uuid(far, start):
    claim = uuid.uuid4()
    start(hypotheses=[claim])
    assert created(far)["hypotheses"] == [str(claim)]


def test_params_may_hold_what_json_does_not_know(far, start, tmp_path):
    start(params={"lr": np.float32(0.5), "sizes": np.array([1, 2]), "path": tmp_path, "bad": float("nan"), "nested": {1: (True, None)}})
    assert created(far)["params"] == {"lr": 0.5, "sizes": [1, 2], "path": str(tmp_path), "bad": "NaN", "nested": {"1": [True, None]}}


def test_the_commit_is_captured_where_there_is_one(far, start, tmp_path):
    git = ["git", "-C", str(tmp_path / "work"), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    start()
    assert created(far)["git_commit"] == subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_no_git_means_no_commit(far, start, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    start()
    assert created(far)["git_commit"] == ""


def test_a_refused_start_raises_with_the_servers_own_words(start):
    with pytest.raises(rp.Refused, match="401 This token is not known"):
        start(token="wrong")


def test_an_absent_server_raises_and_says_what_to_do(absent, monkeypatch):
    with pytest.raises(rp.Unreachable, match="RP_MODE=disabled"):
        rp.init("digits", url=absent.url, token=TOKEN, pace=rp.Pace(backoff_s=60, backoff_most_s=60, connect_timeout_s=0.3))


def test_a_server_that_is_just_starting_is_waited_for(absent):
    threading.Timer(0.3, absent.appear).start()
    run = rp.init("digits", name="x", url=absent.url, token=TOKEN, pace=QUICK)
    run.finish()
    assert len(absent.of("POST", "/api/v1/experiments")) == 1


@pytest.mark.parametrize("later", [(409, {"error": {"code": "in_flight", "message": "It is being written."}}, {}), "hang up"])
def test_a_start_whose_answer_was_lost_is_asked_for_again_under_the_same_key_and_leaves_one_run(far, start, later):
    good, made, answers = far.answer, {}, iter(["hang up", later])

    def answer(request):
        if request.path == "/api/v1/experiments":
            made.setdefault(request.headers["idempotency-key"], request.json)
        return next(answers, None) or good(request)

    far.answer = answer
    run = start()
    assert len(far.of("POST", "/api/v1/experiments")) == 3
    assert len(made) == 1
    assert run.slug == "lr-3e-4"


def test_a_start_that_is_never_answered_raises_in_time(far, start):
    far.answer = lambda request: "hang up"
    with pytest.raises(rp.Unreachable):
        start(pace=rp.Pace(**{**vars(QUICK), "connect_timeout_s": 0.3}))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_start_that_a_server_or_proxy_cannot_answer_now_is_asked_for_again_under_the_same_key(far, start, status):
    good, refusals = far.answer, iter([(status, b"<html>", {})])
    far.answer = lambda request: next(refusals, None) or good(request)
    start()
    first, second = far.of("POST", "/api/v1/experiments")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert len(first.headers["idempotency-key"]) == 32
    assert first.raw == second.raw


def test_two_starts_have_two_keys(far, start):
    start()
    start()
    assert len({request.headers["idempotency-key"] for request in far.of("POST", "/api/v1/experiments")}) == 2


@pytest.mark.parametrize("failure", [(500, None, {}), (501, None, {}), (403, None, {})])
def test_a_start_that_fails_for_good_is_not_repeated(far, start, failure):
    far.answer = lambda request: failure
    with pytest.raises(rp.Refused):
        start()
    assert len(far.requests) == 1


@pytest.mark.parametrize("failure", ["refused", "502", "silence"])
def test_a_start_is_tried_for_as_long_as_the_environment_says(far, absent, monkeypatch, failure):
    monkeypatch.setenv("RP_CONNECT_TIMEOUT", "1.5")
    over = threading.Event()
    far.answer = lambda request: (502, None, {}) if failure == "502" else over.wait(60) and (500, None, {})
    begin = time.monotonic()
    with pytest.raises(rp.ResearchPlatformError):
        rp.init("digits", url=(absent if failure == "refused" else far).url, token=TOKEN, pace=rp.Pace(backoff_s=0.1, backoff_most_s=0.5))
    over.set()
    assert 1.2 < time.monotonic() - begin < 2.0
    assert len(far.requests) > 3 or failure != "502"


@pytest.mark.parametrize(("said", "meant"), [("2.5", 2.5), ("soon", 20.0), ("nan", 20.0), ("-1", 0.0)])
def test_how_long_a_start_is_tried_can_be_read_from_the_environment(monkeypatch, said, meant):
    monkeypatch.setenv("RP_CONNECT_TIMEOUT", said)
    assert rp.Pace().connect_timeout_s == meant


def test_an_address_of_something_else_is_named_as_such(far, start):
    far.answer = lambda request: (200, b"<html>", {})
    with pytest.raises(rp.Refused, match="not as a Research Platform server"):
        start()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://"])
def test_an_address_without_a_scheme_is_refused_with_an_example(url):
    with pytest.raises(rp.ConfigurationError, match="write it like http"):
        rp.init("digits", url=url, token=TOKEN)


def test_a_disabled_run_talks_to_nobody(far, monkeypatch):
    monkeypatch.setenv("RP_MODE", "disabled")
    with rp.init("digits", params={"lr": 1}, url=far.url, token=TOKEN) as run:
        run.log({"loss": 1})
        run.update(params={"more": 2}, tags=["t"])
        child = rp.init("digits", parent=run)
    assert run.params == {"lr": 1, "more": 2}
    assert child.id == ""
    assert far.requests == []


def test_an_unknown_mode_is_refused():
    with pytest.raises(rp.ConfigurationError, match="online, disabled"):
        rp.init("digits", mode="offline")


def test_an_update_adds_params_and_tags_and_replaces_notes(far, start):
    run = start(params={"lr": 1}, tags=["a"])
    run.update(params={"wd": np.float64(2)}, tags=["b", "a"], notes="n")
    assert far.of("PATCH")[0].json == {"params": {"lr": 1, "wd": 2.0}, "tags": ["a", "b"], "notes": "n"}


def test_the_environment_names_server_and_token(far, monkeypatch):
    monkeypatch.setenv("RP_URL", far.url + "/")
    monkeypatch.setenv("RP_TOKEN", TOKEN)
    rp.init("digits", pace=QUICK).finish()
    assert json.loads(far.of("POST", "/api/v1/experiments")[0].raw)["project"] == "digits"


def test_a_project_whose_slug_is_not_its_name_is_told(far, start, caplog, monkeypatch):
    warnings = [{"field": field, "code": "slug", "message": f"the slug of the {field}"} for field in ("project", "name")]
    plain = far.record
    monkeypatch.setattr(far, "record", lambda asked: plain(asked) | {"warnings": warnings}, raising=False)
    start(project="C++")
    assert "the slug of the project" in caplog.text
    assert "the slug of the name" not in caplog.text


def test_a_machine_whose_name_the_server_refuses_starts_a_run_without_it(far, start, caplog):
    good = far.answer
    refused = {"error": {"code": "invalid", "message": "Not so.", "errors": [{"index": None, "field": "host", "code": "max_length", "message": "Too long."}]}}
    far.answer = lambda request: (422, refused, {}) if request.path == "/api/v1/experiments" and request.json["host"] else good(request)
    run = start()
    run.log({"loss": 1})
    run.finish()
    assert [request.json["host"] for request in far.of("POST", "/api/v1/experiments")][1:] == [""]
    assert len({request.headers["idempotency-key"] for request in far.of("POST", "/api/v1/experiments")}) == 2
    assert far.batches[0].json["host"] == ""
    assert "the server does not take this machine's name" in caplog.text


def test_params_that_hold_themselves_are_refused_with_a_sentence_that_says_which(far, start, caplog):
    params, run = {"model": {"layers": [1]}}, start()
    params["model"]["layers"].append(params["model"])
    with pytest.raises(ValueError, match=r"params\.model\.layers\[1\] holds itself"):
        start(params=params)
    deep = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(ValueError, match=r"params\.deep.* levels deep"):
        start(params={"deep": deep})
    run.update(params=params)
    assert "is not updated (params.model.layers[1] holds itself" in caplog.text
    assert len(far.of("POST", "/api/v1/experiments")) == 1


def test_params_that_hold_one_thing_twice_are_welcome(far, start):
    same = [1]
    start(params={"a": same, "b": [same, same]})
    assert created(far)["params"] == {"a": [1], "b": [[1], [1]]}
