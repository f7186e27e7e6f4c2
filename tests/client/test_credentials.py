"""Where address and token come from, and the command that keeps them."""

import json
import stat
from pathlib import Path

import pytest
import research_platform as rp
from research_platform import cli
from research_platform.credentials import Credentials, credentials

from .conftest import TOKEN


def put(path, url="http://found:8000/", token="from the file"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"url": url, "username": "admin", "password": "p", "token": token}))
    return path


def test_arguments_come_before_the_environment_and_the_environment_before_files(monkeypatch):
    put(Path("data/credentials.json"))
    assert credentials() == Credentials("http://found:8000", "from the file")
    monkeypatch.setenv("RP_URL", "http://environment")
    monkeypatch.setenv("RP_TOKEN", "e")
    assert credentials() == Credentials("http://environment", "e")
    assert credentials("http://argument/", "a") == Credentials("http://argument", "a")


def test_the_nearest_file_is_used():
    put(Path.home() / ".config" / "research-platform" / "credentials.json", token="home")
    assert credentials().token == "home"
    for place, token in [("..", "above"), ("../data", "data above"), (".", "here"), ("data", "data here")]:
        put(Path(place) / "credentials.json", token=token)
        assert credentials().token == token


def test_a_named_file_comes_first(monkeypatch, tmp_path):
    put(Path("data/credentials.json"))
    monkeypatch.setenv("RP_CREDENTIALS", str(put(tmp_path / "named.json", token="named")))
    assert credentials().token == "named"


def test_a_named_file_that_cannot_be_read_is_an_error(monkeypatch):
    monkeypatch.setenv("RP_CREDENTIALS", "/nowhere.json")
    with pytest.raises(rp.ConfigurationError, match=r"RP_CREDENTIALS is /nowhere.json"):
        credentials()


@pytest.mark.parametrize("content", ["{}", "[]", "not JSON", '{"url": 1, "token": "t"}', '{"installed": {"client_id": "x"}}'])
def test_files_of_other_tools_are_passed_over(content):
    Path("credentials.json").write_text(content)
    put(Path("../credentials.json"), token="above")
    assert credentials().token == "above"


def test_without_any_the_error_says_what_to_do():
    with pytest.raises(rp.ConfigurationError, match=r"no address and no token.*research-platform login http://ADDRESS.*RP_URL.*RP_MODE=disabled"):
        rp.init("digits")


def test_an_address_without_a_token_is_named():
    with pytest.raises(rp.ConfigurationError, match=r"no token.*login http://x:1"):
        rp.init("digits", url="http://x:1")


def test_the_token_of_one_server_is_never_sent_to_another():
    put(Path("credentials.json"))
    with pytest.raises(rp.ConfigurationError, match="no token for http://elsewhere"):
        credentials("http://elsewhere")
    assert credentials("http://found:8000").token == "from the file"


def test_login_checks_the_token_and_keeps_it_for_its_owner_alone(far, capsys):
    assert cli.main(["login", far.url + "/", "--token", TOKEN]) == 0
    kept = Path.home() / ".config" / "research-platform" / "credentials.json"
    assert json.loads(kept.read_text()) == {"url": far.url, "token": TOKEN}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert far.url in capsys.readouterr().out
    assert credentials() == Credentials(far.url, TOKEN)


def test_login_asks_for_the_token(far, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt: f" {TOKEN}\n")
    assert cli.main(["login", far.url]) == 0
    assert credentials().token == TOKEN


def test_login_keeps_no_token_that_the_server_does_not_know(far, capsys):
    assert cli.main(["login", far.url, "--token", "wrong"]) == 1
    assert "does not take the token (401 This token is not known.)" in capsys.readouterr().err
    assert not (Path.home() / ".config").exists()


def test_login_tells_an_absent_server_and_a_strange_one_apart(far, absent, capsys):
    assert cli.main(["login", absent.url, "--token", "t"]) == 1
    assert "does not answer" in capsys.readouterr().err
    far.answer = lambda request: (200, b"<html>", {})
    assert cli.main(["login", far.url, "--token", "t"]) == 1
    assert "does not take the token" in capsys.readouterr().err
