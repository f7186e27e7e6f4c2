"""Settings: documented, and refused with a sentence where they make no sense."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT: Path = settings.BASE_DIR
# Every name that issue, documents and deployments rely on.
PROMISED = [
    "APP_NAME",
    "APP_VERSION",
    "ENVIRONMENT",
    "DEBUG",
    "LOG_LEVEL",
    "DATABASE_URL",
    "CLICKHOUSE_HOST",
    "CLICKHOUSE_DATABASE",
    "REDIS_URL",
    "SECRET_KEY",
    "ALGORITHM",
    "ACCESS_TOKEN_EXPIRE_MINUTES",
    "CELERY_BROKER_URL",
    "CELERY_RESULT_BACKEND",
    "METRICS_BATCH_SIZE",
    "METRICS_FLUSH_INTERVAL",
    "HYPOTHESIS_SUPPORT_THRESHOLD",
    "HYPOTHESIS_REFUTE_THRESHOLD",
    "CORS_ALLOWED_ORIGINS",
    "ALLOWED_HOSTS",
]
SECRET = "3v9Tq2mW8xLr5Kd0YpZf7HsNc1BgJuEa4oQiRtVw"


def documented() -> set[str]:
    return set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def read() -> set[str]:
    """What settings.py asks the environment for, however it asks."""
    return set(re.findall(r"(?:env(?:\.\w+)?\(|number\(env\.\w+, |choice\(|switch\()\s*\"([A-Z_]+)\"", (ROOT / "config" / "settings.py").read_text()))


def test_every_setting_that_is_read_is_documented_and_the_other_way_round():
    assert read() == documented()
    assert set(PROMISED) <= read()


def test_no_other_module_reads_the_environment():
    # The last two set what settings.py reads, and ask for a test's failpoint.
    allowed = {"config/settings.py", "config/environment/reading.py", "manage.py", "metrics/process.py"}
    apps = ["config", *(app for app in settings.INSTALLED_APPS if (ROOT / app).is_dir())]
    rooms = [path for app in apps for path in (ROOT / app).rglob("*.py")]
    assert len(apps) > 5
    found = {str(path.relative_to(ROOT)) for path in rooms if re.search(r"os\.environ(?!\.setdefault)|os\.getenv|environ\.Env", path.read_text())}
    assert found - allowed == set()


def test_what_the_example_says_is_what_happens_without_it():
    """The file with every setting, taken as it is, gives the same as no file."""
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines)
    assert settings_with({name: value.strip('"') for name, value in given.items()}) == settings_with({})


def settings_with(given: dict[str, str]) -> str:
    """The settings that a process has with this environment and no other, as text."""
    environment = {"PATH": os.environ["PATH"], **given, "DATA_DIR": str(settings.DATA_DIR)}
    command = "from config import settings as s; print([(n, getattr(s, n)) for n in sorted(dir(s)) if n.isupper()])"
    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return re.sub(r"0x[0-9a-f]+", "", done.stdout)


def refusal(tmp_path: Path, command: tuple[str, ...] = ("serve", "--port", "0"), **given: str) -> str:
    """What a command says on stderr when it does not start, after checking that it is one sentence."""
    environment = os.environ | {"DATA_DIR": str(tmp_path)} | given
    done = subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("LOG_LEVEL", "loud"),
        ("ENVIRONMENT", "moon"),
        ("METRICS_BATCH_SIZE", "0"),
        ("METRICS_BATCH_SIZE", "many"),
        ("METRICS_FLUSH_INTERVAL", "0"),
        ("METRICS_FLUSH_INTERVAL", "soon"),
        ("SERVER_THREADS", "0"),
        ("CHDB_MAX_MEMORY_BYTES", "5"),
        ("DEBUG", "perhaps"),
        ("SPOOL_MAX_BYTES", "-1"),
        ("SPOOL_MAX_BYTES", "1 GB"),
        ("ALGORITHM", "none"),
        ("CELERY_TASK_TIME_LIMIT", "1801"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "0"),
        ("HYPOTHESIS_SUPPORT_THRESHOLD", "0.3"),
        ("HYPOTHESIS_SUPPORT_THRESHOLD", "1.0"),
        ("HYPOTHESIS_SUPPORT_THRESHOLD", "nan"),
        ("HYPOTHESIS_REFUTE_THRESHOLD", "0.7"),
        ("HYPOTHESIS_REFUTE_THRESHOLD", "-0.49"),
        ("HYPOTHESIS_REFUTE_THRESHOLD", "-1.0"),
        ("HYPOTHESIS_REFUTE_THRESHOLD", "nan"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("CORS_ALLOWED_ORIGINS", "team.example.org"),
        ("CORS_ALLOWED_ORIGINS", "https://team.example.org/app"),
        ("DATABASE_URL", "mysql://127.0.0.1/platform"),
        ("DATABASE_URL", "platform.sqlite3"),
        ("DATABASE_URL", "postgresql://127.0.0.1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_sentence_and_exit_code_1(name, value, tmp_path):
    said = refusal(tmp_path, **{name: value})
    assert name in said
    assert value in said


@pytest.mark.parametrize(
    "command", [("setup",), pytest.param(("migrate",), marks=pytest.mark.slow), pytest.param(("serve", "--port", "0"), marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    ("url", "reason"),
    [("postgresql://u:hidden@127.0.0.1:1/x", "refused"), ("postgresql://u:hidden@host.invalid/x", "host.invalid"), ("postgresql://u:hidden@h:x/y", "x")],
)
def test_a_database_that_is_not_there_is_one_sentence_without_its_password(command, url, reason, tmp_path):
    said = refusal(tmp_path, command, DATABASE_URL=url, DATABASE_POOL_TIMEOUT_S="0.5")
    assert "DATABASE_URL=postgresql://u:***@" in said
    assert reason in said
    assert "hidden" not in said


PRODUCTION = {"ENVIRONMENT": "production", "SECRET_KEY": SECRET}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"SECRET_KEY": "ab" * 30}, "SECRET_KEY"),
        ({"SECRET_KEY": "change-me-" + SECRET}, "SECRET_KEY"),
        ({"SECRET_KEY": "django-insecure-" + SECRET}, "SECRET_KEY"),
        ({"SECRET_KEY": "", "DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x"}, "SECRET_KEY"),
        ({"SECRET_KEY": "", "REDIS_URL": "redis://127.0.0.1:1/0"}, "SECRET_KEY"),
        ({"DEBUG": "true"}, "DEBUG"),
        ({"EMAIL_URL": "smtp://127.0.0.1:25"}, "SITE_URL"),
        ({"EMAIL_URL": "smtp://127.0.0.1:25", "SITE_URL": "/"}, "SITE_URL"),
        ({"CORS_ALLOWED_ORIGINS": "*"}, "CORS_ALLOWED_ORIGINS"),
        ({"CORS_ALLOWED_ORIGINS": "https://team.example.org,*"}, "CORS_ALLOWED_ORIGINS"),
        *(({"ALLOWED_HOSTS": hosts}, "ALLOWED_HOSTS") for hosts in ("*", "lab.example.org,*", ".", "*.example.org", ".org", "lab.example.org, .com", "..")),
    ],
)
def test_production_refuses_what_is_unsafe(given, named, tmp_path):
    said = refusal(tmp_path, **(PRODUCTION | given))
    assert "ENVIRONMENT=production" in said
    assert named in said
    if given.get("SECRET_KEY"):
        assert given["SECRET_KEY"] not in said


def test_production_starts_with_a_strong_secret_and_without_one_makes_its_own():
    for given in (PRODUCTION, {"ENVIRONMENT": "production"}):
        found = settings_with(given)
        assert "('SESSION_COOKIE_SECURE', True)" in found
        assert "('CSRF_COOKIE_SECURE', True)" in found
        assert "('SECURE_HSTS_SECONDS', 2592000)" in found
        assert "('PASSWORD_HASHERS', ['accounts.signing_in.hashing.QueuedPBKDF2'])" in found, "no hash is made beside those that wait for each other"
    assert "('SECURE_HSTS_SECONDS', 0)" in settings_with({})


@pytest.mark.parametrize("hosts", ["lab.example.org", "127.0.0.1,localhost,", ".example.org", ".lan", "[::1],lab"])
def test_production_starts_with_hosts_that_are_named(hosts):
    assert "('ENVIRONMENT', 'production')" in settings_with({**PRODUCTION, "ALLOWED_HOSTS": hosts})


def test_production_sends_e_mails_whose_links_begin_with_its_address():
    found = settings_with({**PRODUCTION, "EMAIL_URL": "smtp://127.0.0.1:25", "SITE_URL": "https://lab.example.org/"})
    assert "('SITE_URL', 'https://lab.example.org')" in found
    assert "('SITE_URL', 'http://127.0.0.1:8000')" in settings_with({"EMAIL_URL": "smtp://127.0.0.1:25"})


def test_outside_production_any_host_may_be_let_in():
    assert "('ALLOWED_HOSTS', ['*'])" in settings_with({"ALLOWED_HOSTS": "*"})


SERVERS = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x", "CLICKHOUSE_HOST": "127.0.0.1", "REDIS_URL": "redis://:p@127.0.0.1:1/0"}


@pytest.mark.parametrize("servers", [{}, SERVERS], ids=["embedded", "server"])
def test_check_deploy_finds_nothing_with_the_settings_of_production(servers, tmp_path):
    environment = {"PATH": os.environ["PATH"], **PRODUCTION, **servers, "SECRET_KEY": SECRET + SECRET[::-1], "ALLOWED_HOSTS": "lab.example.org"}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "INFO"]
    done = subprocess.run(command, cwd=ROOT, env=environment | {"DATA_DIR": str(tmp_path)}, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout


def test_check_deploy_is_not_blind():
    """What is silenced is named one by one, each for a reason that settings.py gives."""
    assert settings.SILENCED_SYSTEM_CHECKS == ["security.W005", "security.W008", "security.W021"]


def test_broker_and_results_are_databases_of_their_own_in_redis():
    assert "('CELERY_BROKER_URL', 'memory://localhost')" in settings_with({})
    found = settings_with({"REDIS_URL": "redis://:word@cache.example.org:6380/0", "CLICKHOUSE_HOST": "metrics.example.org"})
    assert "('CELERY_BROKER_URL', 'redis://:word@cache.example.org:6380/1')" in found
    assert "('CELERY_RESULT_BACKEND', 'redis://:word@cache.example.org:6380/2')" in found
    assert "'amqp://here'" in settings_with({"CELERY_BROKER_URL": "amqp://here", "CLICKHOUSE_HOST": "metrics.example.org"})


def test_a_database_url_gives_a_pool_of_ten_and_twenty_more():
    found = settings_with({"DATABASE_URL": "postgres://us%40er:p%2Fw@[::1]:5433/record?sslmode=require"})
    for part in ("'max_size': 30", "'USER': 'us@er'", "'PASSWORD': 'p/w'", "'HOST': '::1'", "'PORT': '5433'", "'NAME': 'record'", "'sslmode': 'require'"):
        assert part in found
