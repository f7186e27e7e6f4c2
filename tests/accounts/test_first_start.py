"""The file of the first start, which later starts follow with their address."""

import json

import pytest

from accounts.first_start import follow_address

HERE = "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    "kept",
    [
        {"url": "http://127.0.0.1:8000", "username": "admin", "password": "a word", "token": "rp_1"},
        {"url": "http://127.0.0.1:8000", "token": "rp_1"},
        {"token": "rp_1", "note": "mine"},
    ],
    ids=["as it was", "without the password", "with a word of its owner's"],
)
def test_a_later_start_changes_the_address_alone_whatever_else_its_owner_made_of_the_file(tmp_path, kept):
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(kept))
    follow_address(path, HERE)
    assert json.loads(path.read_text()) == kept | {"url": HERE}


@pytest.mark.parametrize("text", ["", "{", "[]", '"rp_1"', "\udcff"])
def test_a_file_that_says_nothing_any_more_stays_and_is_no_reason_not_to_start(tmp_path, text):
    path = tmp_path / "credentials.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    follow_address(path, HERE)
    assert path.read_bytes() == text.encode(errors="surrogateescape")


def test_where_there_is_no_file_none_is_made(tmp_path):
    follow_address(tmp_path / "credentials.json", HERE)
    assert not list(tmp_path.iterdir())
