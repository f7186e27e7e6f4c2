"""The lineage of a project as a page shows it: arms (replicates as one), what changed between them, and which way led to the best."""

from __future__ import annotations

import math
import unicodedata
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import urlencode

from django.http import QueryDict

from experiments import tree_layout
from experiments.grouping import Spread, shared_name, spread_of
from experiments.measured import in_order, is_failed
from experiments.models import Change, Experiment
from experiments.numbers import Numbers
from experiments.stalled import is_stalled
from experiments.templatetags.readings import decimals_of, number, verdict_of
from experiments.tree_layout import Spot
from metrics.repository import Place
from projects.models import Direction, Project, ProjectMetric

SHOWN_FIRST, SHOWN_MOST = 120, 300
FOLDS_MOST = 60
SIBLINGS = 40
DEEPEST = 12
LEVELS_ABOVE = 6
WIDTH, HEIGHT, COLUMN, ROW, MARGIN = 236, 62, 444, 78, 12
NAME_CELLS, EDGE_CELLS = 22, 25
# Read by every page of the tree, notes and params left where they are.
COLUMNS = ["name", "slug", "status", "failure_kind", "parent_experiment_id", "features_diff", "replicate_group", "replicate_key", "archived", "project_id"]
SIGNS = ["last_point_at", "heartbeat_at", "started_at", "created_at", "patience"]
# A change as a share of the largest common one, worst first: the classes of the diverging scale.
WORST_FROM, BEST_FROM = -0.5, 0.775
LEVELS = ((WORST_FROM, "d-4"), (-0.1, "d-2"), (0.1, "d-0"), (0.325, "d1"), (0.55, "d2"), (BEST_FROM, "d3"), (math.inf, "d4"))
# A change that is more than so many times as large as three of four others is no common one.
FAR = 2.0
MARKS = {"better": "▲ ", "worse": "▽ ", "same": ""}
SYMBOLS = {"planned": "m-planned", "running": "m-running", "stalled": "m-stalled", "complete": "m-complete"}
LOUDEST = ("stalled", "running", "diverged", "crashed", "interrupted", "failed", "planned", "complete")


@dataclass(frozen=True)
class View:
    """What the address asks for. `here` is an experiment's slug; `opens`, `folds`, `top` and `picked` name arms by the slug of any of their runs."""

    metric: str = ""
    here: str = ""
    top: str = ""
    after: int = 0
    opens: tuple[str, ...] = ()
    folds: tuple[str, ...] = ()
    picked: frozenset[str] = frozenset()

    def link(self, **changes: object) -> str:
        """The query string of this view with something changed; what is empty is left out."""
        said = {"metric": self.metric, "from": self.here, "top": self.top, "after": self.after, "open": self.opens, "fold": self.folds} | changes
        said["e"] = sorted(self.picked)
        return "?" + urlencode({name: value for name, value in said.items() if value}, doseq=True)


def view(query: QueryDict) -> View:
    """The view that a query string asks for. What cannot be read there counts as not said; of opened and folded arms the latest FOLDS_MOST count."""
    after = query.get("after", "")
    return View(
        metric=query.get("metric", ""),
        here=query.get("from", "").strip(),
        top=query.get("top", ""),
        after=int(after) if after.isascii() and after.isdigit() and len(after) < 7 else 0,
        opens=tuple(dict.fromkeys(query.getlist("open")))[-FOLDS_MOST:],
        folds=tuple(dict.fromkeys(query.getlist("fold")))[-FOLDS_MOST:],
        picked=frozenset(slug for value in query.getlist("e") for slug in value.split(",") if slug),
    )


