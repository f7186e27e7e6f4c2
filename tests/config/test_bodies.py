"""What Django does with a body that no server has judged before."""

from __future__ import annotations

import gzip
import json
from contextlib import ExitStack

import pytest
import zstandard
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from config.errors import BadRequest, TooLarge, Unavailable
from config.web.bodies import reading
from config.web.bodies.in_flight import FLIGHT, LARGE, Flight
from config.web.bodies.purposes import most_bytes
from config.web.bodies.reading import opened

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


@pytest.fixture(autouse=True)
def _held_no_more():
    yield
    assert FLIGHT.held == 0


@pytest.mark.parametrize(
    ("path", "most"), [("/sign-in", 16_000), ("/api/v1/auth/token", 16_000), ("/api/v1/projects", 4_000_000), ("/projects/new", 2_000_000)]
)
def test_a_body_larger_than_its_address_takes_is_refused(client, path, most):
    answer = client.post(path, b"x" * (most + 1), content_type=FORM)
    assert answer.status_code == 413
    assert f"{most:,}" in answer.content.decode()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_small_body_that_becomes_larger_than_its_address_takes_is_refused(client, encoding):
    body = b'{"username": "%s"}' % (b"a" * 100_000)
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    answer = client.post("/api/v1/auth/token", packed, content_type=JSON, headers={"Content-Encoding": encoding})
    assert answer.status_code == 413
    assert "once decompressed" in answer.json()["error"]["message"]


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_no_more_of_a_body_is_read_than_until_its_values_are_too_many(encoding, monkeypatch):
    seen = []
    monkeypatch.setattr(reading, "values_in", lambda piece: seen.append(len(piece)) or piece.count(b","))
    body = b"[" + b"0," * 5_000_000 + b"0]"
    with pytest.raises(TooLarge), opened(gzip.compress(body) if encoding else body, encoding, most=20_000_000, values=700_000):
        raise AssertionError
    assert seen == [1_000_000, 1_000_000]


def test_no_more_of_a_body_is_unpacked_than_its_address_takes(monkeypatch):
    taken = []
    monkeypatch.setattr(FLIGHT, "take", lambda count, **_: taken.append(count))
    monkeypatch.setattr(FLIGHT, "give", lambda count, **_: None)
    with pytest.raises(TooLarge), opened(gzip.compress(b"a" * 50_000_000), "gzip", most=16_000, values=1):
        raise AssertionError
    assert sum(taken) < 20_000


def test_a_large_form_of_somebody_unknown_is_refused_before_its_fields_are_read(client, browser_for, alice):
    form = "csrfmiddlewaretoken=" + "%41" * 100_000
    answer = client.post("/projects/new", form, content_type=FORM)
    assert answer.status_code == 401
    assert "csrf" not in answer.content.decode().lower()
    assert browser_for(alice).post("/projects/new", form, content_type=FORM).status_code in (200, 422)


def test_a_form_for_whose_fields_there_is_no_room_is_to_be_sent_again(browser_for, alice, monkeypatch):
    monkeypatch.setattr(FLIGHT, "most", 1_000_000)
    with FLIGHT.holding(900_000):
        answer = browser_for(alice).post("/projects/new", "name=" + "%41" * 100_000, content_type=FORM)
    assert answer.status_code == 503
    assert answer["Retry-After"]


def test_a_form_with_a_file_is_refused_in_words_and_nothing_of_it_is_kept(browser_for, alice, tmp_path, settings):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    answer = browser_for(alice).post("/projects/new", {"name": "p", "cover": SimpleUploadedFile("x", b"x" * 1_000_000)})
    assert answer.status_code == 400
    assert "No file is taken here" in answer.content.decode()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("inner", ["[]", "{}", "0"])
def test_lists_and_objects_are_counted_before_they_are_built(api_for, alice, experiment, inner):
    body = gzip.compress(f'{{"metrics":[{",".join([inner] * 1_700_000)}]}}'.encode())
    answer = api_for(alice).post(
        f"/api/v1/metrics/log-batch/{experiment.project_id}/{experiment.pk}", body, content_type=JSON, headers={"Content-Encoding": "gzip"}
    )
    assert answer.status_code == 413
    assert "values" in answer.json()["error"]["message"]


