"""What is deployed fits together: every command, variable, port and path in docker-compose.yml, Dockerfile, units and nginx exists.

There is no Docker engine here. What can be run without one is run: the settings of each service, the flags of PostgreSQL and Redis, `make env`.
The services' own commands are run as processes by test_services.py.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from django.conf import settings
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.core.management import call_command, get_commands

from tests.deploy.compose import ROOT, VARIABLE, Service, document, filled, read_env, service
from tests.servers import LOCALE, PostgresServer, RedisServer

PRODUCT = ("migrate", "web", "worker", "beat")
NAMES = re.compile(r"^#?([A-Z_]+)=", re.MULTILINE)
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
UNITS = sorted((ROOT / "deploy").glob("*.service"))


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `make env` writes."""
    target = tmp_path_factory.mktemp("env") / ".env"
    subprocess.run([sys.executable, "deploy/make_env.py", str(target)], cwd=ROOT, check=True, capture_output=True)
    return read_env(target)


@pytest.fixture
def services(given: dict[str, str]) -> dict[str, Service]:
    """Every service with the secrets put in."""
    return {name: service(name, given) for name in document()["services"]}


# Commands


def refuse_unknown(command: list[str]) -> None:
    """Fail where a command's program, or what it is told to run, is not there."""
    program, *arguments = command
    assert (Path(sys.executable).parent / Path(program).name).exists(), program
    if program.endswith("gunicorn"):
        assert importlib.util.find_spec(arguments[-1])
    elif program.endswith("celery"):
        assert arguments[:2] == ["-A", "config"]
        assert importlib.util.find_spec("config.celery")
        assert arguments[2] in ("worker", "beat", "inspect")
    elif arguments[0] == "manage.py":
        assert arguments[1] in get_commands()
    elif arguments[0] != "-c":
        assert (ROOT / arguments[0]).is_file()


def test_the_services_are_those_of_the_server_form(services):
    assert set(services) == {"postgres", "clickhouse", "redis", *PRODUCT}


@pytest.mark.parametrize("name", PRODUCT)
def test_each_command_and_health_check_of_the_product_is_there(services, name):
    refuse_unknown(services[name].command)
    kind, *check = services[name].health or ("NONE",)
    assert (kind == "NONE") == (name == "migrate"), "Only what ends by itself needs no health check."
    if check:
        refuse_unknown(check[0].split() if kind == "CMD-SHELL" else check)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_each_unit_runs_what_its_service_runs(services, unit):
    text = unit.read_text()
    command = re.search(r"^ExecStart=/opt/research-platform/\.venv/bin/(.+)$", text, re.MULTILINE)
    assert command
    refuse_unknown(command[1].split())
    assert [word for word in services[unit.stem.rpartition("-")[2]].command if word not in ("--bind", "0.0.0.0:8000")] == command[1].split()
    assert set(re.findall(r"Environment=([A-Z_]+)=", text)) <= read_by_the_product()
    assert "\nUser=research-platform\n" in text


def test_there_is_a_unit_for_each_process():
    assert [unit.stem for unit in UNITS] == ["research-platform-beat", "research-platform-web", "research-platform-worker"]


# Variables


def read_by_the_product() -> set[str]:
    """The settings that .env.example documents as read; tests/config holds it to what settings.py reads."""
    return set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_each_variable_that_the_file_asks_for_is_documented():
    asked = {match["name"] for match in VARIABLE.finditer(COMPOSE)}
    assert asked <= set(NAMES.findall((ROOT / ".env.example").read_text()))
    assert {"SECRET_KEY", "POSTGRES_PASSWORD"} <= asked


def test_no_secret_has_a_default():
    for match in VARIABLE.finditer(COMPOSE):
        if re.search("PASSWORD|SECRET", match["name"]):
            assert match["kind"] == ":?", match[0]
    with pytest.raises(KeyError):
        filled(document(), {})


