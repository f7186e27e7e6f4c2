"""What is logged: one JSON object a line, with the request's id, and no secret."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from django.test import Client
from structlog.contextvars import bind_contextvars, clear_contextvars

from config.logs import access_log, logs, task_logs
from tests.metrics.test_shortcut import short

LINE = ("timestamp", "level", "logger", "event")


class Heard:
    """A handler of the product's own format."""

    def __init__(self, form: str) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(logs.formatter(form))

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def hear() -> Iterator[Callable[..., Heard]]:
    added: list[tuple[logging.Logger, Heard, int]] = []

    def listening(name: str, form: str = "json") -> Heard:
        heard, logger = Heard(form), logging.getLogger(name)
        added.append((logger, heard, logger.level))
        logger.addHandler(heard.handler)
        logger.setLevel(logging.DEBUG)
        return heard

    yield listening
    for logger, heard, level in added:
        logger.removeHandler(heard.handler)
        logger.setLevel(level)
    clear_contextvars()


@pytest.fixture
def spoken(hear) -> tuple[logging.Logger, Heard]:
    return logging.getLogger("product.part"), hear("product.part")


def test_a_line_is_one_json_object_with_what_the_record_brings_along(spoken):
    logger, heard = spoken
    bind_contextvars(request_id="r1")
    logger.warning("The store took %d blocks\nand more", 3, extra={"request_ids": ["a", "b"]})
    (line,) = heard.lines
    assert tuple(line)[:5] == (*LINE, "request_id")
    assert (line["level"], line["logger"], line["event"]) == ("warning", "product.part", "The store took 3 blocks\nand more")
    assert (line["request_id"], line["request_ids"]) == ("r1", ["a", "b"])
    assert line["timestamp"].endswith("Z")


def test_a_traceback_is_part_of_its_line(spoken):
    logger, heard = spoken
    try:
        int("x")
    except ValueError:
        logger.exception("It broke")
    (line,) = heard.lines
    assert "ValueError: invalid literal" in line["exception"]


SECRETS = [
    "Authorization: Bearer abcdefghijklmnop", "token rp_AbCdEf0123456789_-xyz", "jwt eyJhbGciOiJIUzI1.eyJzdWIiOiIxIn0.s1gn4ture_-", "redis://user:hunter2@cache:6379/0",
    "postgres://app:p%40ss@db/x", "password=hunter2&next=/", '{"username": "a", "password": "hunter2"}', "POST /x?token=abcdef123",
]  # fmt: skip
HIDDEN = ("abcdefghijklmnop", "rp_AbCdEf", "s1gn4ture", "hunter2", "p%40ss", "abcdef123")


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_leaves_through_a_log(hear, form):
    heard, logger = hear("product.secrets", form), logging.getLogger("product.secrets")
    for text in SECRETS:
        logger.error("Said: %s", text, extra={"said": {"deep": [text]}, "authorization": "x-y-z-1", "user_password": "x-y-z-2", "api_token": "x-y-z-3"})
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("broke")
    assert [secret for secret in (*HIDDEN, "x-y-z") if secret in heard.text] == []
    assert logs.HIDDEN in heard.text


def test_what_is_no_secret_stays(spoken):
    logger, heard = spoken
    text = "No token came with the request: send Authorization. See https://example.org/a?b=c, password: forgotten, rp_ and bearers."
    logger.error(text)
    assert heard.lines[0]["event"] == text


def test_a_console_line_can_be_read(hear):
    heard = hear("product.console", "console")
    logging.getLogger("product.console").info("Serving", extra={"port": 8000})
    assert "info" in heard.text
    assert "Serving" in heard.text
    assert "port=8000" in heard.text
    assert not heard.text.startswith("{")


def test_production_logs_json_and_development_for_people():
    assert logs.configured(level="INFO", form="console")["loggers"]["config.logs.access_log"]["level"] == "WARNING"
    assert logs.configured(level="INFO", form="json")["loggers"]["config.logs.access_log"]["level"] == "INFO"
    assert logs.configured(level="DEBUG", form="console")["loggers"]["config.logs.access_log"]["level"] == "DEBUG"


# Requests ----------------------------------------------------------------------------------------------------------------------------------


