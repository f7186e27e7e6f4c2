"""What puts runs into one arm: equal params but for the seeds at the root, and equal changes on the way down. Pure: the project says which are seeds."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any, TypeGuard

from experiments.notation.equality import is_nothing, is_same, levelled
from experiments.notation.params import NESTED, by_name, distinct, flat
from projects.seeds import NOTHING, Seeds

Params = Mapping[str, Any]  # Any: params hold whatever JSON holds


def difference(parent: Params, child: Params, seeds: Seeds) -> dict[str, Any]:
    """What changed between two params: {feature: {"from": …, "to": …}}, None for absent, seeds left out at every depth."""
    before, after = seeds.without(parent), seeds.without(child)
    names = [name for name in sorted({*before, *after}) if distinct(before.get(name)) != distinct(after.get(name))]
    moved = differing(before, after) if names else set()
    return {name: {"from": before.get(name), "to": after.get(name)} for name in names if not moved.isdisjoint(paths(name, before, after))}


def differing(before: Params, after: Params) -> set[str]:
    """The params that differ, nested ones by dotted names: {"o": {"lr": 1}} and {"o.lr": 1} do not."""
    one, other = by_name(before), by_name(after)
    return {name.removesuffix(NESTED) for name in {*one, *other} if distinct(one.get(name)) != distinct(other.get(name))}


def paths(name: str, before: Params, after: Params) -> set[str]:
    """Every param under one name of either."""
    return {path for params in (before, after) for path, _ in flat({name: params.get(name)})}


def canonical_params(params: Params, seeds: Seeds) -> str:
    """JSON that is equal for equal params alone, seeds left out; "{}" where nothing is left."""
    return as_json({name: levelled(value) for name, value in by_name(seeds.without(params)).items()})


def canonical_changes(features_diff: Params, seeds: Seeds) -> str:
    """JSON that is equal for equal changes alone, seeds left out. A feature that became null is one that went away: that is a change."""
    kept = {feature: compared(feature, change, seeds) for feature, change in features_diff.items()}
    return as_json({feature: change for feature, change in kept.items() if change is not NOTHING})


def compared(feature: str, change: Any, seeds: Seeds) -> Any:  # Any: whatever JSON holds
    """One change as it is compared, in either spelling; NOTHING where seeds alone changed."""
    ends = change if is_spelled_out(change) else {"to": change}
    left = {end: seeds.rest(value, feature) for end, value in ends.items()}
    if all(value is NOTHING for value in left.values()):
        return NOTHING
    told = {end: None if value is NOTHING or is_nothing(value) else levelled(value) for end, value in left.items()}
    if ends is not change:
        return told["to"]
    return NOTHING if is_same(told["from"], told["to"]) and not is_same(change["from"], change["to"]) else told


def is_spelled_out(change: object) -> TypeGuard[Params]:
    """Whether a change of a features_diff says where it came from, rather than the new value alone."""
    return isinstance(change, Mapping) and set(change) == {"from", "to"}


def key_of(project_id: uuid.UUID, above: str, features_diff: Params, seeds: Seeds) -> str:
    """The replicate_key of a run that is in no group by hand; `above` is its parent's, or what `canonical_params` says of a root's params."""
    return digest(str(project_id), above, canonical_changes(features_diff, seeds))


def as_json(value: Params) -> str:
    """JSON with sorted names."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def digest(*parts: str) -> str:
    """32 hex characters that stand for `parts`."""
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
