"""What narrows a question to whose it is, found in the code: conditions on a key of the record that leads to a team, visibility, roles, related rows.

And what a token's scope, its project and an operator's rights narrow it to: `caller.within("project")`, `caller.made("made_with")`, `logs_alone`,
`is_operator`, and whatever refuses somebody for a right that is not there.
"""

from __future__ import annotations

import ast
import copy
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db.models import ForeignKey

ROOT = Path(settings.BASE_DIR)
APPS = ("accounts", "alerts", "config", "experiments", "hypotheses", "metrics", "operations", "projects")
# Operators see every team's rows in the admin; what runs at the first start makes the only team; bytes, spool and drain know no rows of the record.
LEFT_OUT = ("migrations", "management", "demo", "admin.py", "admin", "first_start.py", "points", "spool", "drain")
ASKING = {"filter", "get", "get_or_create", "Q", "get_object_or_404", "update_or_create"}
MANAGING = {
    *ASKING, "all", "named", "addressed", "exists", "count", "order_by", "values_list", "values", "select_related", "prefetch_related", "first", "exclude",
    "current", "standing", "annotate", "iterator", "only", "defer", "in_bulk", "earliest", "latest", "aggregate", "distinct", "running", "select_for_update",
}  # fmt: skip
# What a caller says of itself, and what it says when it is taken away: everybody is an operator then, and no token reaches only its own.
CLAIMS = {"is_operator": True, "logs_alone": False}
NARROWINGS = ("within", "made")  # of a caller: what a token sees of rows, by the name of a field
REFUSING = ("require", "refuse", "operator")  # how functions begin that refuse somebody
REFUSALS = {"Forbidden", "PermissionDenied"}  # what they raise
ALSO_OF_RIGHTS = {"refuse_wider", "refuse_last_operator"}  # which say another word
ALL_ROWS = "~__import__('django.db.models').db.models.Q(pk__in=[])"  # which no other condition swallows, as it would an empty one
LOOKUPS = {"in", "exact", "pk", "id", "slug"}
SQL = re.compile(r"team_id = %\(team\)s AND project_id = %\(project\)s|\(team_id, project_id\) IN %\(places\)s")
STATEMENTS = ("metrics.store.statements", "metrics.store.evidence_rows", "metrics.store.crossed_rows", "metrics.store.live_rows", "metrics.store.point_rows",
              "metrics.store.repeat_rows", "metrics.store.columns")  # fmt: skip


@dataclass(frozen=True)
class Scope:
    """One such expression: where it stands, in which function, and what it is."""

    path: str
    line: int
    function: str  # the outermost that is around it; a constant of SQL has its name here
    kind: str
    code: str
    number: int  # of those of its file

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is called by in `survivors.toml`: lines move."""
        return self.path, self.function, self.code


def scopes() -> Iterator[Scope]:
    """Every one of them, in the order of the files."""
    for path in sorted(path for app in APPS for path in (ROOT / app).rglob("*.py")):
        place = path.relative_to(ROOT)
        if not any(part in LEFT_OUT for part in place.parts):
            yield from Finder(str(place)).found(text_of(place))
    yield from statements()


@cache
def text_of(path: Path) -> str:
    """A file as it was when it was looked at first: what runs was loaded then."""
    return (ROOT / path).read_text()


def statements() -> Iterator[Scope]:
    """The statements of the metric store that name a team and a project, by the names that modules have for them."""
    for name in STATEMENTS:
        held = sorted(key for key, value in vars(importlib.import_module(name)).items() if isinstance(value, str) and SQL.search(value))
        yield from (Scope(name.replace(".", "/") + ".py", 0, key, "sql", "team_id = … AND project_id = …", n) for n, key in enumerate(held))


def taken_away(scope: Scope) -> ast.Module:
    """The file's tree without this one."""
    finder = Finder(scope.path, target=scope.number)
    tree = finder.walked(text_of(Path(scope.path)))
    return ast.fix_missing_locations(tree)


