"""By what the runs of a comparison are put together, and how groups are drawn: as the address says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import QueryDict

from experiments.language.terms import PARTS_MOST
from experiments.models import Experiment
from experiments.notation.params import written_apart
from experiments.readings.arm_names import arm_names
from experiments.table.filtering import order_of, param_at

KEYS_MOST = 2
CHARACTERS_MOST = 1_000
SEED, REPLICATE_GROUP, PARAM, TAG = "seed", "replicate_group", "param:", "tag:"
SHOWN = {"colour": "Colour", "dash": "Dash", "charts": "Small charts"}
CENTRES = {"mean": "Mean", "median": "Median"}
BANDS = {"sd": "Standard deviation", "se": "Standard error", "ci": "95% confidence interval", "range": "Min to max", "none": "None"}
Value = tuple[int, float, str]


@dataclass(frozen=True)
class Key:
    """What runs are grouped by, as the address says it: `seed` (replicates: one arm), `replicate_group`, `param:<name>` or `tag:<name>`."""

    text: str

    @classmethod
    def read(cls, text: str) -> Key | None:
        """The key that a text stands for; None where it stands for none."""
        text = text.replace("\0", "")
        if len(text) > CHARACTERS_MOST or text.count(".") >= PARTS_MOST:
            return None
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
            return (1, 0.0, experiment.replicate_key)
        if self.text == REPLICATE_GROUP:
            return (1, 0.0, experiment.replicate_group) if experiment.replicate_group else (2, 0.0, "")
        if self.text.startswith(TAG):
            return (0, 0.0, "") if any(tag.name == self.name for tag in experiment.tags.all()) else (2, 0.0, "")
        return order_of(param_at(experiment.params, self.name.split(".")))

    def names(self, parts: Sequence[Sequence[Experiment]]) -> list[str]:
        """What the groups are called beside each other; floats have the digits that tell them apart."""
        if self.text == SEED:
            return arm_names(parts)
        if self.text == REPLICATE_GROUP:
            return [part[0].replicate_group or "no replicate group" for part in parts]
        if self.text.startswith(TAG):
            return [self.name if self.value(part[0])[0] == 0 else f"not {self.name}" for part in parts]
        texts = written_apart([param_at(part[0].params, self.name.split(".")) for part in parts])
        return [f"{self.name} {text}" for text in texts]


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
