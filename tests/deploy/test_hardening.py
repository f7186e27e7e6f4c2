"""What runs has no more rights, files and memory than it needs: in docker-compose.yml, in the image, in the units of systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.compose import ROOT, document

SERVICES: dict[str, Any] = document()["services"]
UNITS = sorted((ROOT / "deploy").glob("*.service"))
MIB = 1 << 20
SIZES = {"k": 1 << 10, "m": MIB, "g": 1 << 30}


def size(text: str) -> int:
    """A size as compose and systemd write it, in bytes."""
    return int(text[:-1]) * SIZES[text[-1].lower()]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_hardened(name):
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["read_only"] is True
    assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])
    assert all("size=" in mount for mount in service["tmpfs"])
    assert 512 * MIB <= size(service["mem_limit"]) <= 4096 * MIB
    assert service["pids_limit"] > 0


def test_no_service_runs_as_root():
    """Those of others by their own user; ours by that of the image."""
    for name, service in SERVICES.items():
        assert service.get("user") in {"postgres": ["postgres"], "clickhouse": ["101:101"], "redis": ["redis"]}.get(name, [None]), name
    assert re.findall(r"^USER (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1] == "platform"


def test_redis_has_room_for_what_it_may_keep():
    kept = re.search(r"maxmemory (\d+)mb", str(SERVICES["redis"]["command"]))
    assert kept
    assert int(kept[1]) * MIB < size(SERVICES["redis"]["mem_limit"])


def test_no_secret_is_an_argument_of_a_command():
    for name, service in SERVICES.items():
        for word in (*service.get("command", []), *service.get("healthcheck", {}).get("test", [])):
            assert not re.search(r"(?<!\$)\$\{?\w*(?:PASSWORD|SECRET|AUTH)", word), (name, word)


NEEDED = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictNamespaces": "yes",
    "SystemCallFilter": "@system-service",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_each_unit_is_hardened(unit):
    said = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))
    assert {name: said.get(name) for name in NEEDED} == NEEDED
    service = SERVICES[unit.stem.rpartition("-")[2]]
    assert size(said["MemoryMax"]) == size(service["mem_limit"])
    assert int(said["TasksMax"]) == service["pids_limit"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_calls_the_exposure_of_each_unit_small(unit):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", str(unit)], capture_output=True, text=True)
    if "Unknown" in done.stderr or "unrecognized" in done.stderr:
        pytest.skip("this systemd cannot look at a file")
    assert done.returncode == 0, done.stdout[-200:]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_every_line_of_the_units(tmp_path: Path):
    for unit in UNITS:
        text = re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(re.sub(r"^WorkingDirectory=.*$", "WorkingDirectory=/tmp", text, flags=re.MULTILINE))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)], capture_output=True, text=True)
        assert not re.search(rf"{unit.name}:\d+: (Unknown|Failed|Invalid)", done.stderr), done.stderr
