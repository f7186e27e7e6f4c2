"""What the hours of series promise, whatever engine is below them."""

from __future__ import annotations

import math
import uuid
from dataclasses import fields

import numpy as np
import pytest

from metrics.store.repository import MetricRepository
from metrics.store.shapes import Hours, Place, Window
from tests.metrics.conftest import Points
from tests.metrics.test_conformance import logged, state_of, store_state

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = 3_600_000_000, 86_400_000_000
MIDNIGHT = 1_763_856_000_000_000  # 2025-11-23 00:00 UTC
LONG = Window("time", MIDNIGHT, MIDNIGHT + 3 * DAY)
ROWS = """
    SELECT toUnixTimestamp(date) AS hour, metric_name AS metric, part, min_value, max_value, avg_value, last_value, count, nonfinite,
           first_step, last_step, last_point_id, toUnixTimestamp64Micro(first_time) AS first, toUnixTimestamp64Micro(last_time) AS last, version
    FROM {database}.metrics_hourly FINAL WHERE team_id = %(team)s AND project_id = %(project)s AND count > 0 ORDER BY experiment_id, metric, hour, part
"""


def rows(repository: MetricRepository, place: Place, *, with_versions: bool = False) -> list[tuple]:
    found = repository.engine.query(repository.sql(ROWS), {"team": place.team_id, "project": place.project_id})
    names = [name for name in found if with_versions or name != "version"]
    return [tuple(str(value) for value in row) for row in zip(*(list(found[name]) for name in names), strict=True)]


def spread(place: Place, experiment: uuid.UUID, *, hours: int = 48, a_hour: int = 6, first: int = MIDNIGHT, metric: str = "loss", ids_from: int = 0) -> Points:
    """Points at equal distances over some hours."""
    n = hours * a_hour
    values = np.random.default_rng(n + ids_from).normal(size=n)
    return Points(place, experiment, metric=metric, values=values, steps=range(ids_from, ids_from + n), ids=range(ids_from, ids_from + n),
                  times=[first + i * HOUR // a_hour for i in range(n)])  # fmt: skip


def test_an_hour_says_what_its_points_say(repository, place):
    experiment = uuid.uuid4()
    points = Points(place, experiment, values=[1.0, math.nan, 3.0, -math.inf, 7.0], steps=[0, 1, 2, 3, 4], ids=[5, 6, 7, 8, 9],
                    times=[MIDNIGHT, MIDNIGHT + 1, MIDNIGHT + 2, MIDNIGHT + HOUR - 1, MIDNIGHT + HOUR])  # fmt: skip
    logged(repository, points)
    repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + DAY)
    assert rows(repository, place) == [
        (str(MIDNIGHT // 10**6), "loss", "0", "1.0", "3.0", "2.0", "-inf", "4", "2", "0", "3", "8", str(MIDNIGHT), str(MIDNIGHT + HOUR - 1)),
        (str(MIDNIGHT // 10**6 + 3600), "loss", "0", "7.0", "7.0", "7.0", "7.0", "1", "0", "4", "4", "9", str(MIDNIGHT + HOUR), str(MIDNIGHT + HOUR)),
    ]


def test_an_hour_without_a_finite_value_has_no_mean(repository, place):
    logged(repository, Points(place, experiment := uuid.uuid4(), values=[math.nan], times=[MIDNIGHT]))
    repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + DAY)
    assert rows(repository, place)[0][3:9] == ("None", "None", "None", "nan", "1", "1")


def test_rebuilding_twice_is_the_same(repository, place):
    experiment = uuid.uuid4()
    logged(repository, spread(place, experiment))
    repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + 2 * DAY)
    before, versions = rows(repository, place), rows(repository, place, with_versions=True)
    repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + 2 * DAY)
    assert rows(repository, place) == before
    assert len(before) == 48
    assert rows(repository, place, with_versions=True) != versions


def test_a_repeat_is_counted_once(repository, place):
    experiment = uuid.uuid4()
    for _ in range(3):
        logged(repository, spread(place, experiment, hours=2))
    repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + DAY)
    assert [row[7] for row in rows(repository, place)] == ["6", "6"]


def test_only_the_span_is_rebuilt(repository, place):
    experiment = uuid.uuid4()
    logged(repository, spread(place, experiment))
    repository.rebuild_hours(place, [experiment], first=MIDNIGHT + DAY, until=MIDNIGHT + 2 * DAY)
    assert {int(row[0]) * 10**6 >= MIDNIGHT + DAY for row in rows(repository, place)} == {True}


def test_an_hour_whose_points_vanished_vanishes(repository, place):
    experiment = uuid.uuid4()
    logged(repository, spread(place, experiment, hours=3))
    repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + DAY)
    repository.drop_points(place, [experiment], first=MIDNIGHT + HOUR, until=MIDNIGHT + 2 * HOUR, logged=2**62)
    for _ in range(2):
        repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + DAY)
        assert [int(row[0]) * 10**6 for row in rows(repository, place)] == [MIDNIGHT, MIDNIGHT + 2 * HOUR]