def test_a_record_of_too_many_values_is_not_built(api_for, alice):
    body = json.dumps({"project": "p", "name": "n", "params": {"x": [0] * 500_000}})
    answer = api_for(alice).post("/api/v1/experiments", body, content_type=JSON)
    assert answer.status_code == 413
    assert "400,000" in answer.json()["error"]["message"]


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_large_bodies_take_not_all_threads_and_small_ones_need_no_place(encoding):
    large, small = ((gzip.compress(body) if encoding else body) for body in (b" " * 1_000_001, b" " * 1_000_000))
    with ExitStack() as taken:
        for _ in range(LARGE.count):
            taken.enter_context(LARGE.one())
        with pytest.raises(Unavailable), opened(large, encoding, most=2_000_000, values=1):
            raise AssertionError
        with opened(small, encoding, most=2_000_000, values=1) as body:
            assert len(body) == 1_000_000
    for _ in range(2 * settings.SERVER_THREADS):
        with opened(large, encoding, most=2_000_000, values=1) as body:
            assert len(body) == 1_000_001


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1_000_000, 2_345_678])
def test_gzip_is_unpacked_whole_however_it_is_packed(size):
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    packed = gzip.compress(body[: size // 2]) + gzip.compress(b"") + gzip.compress(body[size // 2 :], compresslevel=0)
    with opened(packed, "gzip", most=5_000_000, values=1) as found:
        assert found == body
    with pytest.raises(BadRequest, match="breaks off"), opened(packed[:-1], "gzip", most=5_000_000, values=1):
        raise AssertionError
    with pytest.raises(BadRequest, match="gzip"), opened(packed[:-8] + b"\0" * 8 if size else packed + b"x", "gzip", most=5_000_000, values=1):
        raise AssertionError


def test_members_without_anything_in_them_are_not_unpacked_without_end():
    with pytest.raises(BadRequest, match="members"), opened(gzip.compress(b"") * 100_000, "gzip", most=1_000, values=1):
        raise AssertionError


def test_one_sender_leaves_room_for_what_others_send_packed_and_places_for_their_large_bodies(monkeypatch):
    monkeypatch.setattr(FLIGHT, "of_one", 1_500_000)
    packed = gzip.compress(b" " * 900_000)
    with opened(packed, "gzip", most=1_000_000, values=1, whose="1"):
        with pytest.raises(Unavailable, match="of yours"), opened(packed, "gzip", most=1_000_000, values=1, whose="1"):
            raise AssertionError
        with opened(packed, "gzip", most=1_000_000, values=1, whose="2") as other:
            assert len(other) == 900_000
    with ExitStack() as taken:
        for _ in range(LARGE.of_one):
            taken.enter_context(LARGE.one(whose="1"))
        with pytest.raises(Unavailable, match="of yours"), LARGE.one(whose="1"):
            raise AssertionError
        with LARGE.one(whose="2"):
            pass
    assert FLIGHT.held_by == LARGE.taken == {}


def test_what_is_built_of_a_body_counts_as_long_as_it_is_being_built(monkeypatch):
    body = json.dumps([0] * 200_000).encode()
    with opened(body, "", most=2_000_000, values=300_000):
        assert FLIGHT.held > 5_000_000


def test_one_that_is_larger_than_all_room_is_taken_while_others_hold_little():
    flight = Flight(100, of_one=100)
    with flight.holding(25), flight.holding(90), flight.holding(500, own=90):
        with pytest.raises(Unavailable):
            flight.take(1)
        with pytest.raises(Unavailable):
            flight.take(1, own=500)
    assert flight.held == 0


def test_points_have_a_limit_of_their_own(settings):
    settings.METRICS_MAX_BODY_BYTES = 7
    assert most_bytes("/api/v1/metrics/log-batch/p/e") == most_bytes("/api/v1/metrics/log/p/e") == 7
