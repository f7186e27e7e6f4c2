"""What a valid point is: the quick way and the strict way agree, and a refusal names every fault."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import BadRequest, Invalid, Refused, TooLarge
from metrics.points import decoding
from metrics.points.strictly import loaded, strictly
from metrics.points.valid import Limits, Points

NOW = 1_763_900_000_000_000
LIMITS = Limits(points=1000)


def many(body: Any) -> Points:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decoding.many(raw, now_us=NOW, limits=LIMITS)


def row(**changes: Any) -> dict[str, Any]:
    return {"metric_name": "loss", "metric_value": 0.5, **changes}


def faults(body: Any) -> list[tuple[int | None, str, str]]:
    with pytest.raises(Invalid) as refused:
        many(body)
    return [(fault.index, fault.field, fault.code) for fault in refused.value.faults]


def same(a: Points, b: Points) -> bool:
    def told(p: Points) -> list[Any]:
        names, hosts = [p.names[c] for c in p.name_codes], [p.hosts[c] for c in p.host_codes]
        return [names, hosts, p.steps.tolist(), p.times.tolist(), [struct.pack("<d", v) for v in p.values], p.writer, p.ordinal]

    return told(a) == told(b)


def test_rows_become_columns():
    batch = many({"metrics": [row(step=1, timestamp=1763900000.25, host="gpu7"), row(metric_name="acc", metric_value=1)]})
    assert (batch.names, batch.name_codes.tolist(), batch.values.tolist()) == (["loss", "acc"], [0, 1], [0.5, 1.0])
    assert (batch.steps.tolist(), batch.times.tolist()) == ([1, 0], [1_763_900_000_250_000, NOW])
    assert [batch.hosts[code] for code in batch.host_codes] == ["gpu7", ""]


def test_columns_become_points_metric_by_metric_and_null_is_none():
    batch = many({"steps": [3, 4], "timestamps": [1.5, "1970-01-01T00:00:02.25Z"], "metrics": {"loss": [None, 0.25], "acc": [0.5, "NaN"]}})
    assert [batch.names[code] for code in batch.name_codes] == ["loss", "acc", "acc"]
    assert (batch.steps.tolist(), batch.times.tolist()) == ([4, 3, 4], [2_250_000, 1_500_000, 2_250_000])
    assert batch.values[:2].tolist() == [0.25, 0.5]
    assert math.isnan(batch.values[2])


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_non_finite_numbers_come_as_words_and_as_pythons_literals(word):
    as_word = many({"metrics": [row(metric_value=word)]})
    as_literal = many(b'{"metrics": [{"metric_name": "loss", "metric_value": %s}]}' % word.encode())
    assert same(as_word, as_literal)
    assert not np.isfinite(as_word.values[0])


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"metric_value": True}, "metric_value", "type"),
        ({"metric_value": None}, "metric_value", "type"),
        ({"metric_value": "0.5"}, "metric_value", "type"),
        ({"metric_value": "nan"}, "metric_value", "type"),
        ({"metric_value": 10**400}, "metric_value", "range"),
        ({"metric_value": [1]}, "metric_value", "type"),
        ({"step": 1.5}, "step", "type"),
        ({"step": True}, "step", "type"),
        ({"step": "1"}, "step", "type"),
        ({"step": 2**70}, "step", "range"),
        ({"step": 2**63}, "step", "range"),
        ({"step": -(2**63) - 1}, "step", "range"),
        ({"step": None}, "step", "type"),
        ({"timestamp": -1}, "timestamp", "time"),
        ({"timestamp": 7_258_118_400}, "timestamp", "time"),
        ({"timestamp": "yesterday"}, "timestamp", "time"),
        ({"timestamp": "2026-01-01T00:00:00"}, "timestamp", "time"),
        ({"timestamp": "2200-01-01T00:00:00Z"}, "timestamp", "time"),
        ({"timestamp": True}, "timestamp", "type"),
        ({"metric_name": ""}, "metric_name", "name"),
        ({"metric_name": "  "}, "metric_name", "name"),
        ({"metric_name": "a\nb"}, "metric_name", "name"),
        ({"metric_name": "a\0"}, "metric_name", "name"),
        ({"metric_name": "é" * 126}, "metric_name", "name"),
        ({"metric_name": "\ud800"}, "metric_name", "name"),
        ({"metric_name": 7}, "metric_name", "type"),
        ({"host": 7}, "host", "host"),
        ({"host": "h" * 251}, "host", "host"),
        ({"steps": 7}, "steps", "unknown_field"),
    ],
)
def test_one_invalid_point_refuses_the_batch_and_is_named(change, field, code):
    assert faults({"metrics": [row(), row(**change)]}) == [(1, field, code)]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"metrics": [row(), row(metric_value="high")]}, [(1, "loss")]),
        ({"metrics": [row(), row(timestamp=-1)]}, [(1, "loss")]),
        ({"steps": [0, 1], "metrics": {"loss": [1, 2], "acc": [1, "high"]}}, [(1, "acc")]),
        ({"steps": [0], "metrics": {"loss": [1], "a\u200bb": [1]}}, [(None, "a\u200bb")]),
        ({"steps": [0], "metrics": {"loss": [1], "acc": [1, 2]}}, [(None, "acc")]),
        ({"steps": [0, 2**63], "metrics": {"loss": [1, 2]}}, [(1, None)]),
        ({"steps": [0, 1], "timestamps": [1, -1], "metrics": {"loss": [1, 2]}}, [(1, None)]),
    ],
)
def test_a_fault_says_which_points_cannot_be_taken(body, named):
    with pytest.raises(Invalid) as refused:
        many(body)
    assert [(fault.index, fault.metric) for fault in refused.value.faults] == named


def test_what_is_missing_is_named():
    assert faults({"metrics": [{}]}) == [(0, "metric_name", "missing"), (0, "metric_value", "missing")]
    assert faults({"metrics": []}) == [(None, "metrics", "empty")]
    assert faults({"metrics": [7]}) == [(0, "", "type")]


def test_the_first_hundred_faults_are_told_and_all_are_counted():
    with pytest.raises(Invalid, match=r"^150 invalid values") as refused:
        many({"metrics": [row(step=1.5)] * 150})
    assert [fault.index for fault in refused.value.faults] == list(range(100))


@pytest.mark.parametrize(
    "body",
    [
        {"metrics": {"loss": [1.0]}},
        {"steps": [0], "metrics": {"loss": [1.0, 2.0]}},
        {"steps": [0, 1], "metrics": {"loss": [1.0]}},
        {"steps": [0], "timestamps": [1.0, 2.0], "metrics": {"loss": [1.0]}},
        {"steps": [0], "metrics": {"loss": [None]}},
        {"steps": [0], "metrics": {}},
        {"steps": [], "metrics": {"loss": []}},
        {"steps": [0], "metrics": {"": [1.0]}},
        {"steps": [0], "metrics": {"loss": [True]}},
        {"steps": [0.5], "metrics": {"loss": [1.0]}},
        {"steps": 0, "metrics": {"loss": [1.0]}},
        {"steps": [0], "metrics": {"loss": 1.0}},
        {"steps": [0], "metrics": {"loss": [1.0]}, "writer": 1},
        {"steps": [0], "metrics": {"loss": [1.0]}, "writer": 0, "ordinal": 0},
        {"steps": [0], "metrics": {"loss": [1.0]}, "writer": 1 << 20, "ordinal": 0},
        {"steps": [0], "metrics": {"loss": [1.0]}, "writer": True, "ordinal": 0},
        {"steps": [0], "metrics": {"loss": [1.0]}, "color": "red"},
        {"metrics": "loss"},
        {},
        [],
        7,
        None,
        "loss",
    ],
)
def test_columns_that_do_not_fit_are_refused_with_a_sentence(body):
    with pytest.raises(Invalid) as refused:
        many(body)
    assert len(str(refused.value)) > 10


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe{", b"nul", b'{"metrics": [', b"[" * 200_000, b'{"a":' * 200_000, b"1" * 10_000])
def test_what_is_no_json_is_a_bad_request_and_never_a_crash(body):
    with pytest.raises((BadRequest, Invalid)):
        decoding.many(body, now_us=NOW, limits=LIMITS)
    with pytest.raises((BadRequest, Invalid)):
        decoding.one(body, now_us=NOW)


@pytest.mark.parametrize(
    "body",
    [
        b'{"metrics": {"a": [1], "a": [2]}, "steps": [0]}',
        b'{"metrics": {"a": [1]}, "metrics": {"b": [2]}, "steps": [0]}',
        b'{"metrics": {"a": [1]}, "steps": [0], "steps": [1]}',
        b'{"metrics": [{"metric_name": "a", "metric_name": "b", "metric_value": 1}]}',
        b'{"metrics": [{"metric_name": "a", "metric_value": 1, "metric_value": 2}]}',
        b'{"metrics": [{"metric_name": "a", "metric_value": 1}], "metrics": [{"metric_name": "b", "metric_value": 2}]}',
    ],
)
def test_a_name_that_comes_twice_is_refused_since_a_value_would_be_lost(body):
    with pytest.raises(Invalid, match="twice"):
        decoding.many(body, now_us=NOW, limits=LIMITS)


@pytest.mark.parametrize("name", ["a[0]", "metric_value", '"metric_name"', "[[["])
def test_a_name_may_look_like_the_body_itself(name):
    assert many({"metrics": [row(metric_name=name)]}).names == [name]
    assert many({"steps": [0], "metrics": {name: [1.0]}}).names == [name]


def test_more_points_than_the_limit_are_too_large():
    with pytest.raises(TooLarge):
        many({"metrics": [row()] * 1001})
    with pytest.raises(TooLarge):
        many({"steps": list(range(501)), "metrics": {"a": [1.0] * 501, "b": [1.0] * 501}})
    assert len(many({"steps": list(range(501)), "metrics": {"a": [1.0] * 501, "b": [None] * 501}})) == 501


def test_a_client_may_bring_its_own_identity():
    batch = many({"steps": [0], "metrics": {"loss": [1.0]}, "writer": 3, "ordinal": 77})
    assert (batch.writer, batch.ordinal) == (3, 77)


def test_a_batch_survives_its_way_through_bytes():
    batch = many({"metrics": [row(metric_value="NaN", step=-5, host="h"), row(metric_value=5e-324, metric_name="损失")]})
    assert same(Points.decoded(batch.encoded()), batch)


def test_iso_timestamps_are_exact_to_the_microsecond():
    batch = many({"metrics": [row(timestamp="2026-11-23T22:15:00.123456+02:00")]})
    assert batch.times.tolist() == [1_795_464_900_123_456]


def test_a_whole_number_written_with_a_point_is_a_step_both_ways():
    assert many(b'{"metrics":[{"metric_name":"a","metric_value":1,"step":3.0}]}').steps.tolist() == [3]
    assert many(b'{"metrics":[{"metric_name":"a","metric_value":NaN,"step":3.0}]}').steps.tolist() == [3]


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "2026-01-01T00:00:00Z"]),
)
rows = st.lists(
    st.fixed_dictionaries(
        {"metric_name": st.one_of(st.text(min_size=1, max_size=8), scalars), "metric_value": scalars},
        optional={"step": scalars, "timestamp": scalars, "host": scalars},
    ),
    max_size=4,
)
columns = st.fixed_dictionaries(
    {
        "steps": st.lists(st.one_of(st.integers(0, 9), scalars), max_size=3),
        "metrics": st.dictionaries(st.text(max_size=3), st.lists(scalars, max_size=3), max_size=3),
    },
    optional={"timestamps": st.lists(scalars, max_size=3), "host": scalars},
)


def outcome(decode: Any) -> Any:
    try:
        return decode()
    except Refused as refused:
        return type(refused)


@given(st.one_of(st.fixed_dictionaries({"metrics": rows}), columns))
def test_the_quick_way_accepts_nothing_that_the_strict_way_refuses_and_reads_it_alike(body):
    raw = json.dumps(body).encode()
    quick = outcome(lambda: decoding.many(raw, now_us=NOW, limits=LIMITS))
    strict = outcome(lambda: strictly(loaded(raw), now_us=NOW, limits=LIMITS))
    assert quick == strict if isinstance(strict, type) else same(quick, strict)


NFD, NFC = "Gro\u0308ße/損失", "Größe/損失"


@pytest.mark.parametrize("name", [" loss", "loss\u00a0", "\tloss\n", "      loss", "\u3000loss"])
def test_blanks_around_a_name_are_not_of_it(name):
    for body in ({"metrics": [row(metric_name=name)]}, {"steps": [0], "metrics": {name: [0.5]}}):
        assert many(body).names == ["loss"]
        assert same(many(body), strictly(loaded(json.dumps(body).encode()), now_us=NOW, limits=LIMITS))


def test_names_that_look_alike_are_one_series_and_no_point_is_lost():
    rows = many({"metrics": [row(metric_name=name, metric_value=value) for value, name in enumerate(("loss", NFD, " loss", NFC, "loss\u00a0"))]})
    assert (rows.names, rows.name_codes.tolist(), rows.values.tolist()) == (["loss", NFC], [0, 1, 0, 1, 0], [0, 1, 2, 3, 4])
    columns = {"steps": [0, 1], "metrics": {"loss": [1, 2], NFD: [3, None], " loss": [4, 5], NFC: [None, 6]}}
    found = many(columns)
    told = [(found.names[code], step, value) for code, step, value in zip(found.name_codes, found.steps.tolist(), found.values.tolist(), strict=True)]
    assert told == [("loss", 0, 1), ("loss", 1, 2), (NFC, 0, 3), ("loss", 0, 4), ("loss", 1, 5), (NFC, 1, 6)]
    assert same(found, strictly(loaded(json.dumps(columns).encode()), now_us=NOW, limits=LIMITS))
    assert Points.decoded(found.encoded()).names == ["loss", NFC]


def test_blanks_inside_a_name_are_the_callers_own():
    names = ["val loss", "val  loss", "val\u00a0loss"]
    assert many({"metrics": [row(metric_name=name) for name in names]}).names == names


@pytest.mark.parametrize("name", ["lo\u200bss", " lo\ufeffss", "lo\u202ess", "lo\u00adss", "lo\nss"])
def test_an_invisible_character_is_refused_with_its_index_and_position(name):
    place = next(i for i, character in enumerate(name) if character not in " los")
    for body, index in (({"metrics": [row(), row(metric_name=name)]}, 1), ({"steps": [0], "metrics": {"loss": [1], name: [1]}}, None)):
        with pytest.raises(Invalid) as refused:
            many(body)
        fault = refused.value.faults[0]
        assert (fault.index, fault.code, fault.position) == (index, "name", place)
        assert f"at position {place}" in fault.message


def test_a_name_is_as_long_as_what_is_kept_of_it():
    assert many({"metrics": [row(metric_name="e\u0301" * 125)]}).names == ["é" * 125]
    assert faults({"metrics": [row(metric_name="e\u0301" * 126)]}) == [(0, "metric_name", "name")]