@pytest.mark.slow
def test_forgetting_an_experiment_takes_its_hours(repository, place):
    experiment = uuid.uuid4()
    logged(repository, spread(place, experiment, hours=3))
    repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + DAY)
    repository.forget(place, [experiment])
    assert rows(repository, place) == []


def test_what_is_behind_is_found_by_counting(repository, place):
    new, late, done = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    for experiment in (late, done):
        logged(repository, spread(place, experiment))
        repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + 2 * DAY)
    logged(repository, spread(place, new))
    late_points = Points(place, late, values=[9.0], steps=[1], ids=[77_777], times=[MIDNIGHT + 5])
    repository.insert_points(late_points.columns())
    store_state(repository, place, late, "loss", state_of(late_points), spool=2)
    found = {one.experiment: (one.points, one.since_us) for one in repository.behind(place, until=MIDNIGHT + 2 * DAY)}
    assert found == {new: (288, 0), late: (1, MIDNIGHT + 47 * HOUR)}
    assert set(found) == {one.experiment for one in repository.behind(place, until=MIDNIGHT + 2 * DAY, experiments=[new, late, done])}
    repository.rebuild_hours(place, [new, late], first=0, until=MIDNIGHT + 2 * DAY)
    assert repository.behind(place, until=MIDNIGHT + 2 * DAY) == []


def test_points_of_a_day_that_is_not_over_are_not_behind(repository, place):
    experiment = uuid.uuid4()
    logged(repository, spread(place, experiment))
    repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + DAY)
    assert repository.behind(place, until=MIDNIGHT + DAY) == []
    assert [one.points for one in repository.behind(place, until=MIDNIGHT + 2 * DAY)] == [144]


def test_density_counts_points_by_the_hour(repository, place):
    experiment = uuid.uuid4()
    logged(repository, spread(place, experiment, hours=3))
    assert repository.density(place, [experiment], first=MIDNIGHT + HOUR, until=MIDNIGHT + DAY) == [(MIDNIGHT + HOUR, 6, 1), (MIDNIGHT + 2 * HOUR, 6, 1)]


@pytest.mark.slow
def test_stray_timestamps_over_the_ages_open_many_months_and_still_land(repository, place):
    experiment, n = uuid.uuid4(), 300
    logged(repository, Points(place, experiment, values=[1.0] * n, times=[i * 31 * DAY for i in range(n)]))
    repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT)
    assert len(rows(repository, place)) == n


@pytest.mark.parametrize("width", [HOUR, 3 * HOUR])
def test_hours_show_the_chart_that_the_points_show(repository, place, width):
    experiments = [uuid.uuid4(), uuid.uuid4()]
    for number, experiment in enumerate(experiments):
        points = spread(place, experiment, hours=72, first=MIDNIGHT + number * 7 * 60_000_000)
        points.values[10], points.values[200] = math.nan, 55.0
        logged(repository, points)
        repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + 2 * DAY)
    window = Window("time", MIDNIGHT, MIDNIGHT + 3 * DAY)
    exact = repository.sparse(place, experiments, "loss", window, width, repository_careful())
    mixed, torn = repository.mixed_grid(place, experiments, "loss", window, Hours(MIDNIGHT, MIDNIGHT + 2 * DAY), origin=MIDNIGHT, width=width)
    assert torn == set()
    for experiment in experiments:
        for name in ("buckets", "places", "low", "high"):
            np.testing.assert_array_equal(getattr(mixed[experiment], name), getattr(exact[experiment], name), err_msg=name)
        np.testing.assert_allclose(mixed[experiment].centre, exact[experiment].centre, rtol=1e-12)
        assert mixed[experiment].nonfinite == exact[experiment].nonfinite == 1


def repository_careful() -> str:
    from metrics.store.statements import CAREFUL, CAREFUL_CENTRE

    return CAREFUL.replace("{centre}", CAREFUL_CENTRE[False])


def test_a_series_is_complete_where_hours_and_points_hold_all_of_it(repository, place):
    whole, late = uuid.uuid4(), uuid.uuid4()
    for experiment in (whole, late):
        logged(repository, spread(place, experiment))
        repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + DAY)
    old = Points(place, late, values=[9.0], steps=[1], ids=[77_777], times=[MIDNIGHT + 5])
    repository.insert_points(old.columns())
    store_state(repository, place, late, "loss", state_of(old), spool=2)
    assert repository.torn(place, [whole, late], "loss") == [late]
    found, torn = repository.mixed_grid(place, [whole, late], "loss", LONG, Hours(MIDNIGHT, MIDNIGHT + 2 * DAY), origin=MIDNIGHT, width=HOUR)
    assert (set(found), torn) == ({whole}, {late})


