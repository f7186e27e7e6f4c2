"""What the attribution page asks: which change went along with which effect, over the runs of one lineage. Association, not cause."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any
from uuid import UUID

from scipy import special

from experiments.arms import is_spelled_out
from experiments.models import Change, Experiment, changes
from experiments.notation.equality import is_same
from experiments.notation.params import distinct
from experiments.readings.arm_names import arm_name
from experiments.readings.numbers import Numbers
from hypotheses.drawings import scales
from hypotheses.judging.attribution import Effect, LackOfFit, attribute, lack_of_fit
from hypotheses.judging.evidence import Direction
from hypotheses.judging.rules import adjust
from metrics.store.shapes import Place, Summaries
from projects.models import Project, ProjectMetric
from projects.seeds import NOTHING

RUNS_MOST = 2_000
FEATURES_MOST = 60
ROOTS_MOST = 50
NODES_MOST = 200
States = frozenset[str]


@dataclass(frozen=True, slots=True)
class Root:
    """A root arm: its runs share a replicate_key, and all descend from it."""

    key: str
    slug: str
    name: str
    runs: int


@dataclass(frozen=True, slots=True)
class Node:
    """One arm of the lineage: its runs' values, and what it changed against its parent arm."""

    key: str
    parent: str  # the parent arm's key; empty for the root
    slug: str
    name: str
    values: tuple[float, ...]
    changed: tuple[Change, ...]
    has_children: bool

    @property
    def mean(self) -> float | None:
        """The mean of its runs."""
        return fmean(self.values) if self.values else None

    @property
    def is_unconfirmed(self) -> bool:
        """Whether others were built on it though it ran only once."""
        return self.has_children and len(self.values) == 1


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of the waterfall: from the parent's mean to the node's."""

    node: Node
    change: float | None
    start: str
    width: str
    end_at: str
    is_better: bool
    is_thin: bool  # one run on a side

    @property
    def verdict(self) -> str:
        """better, worse or same."""
        return "same" if not self.change else "better" if self.is_better else "worse"


@dataclass(frozen=True, slots=True)
class Line:
    """One bundle of features with its effect: `ci` 95%, `p` adjusted by Holm over the table; `runs` that have it."""

    effect: Effect
    ci: tuple[float, float] | None
    p: float | None
    runs: int
    at: str = ""
    span: scales.Span | None = None


class Attribution:
    """The runs of one root arm and its descendants, by one metric."""

    def __init__(self, project: Project, metric: ProjectMetric, numbers: Numbers, *, root: str = "", node: str = "") -> None:
        self.project, self.metric, self.numbers = project, metric, numbers
        self.asked_root, self.asked_node = root, node

    @cached_property
    def every(self) -> dict[UUID, Experiment]:
        """The project's experiments, oldest first, without what is not needed here."""
        rows = Experiment.objects.filter(project=self.project).current().defer("notes", "command", "host", "git_commit")
        return {row.pk: row for row in rows.order_by("created_at")}

    @cached_property
    def roots(self) -> list[Root]:
        """Root arms, the one with most runs first."""
        counts: dict[str, int] = defaultdict(int)
        for row in self.every.values():
            counts[self.root_key(row)] += 1
        first = {row.replicate_key: row for row in reversed(self.every.values()) if row.parent_experiment_id not in self.every}
        found = [Root(key, first[key].slug, first[key].name, n) for key, n in counts.items() if key in first]
        return sorted(found, key=lambda root: -root.runs)[:ROOTS_MOST]

    def root_key(self, row: Experiment) -> str:
        """The replicate_key of the root that the run descends from."""
        root = self.every.get(row.root_experiment_id) if row.root_experiment_id else None
        return (root or row).replicate_key

    @property
    def root(self) -> Root | None:
        """The root arm asked for, else that with most runs."""
        asked = next((row.replicate_key for row in self.every.values() if row.slug == self.asked_root), "")
        return next((root for root in self.roots if root.key == asked), self.roots[0] if self.roots else None)

    @cached_property
    def complete(self) -> list[Experiment]:
        """The lineage's complete runs, oldest first."""
        root = self.root
        return [row for row in self.every.values() if root and self.root_key(row) == root.key and row.status == Experiment.Status.COMPLETE]

    @cached_property
    def runs(self) -> dict[UUID, Experiment]:
        """Those that are read: the newest RUNS_MOST."""
        return {row.pk: row for row in self.complete[-RUNS_MOST:]}

    @property
    def left_out(self) -> int:
        """How many complete runs of the lineage are too old to be read."""
        return len(self.complete) - len(self.runs)

    @cached_property
    def values(self) -> dict[UUID, float]:
        """Each run's finite value."""
        nothing: Summaries = {}
        place, name = Place(self.project.team_id, self.project.pk), self.metric.name
        found = self.numbers.ask(lambda store: store.summaries(place, experiments=list(self.runs), metrics=[name]), nothing) if self.runs else nothing
        read = {pk: summaries[name].by(self.metric.aggregation) for pk, summaries in found.items() if name in summaries}
        return {pk: read[pk] for pk in self.runs if pk in read and math.isfinite(read[pk])}

    @cached_property
    def states(self) -> dict[UUID, States]:
        """For each run with a value the features that differ from the root, as `name value`."""
        return {pk: frozenset(self.state(self.runs[pk])) for pk in self.values}

    def state(self, row: Experiment) -> Iterator[str]:
        """What the run has that its root has not: the changes on the way, the latest of each feature, without those taken back."""
        line = [row, *self.above(row)]
        seeds = self.project.seeds
        first = seeds.without(line[-1].params)
        latest: dict[str, Any] = {}  # Any: a param's value
        for each in reversed(line[:-1]):
            latest |= {feature: now(value) for feature, value in each.features_diff.items()}
        for feature, value in latest.items():
            left = seeds.rest(value, feature)
            if left is not NOTHING and not is_same(first.get(feature), left):
                yield f"{feature} {distinct(left)}"

    def above(self, row: Experiment) -> Iterator[Experiment]:
        """Parent, grandparent, … up to the root, from what is read already."""
        seen = {row.pk}
        while row.parent_experiment_id in self.every and row.parent_experiment_id not in seen:
            row = self.every[row.parent_experiment_id]
            seen.add(row.pk)
            yield row

    @cached_property
    def features(self) -> list[str]:
        """The states that any run has, the most frequent first."""
        counts: dict[str, int] = defaultdict(int)
        for states in self.states.values():
            for state in states:
                counts[state] += 1
        return sorted(counts, key=lambda state: (-counts[state], state))

    @property
    def shown_features(self) -> list[str]:
        """Those that are told apart: the first FEATURES_MOST."""
        return self.features[:FEATURES_MOST]

    @property
    def design(self) -> list[list[int]]:
        """A row a run, a column a feature."""
        return [[int(feature in states) for feature in self.shown_features] for states in self.states.values()]

    @cached_property
    def fit(self) -> LackOfFit | None:
        """Whether replicates contradict the sum of effects."""
        if not self.values or not self.features:
            return None
        return lack_of_fit(list(self.values.values()), self.design, ["root"] * len(self.values))

    @property
    def is_readable(self) -> bool:
        """Whether effects may be shown: the metric has a direction, there are runs and changes, and replicates do not contradict."""
        return bool(self.metric.direction and self.values and self.features) and not (self.fit and self.fit.is_rejected)

    @cached_property
    def lines(self) -> list[Line]:
        """The table of features, the largest effect first, those not identifiable last."""
        if not self.is_readable:
            return []
        direction: Direction = "minimize" if self.metric.better.sign < 0 else "maximize"
        effects = attribute(list(self.values.values()), self.design, ["root"] * len(self.values), self.shown_features, direction)
        found = [self.line(effect) for effect in effects]
        tested = [line.p for line in found if line.p is not None]
        holm = iter(adjust(tested).holm if tested else [])
        lines = [Line(line.effect, line.ci, None if line.p is None else next(holm), line.runs) for line in found]
        return placed(sorted(lines, key=lambda line: (line.effect.effect is None, -abs(line.effect.effect or 0.0))))

    def line(self, effect: Effect) -> Line:
        """One bundle with its 95% interval and p for one look."""
        runs = sum(set(effect.features) <= states for states in self.states.values())
        if effect.effect is None or effect.se is None or effect.t is None or effect.df < 1:
            return Line(effect, None, None, runs)
        reach = float(special.stdtrit(effect.df, 0.975)) * effect.se
        return Line(effect, (effect.effect - reach, effect.effect + reach), float(2 * special.stdtr(effect.df, -abs(effect.t))), runs)

    @property
    def zero(self) -> str:
        """Where no effect lies in the table of features."""
        return effect_scale(self.lines).at(0.0)

    @property
    def effect_ticks(self) -> list[scales.Tick]:
        """The axis of the table of features."""
        return effect_scale(self.lines).ticks(has_signs=True)

    @property
    def unconfirmed(self) -> int:
        """Arms on the way that others were built on though they ran only once."""
        return sum(bar.node.is_unconfirmed for bar in self.bars)

    @cached_property
    def decimals(self) -> int | None:
        """The decimals that effects and steps share."""
        return scales.decimals_for_effects([*(line.effect.se for line in self.lines), *(bar.change for bar in self.bars)])

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """The arms of the lineage that have a value, by key."""
        members: dict[str, list[Experiment]] = defaultdict(list)
        for pk in self.values:
            members[self.runs[pk].replicate_key].append(self.runs[pk])
        built_on = {self.every[row.parent_experiment_id].replicate_key for row in self.runs.values() if row.parent_experiment_id in self.every}
        return {key: self.node(key, rows, has_children=key in built_on) for key, rows in members.items()}

    def node(self, key: str, rows: Sequence[Experiment], *, has_children: bool) -> Node:
        """One arm."""
        first = rows[0]
        parent = self.every.get(first.parent_experiment_id) if first.parent_experiment_id else None
        changed = tuple(changes(first.features_diff)) if parent else ()
        return Node(key, parent.replicate_key if parent else "", first.slug, arm_name(rows), tuple(self.values[row.pk] for row in rows), changed, has_children)

    @property
    def ends(self) -> list[Node]:
        """Arms that a waterfall may lead to, the best first."""
        sign = self.metric.better.sign or 1
        ranked = [node for node in self.nodes.values() if node.parent]
        return sorted(ranked, key=lambda node: -sign * (node.mean or 0.0))[:NODES_MOST]

    @property
    def end(self) -> Node | None:
        """The arm asked for, else the best."""
        key = next((row.replicate_key for row in self.runs.values() if row.slug == self.asked_node), "")
        chosen = self.nodes.get(key)
        return chosen if chosen and chosen.parent else next(iter(self.ends), None)

    @cached_property
    def way(self) -> list[Node]:
        """From the root arm to the end; arms without a value are passed over."""
        line: list[Node] = []
        end = self.end
        row = next((row for row in self.runs.values() if end and row.slug == end.slug), None)
        for each in [row, *self.above(row)] if row else []:
            node = self.nodes.get(each.replicate_key)
            if node is not None and node not in line:
                line.append(node)
        return line[::-1]

    @cached_property
    def scale(self) -> scales.Scale:
        """The scale of the waterfall: values, better to the right."""
        means = [node.mean for node in self.way if node.mean is not None]
        return scales.scale_over(means, is_flipped=self.metric.better.sign < 0)

    @cached_property
    def bars(self) -> list[Bar]:
        """The waterfall, root first."""
        before: Sequence[Node | None] = [None, *self.way]
        return [self.bar(node, previous) for node, previous in zip(self.way, before, strict=False)]

    def bar(self, node: Node, previous: Node | None) -> Bar:
        """One step."""
        end = node.mean or 0.0
        start = (previous.mean or 0.0) if previous else end
        left, right = sorted((self.scale.share(start), self.scale.share(end)))
        is_better = (self.metric.better.sign or 1) * (end - start) > 0
        thin = previous is not None and min(len(node.values), len(previous.values)) < 2
        change = None if previous is None else end - start
        return Bar(node, change, scales.per_cent(left), scales.per_cent(max(right - left, 0.002)), self.scale.at(end), is_better, thin)


def placed(lines: list[Line]) -> list[Line]:
    """The lines with their marks on one scale of effects."""
    scale = effect_scale(lines)
    return [
        Line(
            line.effect,
            line.ci,
            line.p,
            line.runs,
            "" if line.effect.effect is None else scale.at(line.effect.effect),
            scale.span(line.ci) if line.ci else None,
        )
        for line in lines
    ]


def effect_scale(lines: Sequence[Line]) -> scales.Scale:
    """The scale of the table of features."""
    return scales.scale_over([0.0, *(line.effect.effect for line in lines if line.effect.effect is not None)], intervals=[line.ci for line in lines])


def now(value: Any) -> Any:  # Any: a param's value
    """The new value of one entry of a features_diff, in either spelling."""
    return value["to"] if is_spelled_out(value) else value