def keys_of_owners() -> set[str]:
    """The foreign keys of the record, all of which lead to a team or a person."""
    models = [model for app in APPS if apps.is_installed(app) for model in apps.get_app_config(app).get_models()]
    return {field.name for model in models for field in model._meta.get_fields() if isinstance(field, ForeignKey)}


def related_names() -> set[str]:
    """The names by which a row has the rows that lead to it."""
    models = [model for app in APPS if apps.is_installed(app) for model in apps.get_app_config(app).get_models()]
    return {relation.get_accessor_name() for model in models for relation in model._meta.related_objects if relation.get_accessor_name()}


@cache
def refusers() -> frozenset[str]:
    """The names of the functions that refuse somebody for a right that is not there."""
    trees = (ast.parse(text_of(path.relative_to(ROOT))) for app in APPS for path in sorted((ROOT / app).rglob("*.py")))
    functions = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith(REFUSING))
    return frozenset(each.name for each in functions if each.name in ALSO_OF_RIGHTS or any(is_refusal(part) for part in ast.walk(each)))


def is_refusal(node: ast.AST) -> bool:
    """Whether it raises that somebody may not."""
    return isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and name_of(node.exc) in REFUSALS


class Finder(ast.NodeTransformer):
    """Walks a file, numbers the scopes in it, and takes away the one that is the target."""

    def __init__(self, path: str, *, target: int | None = None) -> None:
        self.path, self.target = path, target
        self.keys, self.related = keys_of_owners(), related_names()
        self.around: list[str] = []  # classes and functions
        self.depth = 0  # of functions
        self.scopes: list[Scope] = []

    def found(self, text: str) -> list[Scope]:
        """The scopes of a file."""
        self.walked(text)
        return self.scopes

    def walked(self, text: str) -> ast.Module:
        """The tree, without the target."""
        tree: ast.Module = self.visit(ast.parse(text))
        return tree

    def is_target(self, node: ast.AST, kind: str, code: ast.AST | str) -> bool:
        """Note one; whether it is to be taken away."""
        if not self.depth:
            return False
        written = code if isinstance(code, str) else ast.unparse(code)
        self.scopes.append(Scope(self.path, getattr(node, "lineno", 0), ".".join(self.around), kind, written, len(self.scopes)))
        return self.scopes[-1].number == self.target

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """One function; those in it count as parts of it."""
        if not self.depth:
            self.around.append(node.name)
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1
        if not self.depth:
            self.around.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """One class."""
        if not self.depth:
            self.around.append(node.name)
        self.generic_visit(node)
        if not self.depth:
            self.around.pop()
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """A statement that asks for a right and is nothing else."""
        call = node.value
        self.generic_visit(node)
        if isinstance(call, ast.Call) and asks_for_right(call) and self.is_target(node, "right", call):
            return ast.copy_location(ast.Expr(kept(ast.Constant(None), call)), node)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        """A condition of a comprehension that compares keys of owners."""
        self.generic_visit(node)
        for n, test in enumerate(node.ifs):
            if any(isinstance(part, ast.Compare) and self.compares_keys(part) for part in ast.walk(test)) and self.is_target(test, "condition", test):
                node.ifs[n] = kept(ast.Constant(True), test)
        return node

    def compares_keys(self, test: ast.Compare) -> bool:
        """Whether it compares a foreign key."""
        sides = [test.left, *test.comparators]
        return any(isinstance(side, ast.Attribute) and side.attr.removesuffix("_id") in self.keys and side.attr.endswith("_id") for side in sides)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Rows of one row: `project.metrics.filter(…)`; what a caller says of itself."""
        self.generic_visit(node)
        if node.attr in CLAIMS and isinstance(node.ctx, ast.Load) and self.is_target(node, "claim", node):
            return ast.copy_location(kept(ast.Constant(CLAIMS[node.attr]), node), node)
        manager = node.value
        is_rows = isinstance(manager, ast.Attribute) and manager.attr in self.related and node.attr in MANAGING
        if is_rows and self.is_target(node, "rows of a row", f"{ast.unparse(manager)}.{node.attr}"):
            return ast.copy_location(ast.Attribute(kept(everything(manager), manager), node.attr, ast.Load()), node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A question with conditions, visibility, a role that is asked for."""
        whole = copy.deepcopy(node)
        self.generic_visit(node)
        name, on = name_of(node), node.func.value if isinstance(node.func, ast.Attribute) else None
        if name in CLAIMS and on is None and self.is_target(node, "claim", whole):
            return ast.copy_location(kept(ast.Constant(CLAIMS[name]), whole), node)
        if narrows_by_token(node) and self.is_target(node, "token", whole):
            return ast.copy_location(kept(ast.parse(ALL_ROWS, mode="eval").body, whole), node)
        if name == "visible_to" and on is not None and self.is_target(node, "visible", whole):
            return ast.copy_location(kept(on, whole), node)
        if name == "teams" and on is not None and not node.args and self.is_target(node, "teams", whole):
            return ast.copy_location(kept(ast.parse("__import__('accounts.models').models.Team.objects.all()", mode="eval").body, whole), node)
        if name == "get_object_or_404" and isinstance(node.args[0], ast.Attribute) and node.args[0].attr in self.related:
            manager = node.args[0]
            if self.is_target(node, "rows of a row", manager):
                node.args[0] = kept(everything(manager), manager)
        for keyword in list(node.keywords):
            if self.narrows(node, keyword) and self.is_target(keyword.value, "condition", f"{name}({ast.unparse(keyword)})"):
                node.keywords.remove(keyword)
                return ast.copy_location(kept(node, keyword.value), node)
        return node

    def narrows(self, call: ast.Call, keyword: ast.keyword) -> bool:
        """Whether a keyword narrows by an owner, or asks for more than the least role."""
        value = keyword.value
        if keyword.arg == "role":
            return isinstance(value, ast.Attribute) and ast.unparse(value) in ("Role.EDITOR", "Role.ADMIN") and name_of(call) not in ASKING
        if keyword.arg is None or name_of(call) not in ASKING or (isinstance(value, ast.Constant) and value.value in (None, True, False)):
            return False
        parts = keyword.arg.split("__")
        while len(parts) > 1 and parts[-1] in LOOKUPS:
            parts.pop()
        is_of_teams = parts == ["pk"] and isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "Team.objects"
        return parts[-1].removesuffix("_id") in self.keys or is_of_teams or (keyword.arg == "pk__in" and "roles" in ast.unparse(value))