@dataclass
class Arm:
    """Replicates of one change, oldest first, and their values of the chosen metric."""

    key: str
    runs: list[Experiment] = field(default_factory=list)
    spread: Spread = field(default_factory=lambda: spread_of([], None))

    @cached_property
    def name(self) -> str:
        """What the replicates' names share."""
        return shared_name(self.runs)

    @property
    def slug(self) -> str:
        """The slug of its first run: what the address calls it."""
        return self.runs[0].slug

    @property
    def slugs(self) -> str:
        """All its runs as the compare page reads them."""
        return ",".join(run.slug for run in self.runs)

    @cached_property
    def states(self) -> Counter[str]:
        """How many runs are in each state."""
        return Counter("stalled" if is_stalled(run) else run.state for run in self.runs)

    @property
    def said_states(self) -> str:
        """The states in words, the loudest first: `1 running, 4 complete`."""
        return ", ".join(f"{self.states[word]} {word}" if len(self.runs) > 1 else word for word in LOUDEST if self.states[word])

    @property
    def symbol(self) -> str:
        """The shape of its loudest state."""
        return SYMBOLS.get(next(word for word in LOUDEST if self.states[word]), "m-failed")

    @property
    def is_archived(self) -> bool:
        """Whether all its runs are put away."""
        return all(run.archived for run in self.runs)

    @property
    def is_gone(self) -> bool:
        """Whether all its runs failed."""
        return all(is_failed(run) for run in self.runs)

    @cached_property
    def changes(self) -> list[Change]:
        """What it changed against its parent."""
        child = next((run for run in self.runs if run.parent_experiment_id), self.runs[0])
        return child.changes


@dataclass(frozen=True)
class Node:
    """One arm where it is drawn. `change` is its mean less its root's, None where either is missing."""

    spot: Spot
    arm: Arm
    change: float | None
    verdict: str
    level: str
    decimals: int | None
    is_best: bool
    is_here: bool
    is_picked: bool
    is_foldable: bool
    fold_link: str
    closes: int

    @property
    def x(self) -> int:
        """Pixels from the left."""
        return MARGIN + self.spot.column * COLUMN

    @property
    def y(self) -> int:
        """Pixels from the top."""
        return MARGIN + self.spot.row * ROW

    @property
    def has_list(self) -> bool:
        """Whether its children are drawn."""
        return self.is_foldable and not self.spot.folded

    @property
    def style(self) -> str:
        """The classes of its box."""
        says = {"on-path": self.is_best, "here": self.is_here, "picked": self.is_picked, "gone": self.arm.is_gone}
        return " ".join(name for name, holds in says.items() if holds)

    @property
    def short_name(self) -> str:
        """The name as far as it fits."""
        return isolated(clipped(self.arm.name, NAME_CELLS))

    @property
    def counted(self) -> str:
        """How many runs the mean is over, and of how many."""
        return f"n {self.arm.spread.n}" if self.arm.spread.n in (0, len(self.arm.runs)) else f"n {self.arm.spread.n} of {len(self.arm.runs)}"

    @property
    def reading(self) -> str:
        """The mean, or that there is none."""
        mean = self.arm.spread.mean
        return "no value" if mean is None else number(mean, self.decimals)

    @property
    def deviation(self) -> str:
        """The deviation of the replicates, nothing for a single run."""
        sd = self.arm.spread.sd
        return "" if sd is None else f" ±{number(sd, self.decimals)}"

    @property
    def said_change(self) -> str:
        """The change against the root with its sign and, where a direction is set, a mark: filled better, hollow worse."""
        if self.change is None:
            return ""
        return MARKS[self.verdict] + signed(self.change, self.decimals)

    @property
    def is_confounded(self) -> bool:
        """Whether several features changed at once."""
        return len(self.arm.changes) > 1

    @property
    def edge(self) -> str:
        """What changed on the way here, as far as it fits."""
        changes = self.arm.changes
        if not changes:
            return "same"
        if self.is_confounded:
            return isolated(clipped(" + ".join(change.feature for change in changes), EDGE_CELLS))
        return isolated(clipped(written(changes[0]), EDGE_CELLS))

    @property
    def full_edge(self) -> str:
        """All that changed."""
        said = "; ".join(written(change) for change in self.arm.changes[:20]) or "same"
        return f"{len(self.arm.changes)} changes at once, confounded: {said}" if self.is_confounded else said

    @property
    def closing(self) -> range:
        """One step for each list that ends after it."""
        return range(self.closes)


