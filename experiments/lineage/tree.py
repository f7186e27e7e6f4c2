"""The lineage of a project as a page shows it: arms (replicates as one), what changed between them, and which way led to the best."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from experiments.lineage import layout
from experiments.lineage.address import View
from experiments.lineage.arms import Arm, arms_of, parents_of
from experiments.lineage.layout import Spot
from experiments.lineage.nodes import COLUMN, HEIGHT, MARGIN, ROW, WIDTH, Node, Rest, edge_style, line, signed
from experiments.models import Experiment
from experiments.notation.numerals import decimals_of
from experiments.readings.measured import in_order, is_failed
from experiments.readings.numbers import Numbers
from experiments.readings.spread import spread_of
from experiments.templatetags.readings import verdict_of
from metrics.store.shapes import Place
from projects.models import Direction, Project, ProjectMetric

SHOWN_FIRST, SHOWN_MOST = 120, 300
SIBLINGS = 40
DEEPEST = 12
LEVELS_ABOVE = 6
# A change as a share of the largest common one, worst first: the classes of the diverging scale.
WORST_FROM, BEST_FROM = -0.5, 0.775
LEVELS = ((WORST_FROM, "d-4"), (-0.1, "d-2"), (0.1, "d-0"), (0.325, "d1"), (0.55, "d2"), (BEST_FROM, "d3"), (math.inf, "d4"))
# A change that is more than so many times as large as three of four others is no common one.
FAR = 2.0


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
        return [self.arms[key] for key in layout.way_to(self.parents, self.best.key if self.best else None)]

    @cached_property
    def best_keys(self) -> frozenset[str]:
        """The keys of those."""
        return frozenset(arm.key for arm in self.best_path)

    @cached_property
    def here_path(self) -> list[str]:
        """From the root to where the reader comes from."""
        return layout.way_to(self.parents, self.here)

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
        for key in reversed(layout.preorder(children, children[""])):
            mean = self.arms[key].spread.mean
            own = -math.inf if mean is None and self.sign else self.sign * (mean or 0.0)
            found[key] = max([own, *(found[child] for child in children.get(key, ()))])
        return found

    @cached_property
    def root_of(self) -> dict[str, str]:
        """The root of each arm."""
        found: dict[str, str] = {}
        for key in layout.preorder(self.children, self.children[""]):
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
        return [self.arms[key] for key in layout.way_to(self.parents, self.top or None)[:-1]]

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
        found = layout.opened(self.shown_children, self.tops, most=SHOWN_FIRST, deepest=DEEPEST, siblings=SIBLINGS)
        found |= {*self.here_path[:-1], *(arm.key for arm in self.best_path[:-1]), *self.keys(self.view.opens)}
        return (found | ({self.top} if self.top else set())) - self.keys(self.view.folds)

    def keys(self, slugs: Sequence[str]) -> set[str]:
        """The arms of these runs, unknown ones left out."""
        return {self.of_run[slug] for slug in slugs if slug in self.of_run}

    @cached_property
    def drawn(self) -> list[Node | Rest]:
        """What is drawn, each arm before its children."""
        spots = layout.lay_out(self.shown_children, self.tops, is_open=self.open_keys, siblings=SIBLINGS, most=SHOWN_MOST, deepest=DEEPEST)
        closes = layout.closing(spot.column for spot in spots)
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
        return Rest(spot, closes, self.view.link(top=slug, after=(self.after if is_top else 0) + SIBLINGS))

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
        ways = (layout.way_to(self.parents, key) for key in layout.preorder(self.children, self.children[""]) if key in picked)
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