@pytest.mark.parametrize("name", PRODUCT)
def test_the_product_reads_every_variable_that_it_is_given_and_starts_with_it(services, name):
    assert set(services[name].environment) <= read_by_the_product()
    command = "from config import settings as s; import json; print(json.dumps([s.ENVIRONMENT, s.DATABASES['default']['HOST'], s.REDIS_URL, s.ALLOWED_HOSTS]))"
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(settings.DATA_DIR), **services[name].environment}
    done = subprocess.run([sys.executable, "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kind, database, redis_url, hosts = json.loads(done.stdout)
    assert (kind, database, urlsplit(redis_url).hostname, hosts) == ("production", "postgres", "redis", ["127.0.0.1", "localhost"])


def test_servers_are_called_by_the_names_ports_and_passwords_of_their_services(services):
    given_to_web, postgres = services["web"].environment, services["postgres"].environment
    record, cache = urlsplit(given_to_web["DATABASE_URL"]), urlsplit(given_to_web["REDIS_URL"])
    assert (record.hostname, record.port, record.path) == ("postgres", 5432, f"/{postgres['POSTGRES_DB']}")
    assert (record.username, record.password) == (postgres["POSTGRES_USER"], postgres["POSTGRES_PASSWORD"])
    assert (cache.hostname, cache.port) == ("redis", 6379)
    assert cache.password == services["redis"].environment["REDISCLI_AUTH"]
    assert given_to_web["CLICKHOUSE_HOST"] in services
    for name in ("CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD"):
        assert given_to_web[name] == services["clickhouse"].environment[name]


# Ports, volumes, images, order


def test_the_port_is_one_everywhere(services):
    web = filled(document()["services"]["web"], {"SECRET_KEY": "x", "POSTGRES_PASSWORD": "x", "CLICKHOUSE_PASSWORD": "x", "REDIS_PASSWORD": "x"})
    bound = services["web"].command[services["web"].command.index("--bind") + 1].rpartition(":")[2]
    assert web["ports"] == [f"127.0.0.1:{settings.PORT}:{bound}"]
    assert f":{bound}/ready" in services["web"].health[-1]
    assert f"\nEXPOSE {bound}\n" in DOCKERFILE
    assert f"server 127.0.0.1:{settings.PORT};" in NGINX


def test_every_volume_is_declared_and_used_and_the_products_is_its_data_directory():
    mounted = [mount for each in document()["services"].values() for mount in each.get("volumes", [])]
    assert {mount.partition(":")[0] for mount in mounted} == set(document()["volumes"])
    assert "data:/data" in mounted
    assert "DATA_DIR=/data" in DOCKERFILE


def test_every_image_of_others_is_pinned_to_a_version():
    images = [each["image"] for each in document()["services"].values() if "build" not in each]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    for image in images:
        assert re.search(r":\d+\.\d+[.\d]*(-slim)?$", image), image


def test_who_waits_waits_for_something_that_comes():
    services = document()["services"]
    for name, each in services.items():
        for other, how in each.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[other], (name, other)
            assert how["condition"] != "service_completed_successfully" or other == "migrate"
    assert {"migrate"} == set(services["web"]["depends_on"])


# What can be tried without Docker


def test_redis_takes_the_flags_that_it_is_given(services):
    server = RedisServer(password=services["redis"].environment["REDISCLI_AUTH"])
    try:
        shell, flag, text = services["redis"].command
        here = f"port {server.port}\nbind 127.0.0.1\ndir {server.directory}\n"
        text = text.replace("redis-server", str(server.command()[0])).replace("SETTINGS\n", f"SETTINGS\n{here}", 1)
        server.command = lambda: [shell, flag, text]  # type: ignore[method-assign]
        server.options = lambda: {"env": {"PATH": os.environ["PATH"], **services["redis"].environment}}  # type: ignore[method-assign]
        server.start()
        kept = redis.Redis(port=server.port, password=server.password)
        assert [kept.config_get(name)[name] for name in ("save", "maxmemory", "maxmemory-policy")] == ["", str(768 << 20), "volatile-lru"]
        kept.close()
        assert server.password not in Path(f"/proc/{server.running.pid}/cmdline").read_text()
        assert b"redis-server" in Path(f"/proc/{server.running.pid}/exe").readlink().name.encode()  # it took the shell's place, and so its signals
    finally:
        server.remove()


def test_postgresql_takes_the_flags_that_it_is_given(services):
    assert services["postgres"].environment["POSTGRES_INITDB_ARGS"].split() == list(LOCALE)
    server = PostgresServer()
    try:
        own_command = server.command()
        server.command = lambda: [*own_command, *services["postgres"].command[1:]]  # type: ignore[method-assign]
        server.start()
        assert server.psql("SHOW max_connections") == [("300",)]
    finally:
        server.remove()


def test_make_env_makes_secrets_once_for_its_owner_alone(tmp_path: Path):
    command = [sys.executable, str(ROOT / "deploy" / "make_env.py"), str(tmp_path / ".env")]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    made = (tmp_path / ".env").read_text()
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    secrets = [value for name, value in read_env(tmp_path / ".env").items()]
    assert len(set(secrets)) == 4
    assert min(map(len, secrets)) >= 32
    assert not any(secret in first.stdout for secret in secrets)
    again = subprocess.run(command, capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (1, "")
    assert "already" in again.stderr
    assert (tmp_path / ".env").read_text() == made
    assert "deploy/make_env.py" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("name", ["ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "PROXY_TRUSTED", "COOKIES_SECURE"])
def test_what_make_env_offers_to_change_reaches_the_product(name):
    assert f"#{name}=" in (ROOT / "deploy" / "make_env.py").read_text()
    assert "${" + name in COMPOSE


# The image


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path of the root out of the build; the last pattern that fits decides."""
    result = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").strip()
        if pattern and any(fnmatch.fnmatch(part, pattern) for part in (path, path.split("/")[0])):
            result = not line.startswith("!")
    return result


def copied() -> list[str]:
    """What the Dockerfile copies from the checkout."""
    lines = [line.split()[1:] for line in DOCKERFILE.splitlines() if line.startswith("COPY ") and "--from" not in line]
    return [source for line in lines for source in line[:-1]]


def test_everything_that_is_copied_is_there_and_not_ignored():
    for source in copied():
        assert (ROOT / source).exists(), source
        assert not ignored(source), source
    for secret in (".env", ".git", "data", ".venv", "node_modules", "tests"):
        assert ignored(secret), secret


def test_every_room_of_the_product_is_in_the_image():
    rooms = {app.partition(".")[0] for app in settings.INSTALLED_APPS if (ROOT / app.partition(".")[0]).is_dir()}
    assert rooms | {"config", "static", "templates", "manage.py", "gunicorn.conf.py"} <= set(copied())


def test_stages_copy_from_stages_that_are_there_and_the_last_one_runs_without_root(services):
    stages = re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"--from=(\w+)", DOCKERFILE)) == set(stages)
    user = re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE)[-1]
    assert f" {user} " in DOCKERFILE
    assert user != "root"
    assert json.loads(DOCKERFILE.rpartition("CMD ")[2]) == services["web"].command


def test_static_files_can_be_collected(tmp_path: Path, settings: Any):
    settings.STATIC_ROOT = str(tmp_path)
    call_command("collectstatic", interactive=False, verbosity=0)
    storage = StaticFilesStorage(location=str(tmp_path))
    assert storage.exists("css/app.css")
    assert storage.exists("vendor/uplot/uPlot.esm.js") == (ROOT / "node_modules" / "uplot").is_dir()