def name_of(call: ast.Call) -> str:
    """The last word of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def asks_for_right(call: ast.Call) -> bool:
    """Whether a statement that calls this is there to refuse somebody."""
    name, given = name_of(call), " ".join(map(ast.unparse, call.args))
    is_about_somebody = any(word in given for word in ("caller", "asking", "request"))
    return name == "require" or name in refusers() or (is_about_somebody and name.startswith(("require_", "refuse_strangers", "operator")))


def narrows_by_token(call: ast.Call) -> bool:
    """Whether it is `caller.within("project")` or `caller.made("made_with")`: what a token sees of rows, by a field's name."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in NARROWINGS and [type(each) for each in call.args] == [ast.Constant]


def kept(instead: ast.expr, original: ast.AST) -> ast.expr:
    """`instead`, with the original beside it, never run: what it names stays named, so that a function's closure stays the same."""
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    unused = ast.Lambda(nothing, copy.deepcopy(original))  # type: ignore[arg-type]
    return ast.Subscript(ast.Tuple([instead, unused], ast.Load()), ast.Constant(0), ast.Load())


def everything(manager: ast.expr) -> ast.expr:
    """All rows of the model of a related manager."""
    return ast.Attribute(ast.Attribute(copy.deepcopy(manager), "model", ast.Load()), "_default_manager", ast.Load())
