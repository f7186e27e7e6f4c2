"""Where address and token come from, and the command that keeps them."""

import json
import logging
import os
import stat
from pathlib import Path

import pytest
import research_platform as rp
from research_platform import cli, trust
from research_platform.credentials import Credentials, credentials, credentials_for, renewed, voice

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


# Address and token come from one source


def test_a_token_from_the_environment_goes_to_no_address_that_a_file_names(far, monkeypatch):
    put(Path("data/credentials.json"), url=far.url, token="theirs")
    monkeypatch.setenv("RP_TOKEN", TOKEN)
    with pytest.raises(rp.ConfigurationError, match="RP_TOKEN is set, and nothing says for which server: set RP_URL too"):
        rp.init("digits")
    assert far.requests == []


def test_a_token_that_the_script_gives_goes_to_no_address_that_a_file_names(far):
    put(Path("data/credentials.json"), url=far.url, token="theirs")
    with pytest.raises(rp.ConfigurationError, match="The argument `token` was given, and nothing says for which server"):
        rp.init("digits", token=TOKEN)
    assert far.requests == []


def test_the_scripts_own_word_and_the_environment_may_complete_each_other(monkeypatch):
    monkeypatch.setenv("RP_TOKEN", "e")
    assert credentials("http://argument/") == Credentials("http://argument", "e")
    monkeypatch.setenv("RP_URL", "http://argument")
    assert credentials("http://argument/") == credentials() == Credentials("http://argument", "e")
    monkeypatch.delenv("RP_TOKEN")
    assert credentials(token="a") == Credentials("http://argument", "a")


def test_a_token_that_the_environment_gives_for_one_server_goes_to_no_other(monkeypatch):
    monkeypatch.setenv("RP_URL", "http://mine")
    monkeypatch.setenv("RP_TOKEN", "e")
    with pytest.raises(rp.ConfigurationError, match="no token"):
        credentials("http://other")
    put(Path("credentials.json"), url="http://other", token="its own")
    assert credentials("http://other") == Credentials("http://other", "its own")


def test_an_address_from_the_environment_has_the_token_of_its_file(monkeypatch):
    monkeypatch.setenv("RP_URL", "http://found:8000/")
    put(Path("credentials.json"))
    assert credentials() == Credentials("http://found:8000", "from the file")


def test_what_was_kept_is_sent_with_the_environments_token_only_where_that_is_for_the_same_server(monkeypatch):
    monkeypatch.setenv("RP_TOKEN", "e")
    with pytest.raises(rp.ConfigurationError, match="nothing says that it is for http://kept: set RP_URL=http://kept too, or give --token"):
        credentials_for("http://kept")
    assert credentials_for("http://kept", "given").token == "given"
    monkeypatch.setenv("RP_URL", "http://kept/")
    assert credentials_for("http://kept") == Credentials("http://kept", "e")
    with pytest.raises(rp.ConfigurationError, match="no token"):
        credentials_for("http://elsewhere")


def test_a_token_is_renewed_from_where_the_old_one_stood_and_for_its_address_alone(monkeypatch):
    path = put(Path("credentials.json"))
    found = credentials()
    put(path, token="new")
    assert renewed(found, None, None) == "new"
    put(path, url="http://elsewhere", token="another's")
    assert renewed(found, None, None) == "from the file"
    monkeypatch.setenv("RP_TOKEN", "e")
    with pytest.raises(rp.ConfigurationError):
        renewed(found, None, None)


# Whose a file is


@pytest.fixture
def warned(caplog):
    """What was warned of; each kind of warning is new."""
    voice._said.clear()
    caplog.set_level(logging.WARNING, logger="research_platform")
    return caplog


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_passed_over_with_one_warning(warned):
    put(Path("../credentials.json"), token="above")
    path = put(Path("credentials.json"), url="http://evil", token="lure").absolute()
    os.chown(path, 12345, 12345)
    assert credentials().token == credentials().token == "above"
    assert [record.getMessage() for record in warned.records] == [
        f"Research Platform: {path} is passed over, as it belongs to somebody else (user 12345): take it over by chown, or keep a file of your own."
    ]


def test_a_file_of_roots_counts(monkeypatch):
    path = put(Path("credentials.json"))
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid or 4711)
    assert credentials().token == "from the file"


def test_a_file_that_everybody_may_write_is_passed_over(warned):
    put(Path("../credentials.json"), token="above")
    path = put(Path("credentials.json")).absolute()
    path.chmod(0o666)
    assert credentials().token == "above"
    assert f"everybody may write to it: chmod 600 {path}" in warned.text
    path.chmod(0o664)
    assert credentials().token == "from the file"


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_file_below_a_folder_that_everybody_may_write_is_passed_over(warned, level):
    path = put(Path("data/credentials.json")).absolute()
    put(Path.home() / ".config" / "research-platform" / "credentials.json", token="home")
    folder = path.parents[level]
    mode = stat.S_IMODE(folder.stat().st_mode)
    folder.chmod(0o777)
    try:
        assert credentials().token == "home"
        assert f"everybody may put files into {folder}: chmod o-w {folder}" in warned.text
        folder.chmod(0o1777)  # as /tmp is: nobody may replace what others put there
        assert credentials().token == "from the file"
    finally:
        folder.chmod(mode)


def test_a_link_does_not_hide_where_a_file_really_lies(warned, tmp_path):
    real = put(tmp_path / "open" / "credentials.json", token="lure")
    real.parent.chmod(0o777)
    Path("credentials.json").symlink_to(real)
    put(Path("../credentials.json"), token="above")
    assert credentials().token == "above"


def test_a_named_file_is_held_to_the_same_and_a_refusal_is_an_error(monkeypatch, tmp_path):
    path = put(tmp_path / "named.json")
    path.chmod(0o666)
    monkeypatch.setenv("RP_CREDENTIALS", str(path))
    with pytest.raises(rp.ConfigurationError, match=rf"RP_CREDENTIALS is {path}, which is not used, as everybody may write to it: chmod 600"):
        credentials()


def test_files_of_other_tools_are_no_reason_to_warn(warned):
    Path("credentials.json").write_text("{}")
    Path("credentials.json").chmod(0o666)
    put(Path("../credentials.json"), token="above")
    assert credentials().token == "above"
    assert warned.records == []


def test_a_pipe_of_that_name_holds_nobody_up():
    os.mkfifo("credentials.json")
    put(Path("../credentials.json"), token="above")
    assert credentials().token == "above"


def test_where_files_have_no_owner_nothing_speaks_against_them(monkeypatch):
    path = put(Path("credentials.json"))
    path.chmod(0o666)
    monkeypatch.delattr(os, "geteuid")
    assert trust.flaw_of(path, path.stat()) == ""


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
