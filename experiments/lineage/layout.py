"""Where the nodes of a forest stand on a grid: pure, linear in the number of nodes, without recursion, so that a chain may be thousands deep."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Children = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Spot:
    """One place of the grid: `column` is the depth below the top, `row` counts from the top.

    `folded` counts the descendants that are not shown below a closed node. A spot with `rest` is no node: it stands for that many further
    children of `parent`, and its key is the parent's.
    """

    key: str
    parent: str | None
    column: int
    row: int
    folded: int = 0
    rest: int = 0


def without_cycles(parents: Mapping[str, str | None]) -> dict[str, str | None]:
    """The same parents, each cycle cut at the node of it that comes first; an unknown parent counts as none."""
    known = {key: parent if parent in parents and parent != key else None for key, parent in parents.items()}
    done: set[str] = set()
    for start in known:
        walked: dict[str, None] = {}
        node: str | None = start
        while node is not None and node not in done and node not in walked:
            walked[node] = None
            node = known[node]
        if node is not None and node in walked:
            known[min(cycle_from(known, node), key=list(walked).index)] = None
        done.update(walked)
    return known


def cycle_from(parents: Mapping[str, str | None], start: str) -> list[str]:
    """The nodes of the cycle that `start` is in."""
    found, node = [start], parents[start]
    while node is not None and node != start:
        found.append(node)
        node = parents[node]
    return found


def preorder(children: Children, roots: Sequence[str]) -> list[str]:
    """Every node, each before its children."""
    found, waiting = [], list(reversed(roots))
    while waiting:
        key = waiting.pop()
        found.append(key)
        waiting.extend(reversed(children.get(key, ())))
    return found


def descendants(children: Children, roots: Sequence[str]) -> dict[str, int]:
    """How many nodes are below each."""
    counts: dict[str, int] = {}
    for key in reversed(preorder(children, roots)):
        counts[key] = sum(1 + counts[child] for child in children.get(key, ()))
    return counts


def opened(children: Children, roots: Sequence[str], *, most: int, deepest: int, siblings: int) -> set[str]:
    """The nodes to open so that about `most` are seen: level by level, none at `deepest` or below, `siblings` children of each counted at most."""
    found: set[str] = set()
    seen, waiting = min(len(roots), siblings), deque((key, 0) for key in roots[:siblings])
    while waiting:
        key, depth = waiting.popleft()
        below = children.get(key, ())[:siblings]
        if not below or depth >= deepest or seen + len(below) > most:
            continue
        found.add(key)
        seen += len(below)
        waiting.extend((child, depth + 1) for child in below)
    return found


def lay_out(children: Children, roots: Sequence[str], *, is_open: Container[str], siblings: int, most: int, deepest: int) -> list[Spot]:
    """The spots of what is shown, each node before its children: a first child stands in its parent's row, every other takes the next free one.

    A node is closed where it is not in `is_open`, at column `deepest`, or once `most` nodes are shown.
    """
    below, rows = descendants(children, roots), 0
    spots: list[Spot] = []
    waiting: list[tuple[str, str | None, int, bool, int]] = []
    push(waiting, None, roots, siblings, column=0)
    while waiting:
        key, parent, column, is_first, rest = waiting.pop()
        row = spots[-1].row if is_first and spots and parent is not None else rows
        rows = max(rows, row + 1)
        shut = bool(rest) or key not in is_open or column >= deepest or len(spots) >= most
        spots.append(Spot(key, parent, column, row, folded=below[key] if shut and not rest and key in below else 0, rest=rest))
        if not shut:
            push(waiting, key, children.get(key, ()), siblings, column=column + 1)
    return spots


def push(waiting: list[tuple[str, str | None, int, bool, int]], parent: str | None, keys: Sequence[str], siblings: int, *, column: int) -> None:
    """Put children on the stack, the first on top; those beyond `siblings` as one."""
    if len(keys) > siblings:
        waiting.append((parent or "", parent, column, False, len(keys) - siblings))
    waiting.extend((key, parent, column, index == 0, 0) for index, key in reversed(list(enumerate(keys[:siblings]))))


def way_to(parents: Mapping[str, str | None], key: str | None) -> list[str]:
    """The nodes from the root to `key`, both included; empty for None."""
    found = []
    while key is not None:
        found.append(key)
        key = parents[key]
    return found[::-1]


def closing(columns: Iterable[int]) -> list[int]:
    """How many lists end after each node of a preorder, by the nodes' columns."""
    depths = [*columns, 0]
    return [max(0, here - after) for here, after in pairwise(depths)]
