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


def documented() -> set[str]:
    return set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def read() -> set[str]:
    return set(re.findall(r"(?:env\.\w+\(|number\(env\.\w+, |choice\(|switch\()\"([A-Z_]+)\"", (ROOT / "config" / "settings.py").read_text()))


def test_every_setting_that_is_read_is_documented_and_the_other_way_round():
    assert read() == documented()
    assert len(read()) > 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("LOG_LEVEL", "loud"),
        ("ENVIRONMENT", "moon"),
        ("METRICS_BATCH_SIZE", "0"),
        ("METRICS_FLUSH_INTERVAL", "soon"),
        ("DEBUG", "perhaps"),
        ("SPOOL_MAX_BYTES", "-1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_sentence_and_exit_code_1(name, value, tmp_path):
    environment = os.environ | {"DATA_DIR": str(tmp_path), name: value}
    done = subprocess.run([sys.executable, "manage.py", "serve", "--port", "0"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert name in done.stderr
    assert value in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
