"""The rules of the house: each package says in one docstring what lives there, and each contract of pyproject.toml breaks where it should."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from django.apps import apps
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
HOUSE = ["config", *(app for app in settings.INSTALLED_APPS if (ROOT / app).is_dir())]
FILES_MOST = 16
# contract: (importer, imported) of an import that only this contract forbids
PLANTED = {
    "Each height imports only what is below it": ("experiments.stalled", "metrics.charts.series"),
    "No two rooms of one house need each other": ("experiments.scatter.axes", "experiments.compare.outlook"),
    "Nobody leans on a page, an address or the admin": ("experiments.page.overview", "hypotheses.page.views"),
    "In the record each app knows only those before it": ("projects.models", "experiments.models"),
    "Who asks the metric store does not know which engine answers": ("experiments.readings.numbers", "metrics.clickhouse.pool"),
}


def packages() -> list[Path]:
    return [path.parent for app in HOUSE for path in (ROOT / app).rglob("__init__.py")]


def said_by(package: Path) -> list[ast.stmt]:
    return ast.parse((package / "__init__.py").read_text()).body


def test_each_package_is_one_docstring_and_imports_nothing():
    for package in packages():
        if package.name not in ("migrations", "templatetags", "management", "commands"):  # Django's names say what lives there
            assert [type(each) for each in said_by(package)] == [ast.Expr], package
        assert not [each for each in said_by(package) if not isinstance(each, ast.Expr)], package


def test_no_room_has_too_many_files():
    for package in packages():
        files = [path for path in package.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= FILES_MOST, package


def broken_in(said: str) -> dict[str, str]:
    """What lint-imports says of each contract that is broken."""
    parts = re.split(rf"^({'|'.join(map(re.escape, PLANTED))})\n-+\n", said.partition("Broken contracts")[2], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_an_import_planted_against_each_contract_breaks_it(tmp_path: Path):
    for app in HOUSE:
        shutil.copytree(ROOT / app, tmp_path / app, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for importer, imported in PLANTED.values():
        file = (tmp_path / importer.replace(".", "/")).with_suffix(".py")
        file.write_text(f"{file.read_text()}\nimport {imported}\n")
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"COLUMNS": "300"}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = broken_in(done.stdout)
    assert set(broken) == set(PLANTED), done.stdout
    for contract, (importer, imported) in PLANTED.items():
        named = ".scatter -> .compare" if contract.startswith("No two rooms") else f"{importer} -> {imported}"
        assert [line for line in broken[contract].splitlines() if " -> " in line and named not in line] == [], broken[contract]
        assert named in broken[contract], broken[contract]


def test_the_plural_of_every_model_is_a_word():
    plurals = [str(model._meta.verbose_name_plural) for model in apps.get_models() if model.__module__.partition(".")[0] in HOUSE]
    assert {"deliveries", "hypotheses", "web processes"} <= set(plurals)
    assert [plural for plural in plurals if re.search(r"[^aeiou]ys$|(?<!e)ss$|xs$", plural)] == []
