"""The params and metrics that a filter may name: what is unknown is told with the nearest, and what is begun is completed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import replace

from config.names import known_spelling, tidied
from config.web.words import nearest
from experiments.language.terms import (
    AGGREGATES,
    FIELDS,
    JOINTS,
    ROOTS,
    STATUS_WORDS,
    Comparison,
    Expression,
    FilterError,
    Junction,
    Known,
    Negation,
    Subject,
    comparisons,
    operators_for,
)
from experiments.language.tokens import Token, lenient

NAMED = ("name", "group", "tags")
SPELLED = ("=", "!=", "in", "has", "contains")
# Read from the left, so that a quote that ends one word begins no other.
WORD = re.compile(r"""(?:[\w/.:-]|`[^`]*(?:`|\Z)|"[^"]*(?:"|\Z))+""")


def check_names(expression: Expression, known: Known) -> None:
    """Raise FilterError at a param or metric that the project does not have, with the nearest that it has."""
    for comparison in comparisons(expression):
        subject = comparison.subject
        if subject.root == "params" and not is_known_param(subject.path, known.params):
            raise unknown(subject, "param", ".".join(subject.path), known.params)
        if subject.root == "metrics" and subject.metric not in known.metrics:
            raise unknown_metric(subject, known.metrics)


def with_known_names(expression: Expression, known: Known) -> Expression:
    """The same with names as the project knows them: as they are asked for where it has them so, else as they would be kept.

    Values that are names (of runs, groups and tags) fit in either spelling: those from before names were tidied are found, too.
    """
    if isinstance(expression, Negation):
        return Negation(with_known_names(expression.term, known))
    if isinstance(expression, Junction):
        return Junction(expression.word, tuple(with_known_names(term, known) for term in expression.terms))
    return in_both_spellings(replace(expression, subject=replace(expression.subject, path=known_path(expression.subject, known))))


def known_path(subject: Subject, known: Known) -> tuple[str, ...]:
    """The path of a subject, its names as they are known."""
    if subject.root == "metrics":
        return (known_spelling(subject.metric, known.metrics.__contains__), *subject.path[1:])
    if subject.root == "params" and not is_known_param(subject.path, known.params):
        return tuple(tidied(part) for part in subject.path)
    return subject.path


def in_both_spellings(comparison: Comparison) -> Expression:
    """The comparison; with a name that is not spelled as names are kept, in its spelling or in theirs."""
    kept = tuple(tidied(value) if isinstance(value, str) else value for value in comparison.values)
    if comparison.subject.root not in NAMED or comparison.operator not in SPELLED or kept == comparison.values:
        return comparison
    return Junction("and" if comparison.operator == "!=" else "or", (comparison, replace(comparison, values=kept)))


def is_known_param(path: tuple[str, ...], params: Collection[str]) -> bool:
    """Whether some beginning of the path is the name of a param."""
    return any(".".join(path[:n]) in params for n in range(1, len(path) + 1))


def unknown_metric(subject: Subject, metrics: Collection[str]) -> FilterError:
    """The error for a metric that is not there, or for an aggregate that is none."""
    name, _, how = subject.metric.rpartition(".")
    if not subject.how and name in metrics:
        near = difflib.get_close_matches(how, AGGREGATES, n=1, cutoff=0.3)
        suggestion = f"metrics.{spelled(name)}.{near[0]}" if near else ""
        return FilterError(f"{name} has {', '.join(AGGREGATES)}; not {how}.", subject.at, subject.length, suggestion)
    return unknown(subject, "metric", subject.metric, metrics)


def unknown(subject: Subject, noun: str, name: str, names: Collection[str]) -> FilterError:
    """The error for a name that the project does not have."""
    near = nearest(name, names)
    how = f".{subject.how}" if noun == "metric" and subject.how else ""
    suggestion = f"{subject.root}.{spelled(near)}{how}" if near else ""
    return FilterError(f"The project has no {noun} {name}.", subject.at, subject.length, suggestion)


def spelled(name: str) -> str:
    """A name as it stands in a filter: in backticks where it holds more than a plain name may, in quotes where it holds a backtick."""
    if re.fullmatch(r"[\w/-]+", name) and name not in AGGREGATES:
        return name
    return f"`{name}`" if "`" not in name else f'"{name}"'


def completions(text: str, known: Known, *, most: int = 50) -> list[str]:
    """The whole text, its last word completed in every way that fits there, whether or not a name's quotes are typed."""
    head, tail = cut(text)
    before = list(lenient(head))
    begun = tail.lower()
    found = (head + option for option in options(before, known) if (begun in option.lower() or begun in bare(option).lower()) and tail != option)
    return [option for _, option in zip(range(most), found, strict=False)]


def as_typed(text: str, whole: str) -> str:
    """A completion of the text without the quotes that are not typed yet: browsers offer only what holds the text letter by letter."""
    head, _ = cut(text)
    return head + bare(whole.removeprefix(head))


def bare(text: str) -> str:
    """The text without the quotes of names, as somebody types it."""
    return text.replace("`", "").replace('"', "")


def cut(text: str) -> tuple[str, str]:
    """The text before its last word, and that word."""
    at = next((match.start() for match in WORD.finditer(text) if match.end() == len(text)), len(text))
    return text[:at], text[at:]


def options(before: list[Token], known: Known) -> list[str]:
    """What may come next behind these tokens."""
    last, subject = before[-1:] and before[-1], before[-2:-1] and before[-2]
    if last and last.text == "has":
        return [f'"{tag}"' for tag in known.tags if '"' not in tag]
    if last and subject and subject.text == "status" and last.kind == "symbol":
        return list(STATUS_WORDS)
    if not last or last.text.lower() in (*JOINTS, "("):
        return subjects(known)
    if last.kind == "path" and last.text.partition(".")[0] in ROOTS and not (subject and subject.kind == "symbol"):
        return list(operators_for(Subject(last.text.partition(".")[0], (), 0, 0)))
    return [] if last.kind == "symbol" else ["and ", "or "]


def subjects(known: Known) -> list[str]:
    """Everything that a condition may begin with."""
    metrics = [f"metrics.{spelled(name)}.{how}" for name in known.metrics for how in AGGREGATES]
    return [*(f"params.{spelled(name)}" for name in known.params), *metrics, *FIELDS, "not "]
