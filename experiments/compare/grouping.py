"""By what the runs of a comparison are put together, and how groups are drawn: as the address says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import QueryDict

from experiments.arms import canonical_changes, canonical_params, is_spelled_out
from experiments.models import Experiment
from experiments.notation.equality import is_nothing
from experiments.notation.params import written
from experiments.readings.spread import shared_name
from experiments.table.filtering import order_of, param_at

KEYS_MOST = 2
SEED, REPLICATE_GROUP, PARAM, TAG = "seed", "replicate_group", "param:", "tag:"
SHOWN = {"colour": "Colour", "dash": "Dash", "charts": "Small charts"}
CENTRES = {"mean": "Mean", "median": "Median"}
BANDS = {"sd": "Standard deviation", "se": "Standard error", "ci": "95% confidence interval", "range": "Min to max", "none": "None"}
Value = tuple[int, float, str]


@dataclass(frozen=True)
class Key:
    """What runs are grouped by, as the address says it: `seed` (all but the seed is equal), `replicate_group`, `param:<name>` or `tag:<name>`."""

    text: str

    @classmethod
    def read(cls, text: str) -> Key | None:
        """The key that a text stands for; None where it stands for none."""
        text = text.replace("\0", "")
        is_named = any(text.startswith(kind) and text != kind for kind in (PARAM, TAG))
        return cls(text) if is_named or text in (SEED, REPLICATE_GROUP) else None

    @property
    def name(self) -> str:
        """The name of the param or tag."""
        return self.text.partition(":")[2]

    @property
    def label(self) -> str:
        """What people call it."""
        return {SEED: "all but seed", REPLICATE_GROUP: "replicate group"}.get(self.text) or self.name

    def value(self, experiment: Experiment) -> Value:
        """What the runs of one group share, in the order in which groups stand: numbers by size, then text, then what is absent."""
        if self.text == SEED:
            return (1, 0.0, same_but_seed(experiment))
        if self.text == REPLICATE_GROUP:
            return (1, 0.0, experiment.replicate_group) if experiment.replicate_group else (2, 0.0, "")
        if self.text.startswith(TAG):
            return (0, 0.0, "") if any(tag.name == self.name for tag in experiment.tags.all()) else (2, 0.0, "")
        return order_of(param_at(experiment.params, self.name.split(".")))

    def names(self, experiments: Sequence[Experiment]) -> str:
        """What the runs of one group are called."""
        first = experiments[0]
        if self.text == SEED:
            return shared_name(experiments)
        if self.text == REPLICATE_GROUP:
            return first.replicate_group or "no replicate group"
        if self.text.startswith(TAG):
            return self.name if self.value(first)[0] == 0 else f"not {self.name}"
        return f"{self.name} {written(param_at(first.params, self.name.split('.')))}"


def same_but_seed(experiment: Experiment) -> str:
    """Equal for runs whose params are equal but for the seed, whose other changes are, and that nobody put into groups of their own.

    A run without params, seeds aside, is a replicate of what its replicate_key says.
    """
    seeds = experiment.project.seeds
    params = canonical_params(experiment.params, seeds)
    if params == "{}":
        return experiment.replicate_key
    other = {feature: change for feature, change in experiment.features_diff.items() if is_nothing(experiment.params.get(feature)) and is_set(change)}
    return "\x1f".join((params, canonical_changes(other, seeds), experiment.replicate_group))


def is_set(change: object) -> bool:
    """Whether a change of features_diff set something; a param that went away shows in the params already."""
    return not is_nothing(change["to"] if is_spelled_out(change) else change)


@dataclass(frozen=True)
class Grouping:
    """By what runs are grouped, and how groups are drawn, as the address says. What cannot be read there counts as not said."""

    keys: tuple[Key, ...] = ()
    shown: str = "colour"
    centre: str = "mean"
    band: str = "sd"

    @classmethod
    def read(cls, query: QueryDict) -> Grouping:
        """From `group` (up to KEYS_MOST of them), `as`, `centre` and `band`."""
        keys = dict.fromkeys(key for text in query.getlist("group") if (key := Key.read(text)))
        return cls(tuple(keys)[:KEYS_MOST], said(query, "as", SHOWN), said(query, "centre", CENTRES), said(query, "band", BANDS))

    @property
    def is_by_seed(self) -> bool:
        """Whether runs are grouped by all but the seed and nothing else."""
        return [key.text for key in self.keys] == [SEED]

    @property
    def first(self) -> str:
        """The first key's text; nothing where there is none."""
        return self.keys[0].text if self.keys else ""

    @property
    def second(self) -> str:
        """The second key's text; nothing where there is none."""
        return self.keys[1].text if len(self.keys) > 1 else ""

    @property
    def label(self) -> str:
        """The keys as people call them."""
        return " and ".join(key.label for key in self.keys)


PLAIN = Grouping()
WORDS = ("group", "as", "centre", "band")


def said(query: QueryDict, name: str, words: Mapping[str, str]) -> str:
    """The word of `words` that the address gives to a name, else the first of them."""
    return next((word for word in words if word == query.get(name)), next(iter(words)))