@dataclass(frozen=True)
class Rest:
    """Further children that are not drawn, and where they are."""

    spot: Spot
    link: str
    closes: int
    is_rest: bool = True

    @property
    def x(self) -> int:
        """Pixels from the left."""
        return MARGIN + self.spot.column * COLUMN

    @property
    def y(self) -> int:
        """Pixels from the top."""
        return MARGIN + self.spot.row * ROW

    @property
    def closing(self) -> range:
        """One step for each list that ends after it."""
        return range(self.closes)


class Lineage:
    """The tree of one project by one metric, as far as the address opens it."""

    def __init__(self, project: Project, asked: View) -> None:
        self.project, self.view = project, asked
        self.numbers = Numbers()
        self.arms = arms_of(project)
        self.of_run = {run.slug: arm.key for arm in self.arms.values() for run in arm.runs}
        self.parents = parents_of(self.arms)
        self.measure()

    @cached_property
    def metrics(self) -> list[ProjectMetric]:
        """What can colour the tree, those with a direction first."""
        return in_order(self.project.metrics.all())

    @cached_property
    def metric(self) -> ProjectMetric | None:
        """The metric that colours it."""
        return next((metric for metric in self.metrics if metric.name == self.view.metric), self.metrics[0] if self.metrics else None)

    def measure(self) -> None:
        """Give each arm its spread: one question to the store. Runs that failed show no effect."""
        metric, nothing = self.metric, dict[uuid.UUID, float]()
        if metric is None or not self.arms:
            return
        place = Place(self.project.team_id, self.project.pk)
        values = self.numbers.ask(lambda store: store.values(place, metric.name, metric.aggregation), nothing)
        for arm in self.arms.values():
            arm.spread = spread_of((None if is_failed(run) else values.get(run.pk) for run in arm.runs), None)

    @property
    def run_count(self) -> int:
        """Runs in all arms."""
        return len(self.of_run)

    @property
    def sign(self) -> int:
        """+1 where more is better, -1 where less is, 0 where nobody said."""
        return Direction(self.metric.direction).sign if self.metric else 0

    @cached_property
    def here(self) -> str | None:
        """The arm of the experiment that the reader comes from."""
        return self.of_run.get(self.view.here)

    @cached_property
    def here_run(self) -> Experiment | None:
        """That experiment."""
        return next((run for run in self.arms[self.here].runs if run.slug == self.view.here), None) if self.here else None

    @property
    def parent_slug(self) -> str:
        """The slug of that experiment's parent, "" for a root."""
        wanted = self.here_run.parent_experiment_id if self.here_run else None
        return next((run.slug for arm in self.arms.values() for run in arm.runs if run.pk == wanted), "")

    @cached_property
    def best(self) -> Arm | None:
        """The arm with the best mean; None where no direction is set."""
        known = [arm for arm in self.arms.values() if arm.spread.mean is not None]
        return max(known, key=lambda arm: self.sign * (arm.spread.mean or 0.0), default=None) if self.sign else None

    @cached_property
    def best_path(self) -> list[Arm]:
        """From the root to the best arm."""
        return [self.arms[key] for key in tree_layout.way_to(self.parents, self.best.key if self.best else None)]

    @cached_property
    def best_keys(self) -> frozenset[str]:
        """The keys of those."""
        return frozenset(arm.key for arm in self.best_path)

    @cached_property
    def here_path(self) -> list[str]:
        """From the root to where the reader comes from."""
        return tree_layout.way_to(self.parents, self.here)

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """The arms below each, "" for the roots: the best path first, then the way to here, then by the best that came of each."""
        found: dict[str, list[str]] = {"": []}
        for key, parent in self.parents.items():
            found.setdefault(parent or "", []).append(key)
        reached = self.reached(found)
        here = frozenset(self.here_path)
        for keys in found.values():
            keys.sort(key=lambda key: (key not in self.best_keys, key not in here, -reached[key]))
        return found

    def reached(self, children: dict[str, list[str]]) -> dict[str, float]:
        """The best that came of each arm, more is better; -inf where nothing is known, 0 for all where no direction is set."""
        found: dict[str, float] = {}
        for key in reversed(tree_layout.preorder(children, children[""])):
            mean = self.arms[key].spread.mean
            own = -math.inf if mean is None and self.sign else self.sign * (mean or 0.0)
            found[key] = max([own, *(found[child] for child in children.get(key, ()))])
        return found

    @cached_property
    def root_of(self) -> dict[str, str]:
        """The root of each arm."""
        found: dict[str, str] = {}
        for key in tree_layout.preorder(self.children, self.children[""]):
            parent = self.parents[key]
            found[key] = key if parent is None else found[parent]
        return found

    def change(self, key: str) -> float | None:
        """An arm's mean less its root's; None for a root and where either has none."""
        root = self.root_of[key]
        ours, theirs = self.arms[key].spread.mean, self.arms[root].spread.mean
        return None if key == root or ours is None or theirs is None else ours - theirs

    @cached_property
    def changed(self) -> list[float]:
        """How much each arm changed, without a sign, least first; those that did not are left out."""
        return sorted(abs(change) for key in self.arms if (change := self.change(key)))

    @cached_property
    def reach(self) -> float:
        """The largest common change: none that is FAR beyond three of four others counts, so that one bad arm leaves the others their colours."""
        if not self.changed:
            return 0.0
        usual = self.changed[int((len(self.changed) - 1) * 0.75)]
        return max(size for size in self.changed if size <= FAR * usual)

    @property
    def beyond(self) -> int:
        """How many arms changed more than the scale reaches: they have its last colours."""
        return sum(size > self.reach for size in self.changed)

    @property
    def worst_from(self) -> str:
        """The change from which on an arm has the colour of the worst."""
        return signed(self.sign * WORST_FROM * self.reach, self.decimals)

    @property
    def best_from(self) -> str:
        """The change from which on an arm has the colour of the best."""
        return signed(self.sign * BEST_FROM * self.reach, self.decimals)

    @cached_property
    def decimals(self) -> int | None:
        """The decimals that all means share."""
        return decimals_of(arm.spread.mean for arm in self.arms.values())

    def level(self, change: float | None) -> str:
        """The class of a change's colour."""
        if change is None or not self.sign or not self.reach:
            return "none"
        return next(name for limit, name in LEVELS if self.sign * change / self.reach <= limit)

    @cached_property
    def top(self) -> str:
        """The arm at the left, "" for all roots: as asked, or some levels above a `here` that lies too deep."""
        asked = self.of_run.get(self.view.top, "")
        if not asked and len(self.here_path) > DEEPEST:
            return self.here_path[-LEVELS_ABOVE]
        return asked

    @property
    def above(self) -> list[Arm]:
        """The arms above the top, root first."""
        return [self.arms[key] for key in tree_layout.way_to(self.parents, self.top or None)[:-1]]

    @cached_property
    def shown_children(self) -> dict[str, list[str]]:
        """The same as `children`, those of the top without the first `after`."""
        return self.children | {self.top: self.children.get(self.top, [])[self.after :]}

    @property
    def after(self) -> int:
        """How many of the top's children are passed over."""
        return min(self.view.after, max(0, len(self.children.get(self.top, [])) - 1))

    @cached_property
    def tops(self) -> list[str]:
        """What stands at the left."""
        return [self.top] if self.top else self.shown_children[""]

    @cached_property
    def open_keys(self) -> set[str]:
        """The arms whose children are drawn."""
        found = tree_layout.opened(self.shown_children, self.tops, most=SHOWN_FIRST, deepest=DEEPEST, siblings=SIBLINGS)
        found |= {*self.here_path[:-1], *(arm.key for arm in self.best_path[:-1]), *self.keys(self.view.opens)}
        return (found | ({self.top} if self.top else set())) - self.keys(self.view.folds)

    def keys(self, slugs: Sequence[str]) -> set[str]:
        """The arms of these runs, unknown ones left out."""
        return {self.of_run[slug] for slug in slugs if slug in self.of_run}

    @cached_property
    def drawn(self) -> list[Node | Rest]:
        """What is drawn, each arm before its children."""
        spots = tree_layout.lay_out(self.shown_children, self.tops, is_open=self.open_keys, siblings=SIBLINGS, most=SHOWN_MOST, deepest=DEEPEST)
        closes = tree_layout.closing(spot.column for spot in spots)
        return [self.rest(spot, ends) if spot.rest else self.node(spot, ends) for spot, ends in zip(spots, closes, strict=True)]

    @cached_property
    def nodes(self) -> list[Node]:
        """The arms among them."""
        return [each for each in self.drawn if isinstance(each, Node)]

    @property
    def rests(self) -> list[Rest]:
        """The others."""
        return [each for each in self.drawn if isinstance(each, Rest)]

    @property
    def unseen_picks(self) -> list[Arm]:
        """The picked arms that are not drawn: in a folded branch, or where there was no room."""
        picked = self.keys(sorted(self.view.picked)) - {node.spot.key for node in self.nodes}
        return [arm for key, arm in self.arms.items() if key in picked]

    @property
    def unpicked_link(self) -> str:
        """The same tree with nothing picked."""
        return replace(self.view, picked=frozenset()).link()

    def rest(self, spot: Spot, closes: int) -> Rest:
        """The children of one arm that find no room here: they are the next ones of a tree with that arm at the top."""
        is_top = spot.key == self.top
        slug = self.arms[spot.key].slug if spot.key else ""
        return Rest(spot, self.view.link(top=slug, after=(self.after if is_top else 0) + SIBLINGS), closes)

    def node(self, spot: Spot, closes: int) -> Node:
        """One arm at its spot."""
        arm, change = self.arms[spot.key], self.change(spot.key)
        return Node(
            spot=spot,
            arm=arm,
            change=change,
            verdict="same" if change is None or self.metric is None else verdict_of(change, self.metric.direction),
            level=self.level(change),
            decimals=self.decimals,
            is_best=arm.key in self.best_keys,
            is_here=arm.key == self.here,
            is_picked=any(run.slug in self.view.picked for run in arm.runs),
            is_foldable=arm.key in self.children,
            fold_link=self.fold_link(spot, arm),
            closes=closes,
        )

    def fold_link(self, spot: Spot, arm: Arm) -> str:
        """Where a press on the fold leads: closed, open, or, where there is no more room, a tree with this arm at the top."""
        ours = {run.slug for run in arm.runs}
        opens, folds = (tuple(slug for slug in slugs if slug not in ours) for slugs in (self.view.opens, self.view.folds))
        if not spot.folded:
            return self.view.link(open=opens, fold=(*folds, arm.slug))
        if spot.column >= DEEPEST or len(self.drawn_spots) >= SHOWN_MOST:
            return self.view.link(top=arm.slug, after=0, open=(), fold=(), **{"from": ""})
        return self.view.link(open=(*opens, arm.slug), fold=folds)

    @cached_property
    def drawn_spots(self) -> list[str]:
        """The arms that are open or lie in sight."""
        return [key for parent in self.open_keys for key in self.shown_children.get(parent, ())[:SIBLINGS]]

    @property
    def links(self) -> list[tuple[Node | Rest, str, str]]:
        """Each edge: where it leads, its line, its classes; the best path last, so that it lies on top."""
        at = {node.spot.key: node for node in self.nodes}
        edges = [(each, line(at[each.spot.parent], each), edge_style(each)) for each in self.drawn if each.spot.parent is not None]
        return sorted(edges, key=lambda edge: "path" in edge[2])

    @property
    def width(self) -> int:
        """Of the drawing, in pixels."""
        return 2 * MARGIN + max((each.spot.column for each in self.drawn), default=0) * COLUMN + WIDTH + 60

    @property
    def height(self) -> int:
        """Of the drawing, in pixels."""
        return 2 * MARGIN + max((each.spot.row for each in self.drawn), default=0) * ROW + HEIGHT + 8

    @property
    def root_count(self) -> int:
        """How many arms have no parent."""
        return len(self.children[""])

    @property
    def best_slugs(self) -> str:
        """All runs of the best path, for the compare page."""
        return ",".join(arm.slugs for arm in self.best_path)

    def path_slugs(self) -> list[str]:
        """The runs of the arms from the roots to each picked one, each arm once, in the order of the tree."""
        picked = self.keys(sorted(self.view.picked))
        ways = (tree_layout.way_to(self.parents, key) for key in tree_layout.preorder(self.children, self.children[""]) if key in picked)
        keys = dict.fromkeys(key for way in ways for key in way)
        return [run.slug for key in keys for run in self.arms[key].runs]

    @property
    def whole_link(self) -> str:
        """The tree from its roots."""
        return self.view.link(top="", after=0, open=(), fold=(), **{"from": ""})

    @property
    def earlier_link(self) -> str:
        """The children that `after` passes over."""
        return self.view.link(after=max(0, self.after - SIBLINGS))