def test_every_request_has_its_line_with_who_asked_and_no_query(hear, browser_for, bob, project):
    heard = hear(access_log.logger.name)
    answer = browser_for(bob).get("/projects/vision-team/digits/?q=secret-words")
    (line,) = heard.lines
    assert (line["method"], line["path"], line["status"], line["user"]) == ("GET", "/projects/vision-team/digits/", 200, bob.pk)
    assert line["request_id"] == answer["X-Request-ID"]
    assert line["ms"] >= 0
    assert "secret-words" not in heard.text


def test_a_token_is_named_by_its_user_and_a_stranger_by_nobody(hear, api_for, bob, client):
    heard = hear(access_log.logger.name)
    api_for(bob).get("/api/v1/projects", headers={"X-Request-ID": "mine-1"})
    client.get("/api/v1/projects")
    assert [(line["user"], line["status"]) for line in heard.lines] == [(bob.pk, 200), (None, 401)]
    assert heard.lines[0]["request_id"] == "mine-1"


def test_what_is_logged_during_a_request_carries_its_id_and_the_next_request_has_another(hear, api_for, erin, project):
    heard = hear("experiments.deletion")
    hear(access_log.logger.name)
    made = [api_for(erin).post("/api/v1/experiments", {"project": "digits", "name": "e"}, content_type="application/json") for _ in range(2)]
    from_admin = Client()
    erin.is_superuser = True
    erin.save()
    from_admin.force_login(erin)
    answers = [api_for(erin).delete(f"/api/v1/experiments/{answer.json()['id']}") for answer in made]
    ids = [answer["X-Request-ID"] for answer in answers]
    assert [line["request_id"] for line in heard.lines if "deleted" in line["event"]] == ids
    assert len(set(ids)) == 2


@pytest.mark.parametrize("way", ["short", "long"])
def test_a_request_with_points_has_no_line_unless_it_is_refused(hear, store, project, experiment, token_for, erin, way):
    heard, secret = hear(access_log.logger.name), token_for(erin)
    point = {"metric_name": "loss", "metric_value": 1}

    def post(name: str) -> str:
        path = f"/api/v1/metrics/log/digits/{name}"
        if way == "long":
            headers = {"Authorization": f"Bearer {secret}"}
            return Client(headers=headers).post(path, point, content_type="application/json")["X-Request-ID"]
        return short(path, json.dumps(point).encode(), HTTP_AUTHORIZATION=f"Bearer {secret}")[1]["X-Request-ID"]

    post("baseline")
    assert [line for line in heard.lines if line["level"] != "debug"] == []
    request_id = post("nowhere")
    (line,) = [line for line in heard.lines if line["level"] != "debug"]
    assert (line["status"], line["path"], line["request_id"]) == (404, "/api/v1/metrics/log/digits/nowhere", request_id)


def test_probes_are_quiet(hear, client, db):
    heard = hear(access_log.logger.name)
    client.get("/health")
    assert [line["level"] for line in heard.lines] == ["debug"]


# Tasks -------------------------------------------------------------------------------------------------------------------------------------


celery = Celery("tests", broker="memory://", set_as_current=False)
celery.conf.update(broker_transport_options={"polling_interval": 0.05}, task_ignore_result=True, worker_hijack_root_logger=False)


@celery.task(name="tests.speak")
def speak() -> None:
    logging.getLogger("product.task").info("The task speaks")


@pytest.mark.slow
def test_a_tasks_lines_carry_the_id_of_the_request_that_asked_for_it(hear):
    """Through a broker and a worker: the id travels in the message's headers."""
    heard = hear("product.task")
    with start_worker(celery, perform_ping_check=False, pool="threads", concurrency=1, loglevel="ERROR"):
        bind_contextvars(request_id="r7")
        asked = speak.delay()
        clear_contextvars()
        unasked = speak.delay()
        deadline = time.monotonic() + 30
        while len(heard.text.splitlines()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    first, second = heard.lines
    assert (first["request_id"], first["task"], first["task_id"]) == ("r7", "tests.speak", asked.id)
    assert (second["request_id"], second["task_id"]) == (unasked.id, unasked.id)


def test_a_thread_that_goes_on_to_other_work_forgets_the_task(hear):
    heard = hear("product.task")
    speak.push_request(id="t1", is_eager=False)
    try:
        task_logs.bind(task_id="t1", task=speak)
        speak.run()
        task_logs.release(task=speak)
        logging.getLogger("product.task").info("Afterwards")
    finally:
        speak.pop_request()
    assert ["request_id" in line for line in heard.lines] == [True, False]
