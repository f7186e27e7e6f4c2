"""What is told of the command line, and what is not."""

import time

import pytest
from research_platform import provenance
from research_platform.hiding import hidden

SECRET = "S3cr3t-of-mine"

# What a command line says; each holds SECRET, and none may tell it.
TELLING = [
    ["--api-key", SECRET],
    ["--api_key=" + SECRET],
    ["--apiKey", SECRET],
    ["-token", SECRET],
    ["--hf-token", SECRET, "--lr", "1"],
    ["--password", SECRET],
    ["--db.passwd=" + SECRET],
    ["--client-secret", SECRET],
    ["--secretthing=" + SECRET],
    ["--mykeyhere", SECRET],
    ["--auth", f"me:{SECRET}"],
    ["--api-keys", "one", SECRET, "--lr", "1"],
    ["WANDB_API_KEY=" + SECRET],
    ["logger.wandb.api_key=" + SECRET],
    ["+logger.token=" + SECRET],
    ["++db.password=two words " + SECRET],
    ["--tokenizerApiKey=" + SECRET],
    ["model={api_key:" + SECRET + ",lr:1}"],
    ["--config", '{"lr": 1, "api_key": "' + SECRET + '"}'],
    ["--config", f"password: '{SECRET}'"],
    ["sh", "-c", f"TOKEN={SECRET} python train.py"],
    ["sh", "-c", f"python train.py --token {SECRET} --lr 1"],
    [f"postgresql://me:{SECRET}@host:5432/name"],
    [f"--db=postgresql://me:p@{SECRET}@host/name"],
    [f"redis://:{SECRET}@host"],
    [f"https://{SECRET}{SECRET}@host/x"],
    [f"https://host/x?lr=1&access_token={SECRET}&y=1"],
    ["-H", f"Authorization: Bearer {SECRET}"],
    ["-H", f"Authorization: Basic {SECRET}"],
    ["--header", f"X-Api-Key: {SECRET}"],
    ["-b", f"Cookie: a=1; sessionid={SECRET}"],
    ["--text", f"bearer {SECRET}"],
    ["--pass", SECRET],
    ["--db-pass=" + SECRET],
    ["--dbPass", SECRET],
    ["--dbpass", SECRET],
    ["--pass-phrase", SECRET],
    ["--cred", SECRET],
    ["--credentials", SECRET],
    ["--userCredentials=" + SECRET],
    ["--cookie", f"session={SECRET}"],
    ["--cookies=" + SECRET],
    ["sh", "-c", f"python train.py --pass {SECRET} --pin 1"],
    ["--config", '{"pass": "' + SECRET + '", "lr": 1}'],
    [f"https://me:with/{SECRET}@host/x"],
    [f"https://me:80{SECRET}/a@host/x"],
    ["--_token", SECRET],
    ["--2fa-token", SECRET],
    ["-_api_key", SECRET],
    ["--pw", SECRET],
    ["--pw=" + SECRET],
    ["--db-pw", SECRET],
    ["--dbPw", SECRET],
    ["--dbpw", SECRET],
    ["MYSQL_PW=" + SECRET],
    ["sh", "-c", f"python train.py --pw {SECRET} --lr 1"],
    [f"https://{SECRET}@host/x"],
    [f"git+https://{SECRET}@host/x@v1"],
    [f"https://{SECRET}:x-oauth-basic@host/x"],
    [f"http://{SECRET}:@host"],
]


@pytest.mark.parametrize("words", TELLING, ids=" ".join)
def test_what_looks_like_a_secret_is_hidden(words):
    told = " ".join(hidden(["train.py", *words]))
    assert SECRET not in told
    assert "***" in told


TOKENS = [
    "rp_0123456789abcdef",
    "hf_abcdefghijklmnop",
    "sk-proj-abcdefghijkl",
    "ghp_0123456789abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0",
]


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_that_says_what_it_is_is_hidden_wherever_it_stands(token):
    assert hidden(["train.py", token, f"run:{token}"]) == ["train.py", "***", "run:***"]


def test_numbers_are_hidden_behind_a_password_and_an_api_key():
    assert hidden(["t", "--password", "1234", "pin.secret=5", "--api-key=77"]) == ["t", "--password", "***", "pin.secret=***", "--api-key=***"]