def arms_of(project: Project) -> dict[str, Arm]:
    """All arms of a project by their key, oldest first; of what is archived only what something current came from. One query."""
    rows = list(Experiment.objects.filter(project=project).only(*COLUMNS, *SIGNS).order_by("created_at", "pk"))
    by_id = {row.pk: row for row in rows}
    kept: set[uuid.UUID] = set()
    for row in rows:
        at: Experiment | None = None if row.archived else row
        while at is not None and at.pk not in kept:
            kept.add(at.pk)
            at = by_id.get(at.parent_experiment_id) if at.parent_experiment_id else None
    arms: dict[str, Arm] = {}
    for row in rows:
        if row.pk in kept:
            arms.setdefault(row.replicate_key, Arm(row.replicate_key)).runs.append(row)
    return arms


def parents_of(arms: dict[str, Arm]) -> dict[str, str | None]:
    """Each arm's parent: that of its first run with a parent in another arm. A cycle that a replicate_group ties is cut."""
    key_of = {run.pk: arm.key for arm in arms.values() for run in arm.runs}
    found: dict[str, str | None] = {}
    for arm in arms.values():
        asked = (key_of.get(run.parent_experiment_id) for run in arm.runs if run.parent_experiment_id)
        found[arm.key] = next((key for key in asked if key not in (None, arm.key)), None)
    return tree_layout.without_cycles(found)


