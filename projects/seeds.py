"""Which params of a project are seeds: what tells replicates apart, and says nothing about what was changed. Pure.

An entry of the setting is one of

- a name (`seed`): every param whose last part is that name, at whatever depth: `seed`, `trainer.seed`, `args/seed`;
- a path (`trainer.rng.state`): that param alone; `.seed` is the one at the top;
- either after an exclamation mark (`!data.seed`): no seed, whatever else is said.

Letters' case and the signs `_` and `-` are of no matter: `random_seed` is `randomSeed`. Parts count whole: `seed_lr`, `seeds_dir` and `seed.path` are no seeds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from config.names import flaw_in_name, tidied

DEFAULT = (
    *("seed", "random_seed", "random_state", "seed_everything", "manual_seed", "global_seed", "base_seed", "master_seed", "rng_seed", "prng_seed"),
    *("numpy_seed", "np_seed", "torch_seed", "cuda_seed", "tf_seed", "jax_seed", "python_seed", "pythonhashseed"),
    *("model_seed", "init_seed", "train_seed", "data_seed", "env_seed", "replicate"),
)
SAID_MOST = 4
ENTRIES_MOST, CHARACTERS_MOST = 100, 250
NAMES_KEPT = 20_000
BETWEEN = re.compile(r"[./]")
UNHEARD = str.maketrans("", "", "_-")


@dataclass(frozen=True)
class Seeds:
    """The entries of one project's setting."""

    entries: tuple[str, ...] = DEFAULT

    @property
    def said(self) -> str:
        """The first of them, and how many more there are."""
        more = len(self.entries) - SAID_MOST
        return (", ".join(self.entries[:SAID_MOST]) or "none") + (f" and {more} more" if more > 0 else "")

    @property
    def all_said(self) -> str:
        """All of them."""
        return ", ".join(self.entries) or "none"

    def has(self, path: str) -> bool:
        """Whether the param of this name, nested ones by dotted names, is a seed."""
        return is_seed(self.entries, path)

    def without(self, params: Mapping[str, Any], path: str = "") -> Mapping[str, Any]:  # Any: params hold whatever JSON holds
        """The params but for the seeds at every depth, and for the objects that held nothing else; `path` leads to them. Itself where there are none."""
        kept = {name: rest for name, value in params.items() if (rest := self.rest(value, f"{path}{name}")) is not NOTHING}
        is_whole = len(kept) == len(params) and all(kept[name] is value for name, value in params.items())
        return params if is_whole else kept

    def rest(self, value: Any, path: str) -> Any:  # Any: params hold whatever JSON holds
        """What is left of one param; NOTHING where it is a seed, or held seeds alone."""
        if not isinstance(value, Mapping) or not value:
            return NOTHING if self.has(path) else value
        left = self.without(value, f"{path}.")
        return left if left is value or any(each is not None for each in left.values()) else NOTHING

    def told(self, params: Mapping[str, Any]) -> int | None:  # Any: params hold whatever JSON holds
        """The seed that params tell of: that of `seed` at the top, else the one whole number of all seeds; None where they differ, and where there is none."""
        found = dict(self.numbers(params))
        top = [number for path, number in found.items() if spelled(path) == "seed"]
        numbers = set(top or found.values())
        return numbers.pop() if len(numbers) == 1 else None

    def numbers(self, params: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, int]]:  # Any: params hold whatever JSON holds
        """Every seed that is a whole number, by its path."""
        for name, value in params.items():
            if isinstance(value, Mapping):
                yield from self.numbers(value, f"{path}{name}.")
            elif isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1 and self.has(f"{path}{name}"):
                yield f"{path}{name}", int(value)

    def replaced(self, params: Mapping[str, Any], seed: int, path: str = "") -> dict[str, Any]:  # Any: params hold whatever JSON holds
        """The params with every seed that is a whole number replaced by this one."""
        return {name: self.replacement(value, seed, f"{path}{name}") for name, value in params.items()}

    def replacement(self, value: Any, seed: int, path: str) -> Any:  # Any: params hold whatever JSON holds
        """One param of these."""
        if isinstance(value, Mapping):
            return self.replaced(value, seed, f"{path}.")
        return seed if isinstance(value, int) and not isinstance(value, bool) and self.has(path) else value


NOTHING = object()


@lru_cache(maxsize=64)
def parted(entries: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str], frozenset[str], frozenset[str]]:
    """The names and the paths that are seeds, and those that are none."""
    yes, no = ([entry.removeprefix("!") for entry in entries if entry.startswith("!") == is_no] for is_no in (False, True))
    return (*names_and_paths(yes), *names_and_paths(no))


def names_and_paths(entries: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Entries apart: those of one name, and those of a whole path."""
    texts = list(entries)
    paths = [text for text in texts if BETWEEN.search(text)]
    return frozenset(spelled(text) for text in texts if text not in paths), frozenset(spelled(text).removeprefix(".") for text in paths)


def spelled(path: str) -> str:
    """A path in the one spelling that is compared."""
    return BETWEEN.sub(".", path.casefold().translate(UNHEARD))


@lru_cache(maxsize=NAMES_KEPT)
def is_seed(entries: tuple[str, ...], path: str) -> bool:
    """Whether one of the entries means the param, and none says that it does not."""
    names, paths, other_names, other_paths = parted(entries)
    whole = spelled(path)
    last = whole.rpartition(".")[2]
    if whole in other_paths:
        return False
    return whole in paths or (last in names and last not in other_names)


def entries_of(given: Iterable[str]) -> tuple[str, ...]:
    """Entries as they are kept, each once. Raises ValueError, with what to do, for one that means nothing, and for too many."""
    found = dict.fromkeys(tidied(entry) for entry in given)
    found.pop("", None)
    for entry in found:
        refuse_odd(entry)
    if len(found) > ENTRIES_MOST:
        raise ValueError(f"These are {len(found)} names: {ENTRIES_MOST} at most say which params are seeds.")
    return tuple(found)


def refuse_odd(entry: str) -> None:
    """Raise ValueError for an entry that means no param."""
    flaw = flaw_in_name(entry)
    if flaw:
        raise ValueError(f"{entry!r}: {flaw.message}")
    if len(entry) > CHARACTERS_MOST:
        raise ValueError(f"{entry[:40]!r}… has {len(entry)} characters: {CHARACTERS_MOST} at most.")
    parts = BETWEEN.split(entry.removeprefix("!").removeprefix("."))
    if not all(spelled(part).strip() for part in parts) or "*" in entry:
        raise ValueError(f"{entry!r} is no name of a param: write a name (seed), a path (trainer.seed), or either after ! for what is no seed; no wildcards.")