@pytest.mark.parametrize("name", ["token", "key", "hf-token", "hfToken", "admin_token", "pin", "sim.pin", "pin-code", "db-pass", "pass"])
def test_a_number_is_hidden_where_it_is_the_token_the_key_or_the_pin_itself(name):
    assert hidden(["t", f"--{name}", "4711", "data.csv"]) == ["t", f"--{name}", "***", "data.csv"]
    assert hidden(["t", f"{name}=4711"]) == ["t", f"{name}=***"]


USUAL = [
    ["train.py", "--lr", "0.1", "two words"],
    ["train.py", "--max-tokens", "512", "--num_key_value_heads=8", "model.key_dim=64", "--token-dropout", "1e-3"],
    ["train.py", "--tokenizer", "bert-base", "--tokenizer.name=gpt2", "data.tokenize=fast", "--tokenized-data", "a.bin"],
    ["train.py", "--keyframes", "every second", "data.keypoints=coco", "--keywords", "a b", "--monkey", "patch"],
    ["train.py", "--tie-tokens", "false", "use_token=True", "--no-token", "-v", "--token", "--lr", "1"],
    ["train.py", "--max_token=512", "n_tokens=3", "--eos_token", "2", "pad-token=0", "--pass=off", "--flops-per-token", "6", "rng_key=42", "model.token_dim=8"],
    ["train.py", "-1", "--2d", "conv", "-n", "4", "--_name", "x", "model.pwconv=on", "--pwm", "high", "--upw", "ward"],
    ["train.py", "--low-pass", "0.5", "--bypass", "x", "compass=north", "--passes", "3", "--spin", "up", "--pinned", "x", "--pin-memory", "cuda"],
    ["train.py", "--sacred", "x", "accredited=yes", "--pass-through", "x", "http://host:8080/x@y", "git+https://host/repo@v1"],
    ["train.py", "--author", "me", "--notes", "the key idea is small", "ssh://git@host/repo", "https://host?from=me@home", "data/*.csv"],
]


@pytest.mark.parametrize("words", USUAL, ids=lambda words: words[1])
def test_what_training_scripts_are_usually_told_stays(words):
    assert hidden(words) == words


def test_a_run_is_started_without_the_secrets_of_its_command(start, far, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "--api-key", SECRET, "--lr", "0.1"])
    start()
    assert far.of("POST", "/api/v1/experiments")[0].json["command"] == "train.py --api-key '***' --lr 0.1"


def test_of_a_long_command_the_beginning_is_told(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", *(f"--file=part-{number:05}.csv" for number in range(2000))])
    told = provenance.command()
    assert told.startswith("train.py --file=part-00000.csv ")
    assert told.endswith(" …")
    assert len(told.encode()) <= 8_000


def test_a_long_word_is_left_out_whole(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", "x" * 5_000, "--lr=1"])
    assert provenance.command() == "train.py '…' --lr=1"


@pytest.mark.parametrize(
    "word", ["key" * 1333, "pin-" * 999, "Pass" * 999, "https://a:" + "b/" * 1900, "a." * 1999, 'key="' * 799, "https://" + "a:" * 1900, "authorization:" * 280]
)
def test_no_command_line_takes_long_to_look_through(word, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train.py", *[word] * 100])
    began = time.process_time()
    provenance.command()
    assert time.process_time() - began < 5.0


@pytest.mark.parametrize("name", [None, "named"])
def test_without_provenance_nothing_of_it_is_sent(start, far, monkeypatch, name):
    monkeypatch.setattr("sys.argv", ["/home/alice/private-idea.py", "--lr", "1"])
    run = start(provenance=False, name=name)
    run.log({"loss": 1.0})
    run.finish()
    asked = far.of("POST", "/api/v1/experiments")[0].json
    assert not {"host", "git_commit", "command"} & set(asked)
    assert [batch.json["host"] for batch in far.batches] == [""]
    for request in far.requests:
        assert b"private-idea" not in request.raw
        assert provenance.host() not in str(request.raw)


def test_without_provenance_nobody_is_told_where_points_are_kept(start, far):
    far.plan_for_batches(*[(403, {"error": {"code": "archived", "message": "It is archived."}}, {})] * 50)
    run = start(provenance=False)
    run.log({"loss": 1.0})
    run.finish(timeout_s=2.0)
    told = [loss for request in far.of("PATCH") for loss in request.json.get("missing", [])]
    assert [(loss["how"], loss["message"]) for loss in told][-1] == ("kept", "")