def test_a_series_none_of_whose_hours_are_known_is_torn_beside_one_whose_hours_are(repository, place):
    whole, late = uuid.uuid4(), uuid.uuid4()
    logged(repository, spread(place, whole))
    repository.rebuild_hours(place, [whole], first=0, until=MIDNIGHT + DAY)
    logged(repository, spread(place, late, hours=12))
    found, torn = repository.mixed_grid(place, [whole, late], "loss", LONG, Hours(MIDNIGHT, MIDNIGHT + 2 * DAY), origin=MIDNIGHT, width=HOUR)
    assert (set(found), torn) == ({whole}, {late})


def test_where_no_hour_is_known_the_points_are_read(repository, place):
    experiment = uuid.uuid4()
    logged(repository, spread(place, experiment))
    found, torn = repository.mixed_grid(place, [experiment], "loss", LONG, Hours(MIDNIGHT, MIDNIGHT + 2 * DAY), origin=MIDNIGHT, width=HOUR)
    exact = repository.sparse(place, [experiment], "loss", LONG, HOUR, repository_careful())
    np.testing.assert_array_equal(found[experiment].places, exact[experiment].places)
    assert torn == set()


def test_frozen_hours_stand_for_points_that_are_gone(repository, place):
    experiment = uuid.uuid4()
    points = spread(place, experiment)
    points.values[3] = math.nan
    logged(repository, points)
    before = repository.recomputed(place)[experiment]["loss"]
    state = repository.state(place, experiment, "loss")
    repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + 2 * DAY)
    for _ in range(2):
        repository.freeze_hours(place, [experiment], until=MIDNIGHT + DAY, part=7)
    for _ in range(2):
        repository.drop_points(place, [experiment], first=0, until=MIDNIGHT + DAY, logged=2**62)
        repository.rebuild_hours(place, [experiment], first=0, until=MIDNIGHT + DAY)
    assert len(repository.series(place, experiment, "loss").step) == 144
    assert repository.hour_counts(place, until=MIDNIGHT + DAY, part=7) == {experiment: 144}
    assert repository.hour_counts(place, until=MIDNIGHT + DAY, part=0) == {}
    after = repository.recomputed(place)[experiment]["loss"]
    again = repository.state(place, experiment, "loss")
    for one, other in ((before, after), (state, again)):
        for name in (field.name for field in fields(one)):
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-12), name
    assert repository.behind(place, until=MIDNIGHT + 2 * DAY) == []
    assert repository.mixed_extent(place, experiment, "loss", Window()).points == 288


def test_points_that_came_after_the_mark_are_not_dropped(repository, place):
    experiment = uuid.uuid4()
    early, late = spread(place, experiment, hours=2), spread(place, experiment, hours=2, ids_from=50)
    late.logged_at = early.logged_at + 10
    for points in (early, late):
        repository.insert_points(points.columns())
    assert repository.point_counts(place, [experiment], until=MIDNIGHT + DAY, logged=early.logged_at) == {experiment: 12}
    repository.drop_points(place, [experiment], first=0, until=MIDNIGHT + DAY, logged=early.logged_at)
    assert len(repository.series(place, experiment, "loss").step) == 12


def test_a_correction_may_subtract_and_stays_right_when_more_is_added(repository, place):
    experiment = uuid.uuid4()
    state = state_of(Points(place, experiment, values=[1.0, 2.0, 3.0]))
    store_state(repository, place, experiment, "loss", state, spool=1)
    store_state(repository, place, experiment, "loss", state, spool=2)
    correction = type(state)(*{**vars(state), "count": 2**64 - 3, "total": -6.0}.values())
    store_state(repository, place, experiment, "loss", correction, spool=0)
    kept = repository.summaries(place)[experiment]["loss"]
    assert (kept.count, kept.total, kept.average, kept.last) == (3, 6.0, 2.0, 3.0)
    assert repository.values(place, "loss", "avg") == {experiment: 2.0}
    assert repository.reach(place, [experiment], "loss", "step").points == 3
    assert repository.names(place) == {"loss": 1}
    more = state.joined(state_of(Points(place, experiment, values=[10.0], steps=[9], ids=[9])))
    store_state(repository, place, experiment, "loss", more, spool=2, version=2)
    kept = repository.summaries(place)[experiment]["loss"]
    assert (kept.count, kept.total, kept.high, kept.last) == (4, 16.0, 10.0, 10.0)
    assert repository.spooled(place, [experiment], ["loss"])[experiment, "loss"].spools == (1, 2)


def test_a_series_that_was_corrected_to_nothing_is_not_shown(repository, place):
    experiment = uuid.uuid4()
    state = state_of(Points(place, experiment, values=[1.0]))
    store_state(repository, place, experiment, "loss", state)
    store_state(repository, place, experiment, "loss", type(state)(*{**vars(state), "count": 2**64 - 1, "total": -1.0}.values()), spool=0)
    assert (repository.summaries(place), repository.names(place), repository.values(place, "loss", "last")) == ({}, {}, {})