def signed(value: float, decimals: int | None) -> str:
    """A difference with its sign."""
    return ("+" if value > 0 else "") + number(value, decimals)


def written(change: Change) -> str:
    """One change on one line."""
    return f"{change.feature} {change.now}" if change.was is None else f"{change.feature} {change.was}→{change.now}"


def clipped(text: str, cells: int) -> str:
    """As much of a text as fits; a wide letter takes two cells."""
    room = cells
    for index, letter in enumerate(text):
        room -= 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if room < 0:
            return f"{text[: max(1, index - 1)]}…"
    return text


def isolated(text: str) -> str:
    """A text whose direction touches nothing around it: SVG text has no <bdi>."""
    return f"\u2068{text}\u2069"


def line(parent: Node, child: Node | Rest) -> str:
    """The path of an edge: straight in one row, else down and around."""
    x1, y1, x2, y2 = parent.x + WIDTH + 8, parent.y + HEIGHT // 2, child.x, child.y + HEIGHT // 2
    if y1 == y2:
        return f"M{x1} {y1}H{x2}"
    return f"M{x1} {y1}H{x1 + 10}Q{x1 + 20} {y1} {x1 + 20} {y1 + 10}V{y2 - 10}Q{x1 + 20} {y2} {x1 + 30} {y2}H{x2}"


def edge_style(child: Node | Rest) -> str:
    """The classes of an edge."""
    if isinstance(child, Rest):
        return "link"
    return "link" + (" confounded" if child.is_confounded else "") + (" path" if child.is_best else "")
