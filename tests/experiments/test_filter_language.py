"""The language of filters: what is understood, and how what is not points at the word."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.language.names import as_typed, check_names, completions
from experiments.language.parsing import DEEPEST, is_filter, parse, plain_words
from experiments.language.terms import LONGEST, Comparison, FilterError, Junction, Known, Negation, comparisons

KNOWN = Known(params=["lr", "optimizer", "width"], metrics=["accuracy", "train/loss", "val.f1"], tags=["final", 'say "so"'])
PIECES = [
    "params.lr",
    "metrics.",
    "metrics.accuracy.max",
    "`a b`",
    "tags",
    "has",
    "status",
    "(",
    ")",
    "and",
    "or",
    "not",
    "in",
    "<",
    ">=",
    "=",
    "~",
    ",",
    '"',
    "'",
]
PIECES += ["1e-3", "-5", "true", "none", "2026-11-24", "2026-13-99", "created", "seed", ".", "é", "日本", "\x00", "\ud800", "name", "contains", "\\"]


def refused(text: str) -> FilterError:
    with pytest.raises(FilterError) as caught:
        check_names(parse(text), KNOWN)
    return caught.value


def test_the_example_of_the_documentation_is_three_conditions():
    found = parse('params.lr < 1e-3 and metrics.accuracy.max > 0.9 and tags has "final"')
    assert isinstance(found, Junction)
    assert [(term.subject.root, term.subject.path, term.operator, term.values) for term in comparisons(found)] == [
        ("params", ("lr",), "<", (0.001,)),
        ("metrics", ("accuracy", "max"), ">", (0.9,)),
        ("tags", (), "has", ("final",)),
    ]


def test_not_binds_closer_than_and_and_and_closer_than_or():
    found = parse("not seed = 1 and seed = 2 or seed = 3")
    assert isinstance(found, Junction)
    assert found.word == "or"
    assert isinstance(found.terms[0], Junction)
    assert isinstance(found.terms[0].terms[0], Negation)
    grouped = parse("not (seed = 1 and (seed = 2 or seed = 3))")
    assert isinstance(grouped, Negation)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("metrics.`train/loss`.min < 1", ("train/loss", "min")),
        ('metrics."train/loss".min < 1', ("train/loss", "min")),
        ("metrics.train/loss.avg < 1", ("train/loss", "avg")),
        ("metrics.val.f1.last < 1", ("val.f1", "last")),
        ("metrics.accuracy < 1", ("accuracy", "")),
        ("metrics.`loss.min` < 1", ("loss.min", "")),
        ("params.optimizer.name = adam", ("optimizer", "name")),
        ("params.`two words`.x = 1", ("two words", "x")),
        ("params.配置 = 1", ("配置",)),
    ],
)
def test_names_may_hold_slashes_dots_and_words(text, path):
    found = parse(text)
    assert isinstance(found, Comparison)
    assert found.subject.path == path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("params.a = 1e-3", 0.001),
        ("params.a = -5", -5.0),
        ("params.a = true", True),
        ("params.a = none", None),
        ("params.a = adam", "adam"),
        ('params.a = "1"', "1"),
        (r'params.a = "say \"so\""', 'say "so"'),
        ("params.a = 2026-11-24", "2026-11-24"),
        ("created > 2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("created > 2026-11-24T10:00+02:00", datetime(2026, 11, 24, 8, tzinfo=UTC)),
    ],
)
def test_values_have_types(text, value):
    found = parse(text)
    assert isinstance(found, Comparison)
    assert found.value == value
    assert type(found.value) is type(value)


@pytest.mark.parametrize(
    ("text", "word", "suggestion"),
    [
        ("metrics.acuracy.max > 1", "metrics.acuracy.max", "metrics.accuracy.max"),
        ("seed = 1 and metrics.trian/loss.min > 1", "metrics.trian/loss.min", "metrics.train/loss.min"),
        ("metrics.val.f.max > 1", "metrics.val.f.max", "metrics.`val.f1`.max"),
        ("metrics.accuracy.maxx > 1", "metrics.accuracy.maxx", "metrics.accuracy.max"),
        ("params.widht = 1", "params.widht", "params.width"),
        ("parms.lr = 1", "parms", "params"),
        ("status = runing", "runing", "running"),
        ("name contians x", "contians", "contains"),
        ("params.lr < fast", "fast", ""),
        ("params.lr < ", "", ""),
        ("seed = 1 seed = 2", "seed", ""),
        ("(seed = 1", "(", ""),
        ("seed = 1)", ")", ""),
        ('tags has "fin', '"fin', ""),
        ("tags = final", "=", ""),
        ("seed in 1", "1", ""),
        ('name ~ "("', '"("', ""),
        ("created > yesterday", "yesterday", ""),
        ("created > 2026-13-01", "2026-13-01", ""),
        ("metrics.accuracy.max > 0.9 & seed = 1", "&", ""),
        ("seed.x = 1", "seed.x", "seed"),
        ("(" * (DEEPEST + 2) + "seed = 1", "(", ""),
    ],
)
def test_an_error_points_at_the_word_and_names_the_nearest(text, word, suggestion):
    error = refused(text)
    assert text[error.position : error.position + error.length] == word
    assert error.suggestion == suggestion
    assert error.faults[0].position == error.position


def test_a_suggestion_in_the_words_place_is_understood():
    for text in ("metrics.acuracy.max > 1", "metrics.val.f.max > 1", "params.widht = 1", "status = runing"):
        error = refused(text)
        mended = text[: error.position] + error.suggestion + text[error.position + error.length :]
        check_names(parse(mended), KNOWN)


def test_a_filter_has_a_length_that_ends():
    assert refused("seed = 1 or " * 300).position == LONGEST


PIECED = st.lists(st.sampled_from(PIECES), max_size=14)


@given(st.one_of(st.text(max_size=60), PIECED.map(" ".join), PIECED.map("".join)))
def test_no_text_breaks_the_parser_and_every_error_points_inside_it(text):
    is_filter(text)
    plain_words(text)
    completions(text, KNOWN)
    error = what_is_wrong(text)
    if error:
        assert 0 <= error.position <= len(text)
        assert 0 <= error.length <= len(text) - error.position
        assert error.message


def what_is_wrong(text: str) -> FilterError | None:
    try:
        check_names(parse(text), KNOWN)
    except FilterError as error:
        return error
    return None


@pytest.mark.parametrize("text", ["run 1", "name", "status report", "0.01", "tags", "lr-3e-4", "", '"a = b"', "metrics"])
def test_plain_words_are_no_filter(text):
    assert not is_filter(text)


@pytest.mark.parametrize("text", ["params.lr", "lr < 1", "tags has", "not tags has x", "(seed = 1)", "metrics.loss.", "name contains x"])
def test_what_is_meant_as_a_filter_is_one(text):
    assert is_filter(text)


def test_quotes_around_words_search_for_them_as_they_are():
    assert plain_words('"a = b"') == "a = b"
    assert plain_words('say "so"') == 'say "so"'


def test_completion_knows_params_metric_aggregates_tags_and_statuses():
    assert completions("seed = 1 and metrics.acc", KNOWN) == [f"seed = 1 and metrics.accuracy.{how}" for how in ("last", "min", "max", "avg")]
    assert completions("params.w", KNOWN) == ["params.width"]
    assert completions("tags has f", KNOWN) == ['tags has "final"']
    assert completions("status = run", KNOWN) == ["status = running"]
    assert "seed <" in completions("seed ", KNOWN)
    assert "params.lr" in completions("", KNOWN)


def test_a_name_that_needs_quotes_is_completed_before_they_are_typed():
    wanted = [f'tags has "final" and metrics.`val.f1`.{how}' for how in ("last", "min", "max", "avg")]
    assert completions('tags has "final" and metrics.val.f', KNOWN) == wanted
    assert completions('tags has "final" and metrics.`val.f', KNOWN) == wanted
    assert as_typed('tags has "final" and metrics.val.f', wanted[0]) == 'tags has "final" and metrics.val.f1.last'
