"""What is sent for what is logged."""

import threading
import time
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import research_platform as rp

from .conftest import QUICK, until


def test_rows_travel_as_columns(far, start):
    run = start(pace=rp.Pace(flush_s=0.3))
    before = time.time()
    run.log({"loss": 0.5, "acc": 0.1})
    run.log({"loss": 0.25})
    run.log({"acc": 0.75}, step=10)
    run.finish()
    [batch] = far.batches
    assert batch.path == "/api/v1/metrics/log-batch/5f0c8a3e-0000-4000-8000-000000000001/0d3b9f6e-0000-4000-8000-000000000002"
    body = batch.json
    assert set(body) == {"steps", "timestamps", "metrics", "writer", "ordinal", "host"}
    assert body["steps"] == [0, 1, 10]
    assert body["metrics"] == {"loss": [0.5, 0.25, None], "acc": [0.1, None, 0.75]}
    assert before <= body["timestamps"][0] <= body["timestamps"][1] <= body["timestamps"][2] <= time.time()
    assert (body["writer"], body["ordinal"]) == (7, 0)
    assert body["host"]


def test_the_step_goes_on_after_an_explicit_one(far, start):
    run = start(pace=rp.Pace(flush_s=0.3))
    for step in [None, 100, None, np.int64(5), 7.0, None]:
        run.log({"loss": 1}, step=step)
    run.finish()
    assert far.batches[0].json["steps"] == [0, 100, 101, 5, 7, 8]


def test_the_ordinal_counts_the_points_of_earlier_batches(far, start):
    run = start()
    run.log({"a": 1, "b": 2})
    until(lambda: len(far.batches) == 1)
    run.log({"a": 3})
    until(lambda: len(far.batches) == 2)
    run.log({"a": 4})
    run.finish()
    assert [batch.json["ordinal"] for batch in far.batches] == [0, 2, 3]


def test_large_batches_are_compressed_and_small_ones_are_not(far, start):
    run = start()
    run.log({"loss": 1})
    until(lambda: len(far.batches) == 1)
    for _ in range(1000):
        run.log({"loss": 1.5})
    run.finish()
    assert "content-encoding" not in far.batches[0].headers
    assert far.batches[-1].headers["content-encoding"] == "gzip"
    assert sum(len(batch.json["steps"]) for batch in far.batches) == 1001


def test_nan_and_infinities_are_spelled_out(far, start):
    run = start(pace=rp.Pace(flush_s=0.3))
    for value in [float("nan"), float("inf"), -np.inf, np.float32("nan")]:
        run.log({"loss": value})
    run.finish()
    assert far.batches[0].json["metrics"]["loss"] == ["NaN", "Infinity", "-Infinity", "NaN"]


def test_whatever_is_a_number_may_be_logged(far, start):
    class Tensor:
        def __float__(self):
            return 2.5

    run = start()
    run.log({"a": np.float32(0.1), "b": np.array(3), "c": True, "d": Decimal("1.5"), "e": Tensor(), "f": 10**20})
    run.finish()
    found = {name: column[0] for name, column in far.batches[0].json["metrics"].items()}
    assert found == {"a": float(np.float32(0.1)), "b": 3.0, "c": 1.0, "d": 1.5, "e": 2.5, "f": 1e20}


@pytest.mark.parametrize("value", [np.array([3.5]), np.array([[3.5]]), np.array(3.5), np.float32(3.5), np.float16(3.5), Fraction(7, 2)])
def test_an_array_of_one_element_is_a_number(far, start, caplog, value):
    run = start()
    run.log({"loss": value})
    run.finish()
    assert far.batches[0].json["metrics"] == {"loss": [3.5]}
    assert not caplog.records


class Tensor:
    """What PyTorch's looks like from outside."""

    def __init__(self, *values, shape):
        self.values, self.shape = values, shape

    def item(self):
        (only,) = self.values
        return only

    def __float__(self):
        return float(self.item())


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_tensor_of_one_element_is_a_number_and_a_step(far, start, caplog, shape):
    run = start()
    run.log({"loss": Tensor(2.5, shape=shape)}, step=Tensor(7, shape=shape))
    run.log({"loss": Tensor(1.0, 2.0, shape=(2,)), "good": 1})
    run.finish()
    assert (far.batches[0].json["steps"], far.batches[0].json["metrics"]) == ([7, 8], {"loss": [2.5, None], "good": [None, 1.0]})
    assert len(caplog.records) == 1


def test_a_step_is_whole_whatever_its_type(far, start, caplog):
    run = start(pace=rp.Pace(flush_s=60))
    for step in [np.float32(2), np.float64(3), np.array(4), np.array([5]), np.array([6.0]), Decimal("7"), Fraction(8), np.int8(9), True]:
        run.log({"loss": 1}, step=step)
    run.finish()
    assert far.batches[0].json["steps"] == [2, 3, 4, 5, 6, 7, 8, 9, 1]
    assert not caplog.records


def test_a_dict_inside_is_logged_under_its_name_and_a_slash(far, start, caplog):
    run = start()
    run.log({"train": {"loss": 1, "acc": {"top1": 0.5, "top5": np.array([0.9])}}, "lr": 0.1})
    run.finish()
    assert far.batches[0].json["metrics"] == {"train/loss": [1.0], "train/acc/top1": [0.5], "train/acc/top5": [0.9], "lr": [0.1]}
    assert not caplog.records


def test_what_is_no_number_or_name_inside_a_dict_is_left_out_with_one_warning_each(far, start, caplog):
    run = start()
    run.log({"train": {"loss": 1, "note": "high", 3: 1.0, "none": {}}})
    run.finish()
    assert far.batches[0].json["metrics"] == {"train/loss": [1.0]}
    assert len(caplog.records) == 3
    assert "train/note" in caplog.text


def test_a_name_that_stands_twice_in_a_row_is_told_and_the_later_value_kept(far, start, caplog):
    run = start()
    run.log({"train/loss": 1, "train": {"loss": 2}})
    run.finish()
    assert far.batches[0].json["metrics"] == {"train/loss": [2.0]}
    assert len(caplog.records) == 1


def test_a_dict_that_holds_itself_harms_nobody(far, start, caplog):
    row = {"loss": 1}
    row["self"] = row
    run = start()
    run.log(row)
    run.finish()
    assert far.batches[0].json["metrics"]["loss"] == [1.0]
    assert caplog.records


class Lost:
    def __float__(self):
        raise MemoryError("the device is gone")


@pytest.mark.parametrize("value", [None, "high", [1, 2], {}, 1j, 10**400, Lost(), np.zeros(3)])
def test_a_value_that_is_no_number_is_left_out_with_one_warning(far, start, caplog, value):
    run = start()
    run.log({"bad": value, "good": 1})
    run.log({"bad": value})
    run.finish()
    assert len(caplog.records) == 1
    assert "'bad'" in caplog.text
    assert [batch.json["metrics"] for batch in far.batches] == [{"good": [1.0]}]


@pytest.mark.parametrize("name", ["", "  ", "n" * 251, "é" * 126, "a\x00b", "lone \ud800", 3, None])
def test_a_name_that_the_server_would_refuse_spoils_no_batch(far, start, caplog, name):
    run = start()
    run.log({name: 1, "good": 2})
    run.finish()
    assert far.batches[0].json["metrics"] == {"good": [2.0]}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("step", ["one", "2", np.float32(1.5), np.array([1, 2]), np.array(["2"]), 1.5, 2**63, float("nan"), [1]])
def test_a_step_that_is_none_leaves_its_row_out_with_one_warning(far, start, caplog, step):
    run = start()
    run.log({"loss": 1}, step=step)
    run.log({"loss": 2}, step=step)
    run.log({"loss": 3}, step=-5)
    run.finish()
    assert far.batches[0].json["steps"] == [-5]
    assert len(caplog.records) == 1


def test_what_is_no_mapping_is_left_out_with_one_warning(far, start, caplog):
    run = start()
    run.log(0.5)
    run.log([1])
    run.log({})
    run.finish()
    assert far.batches == []
    assert len(caplog.records) == 1


def test_a_request_holds_no_more_points_than_the_server_takes(far, start):
    run = start(pace=rp.Pace(flush_s=60, flush_points=10**9, batch_points=10))
    for step in range(12):
        run.log({"a": step, "b": step, "c": step})
    run.finish()
    assert [len(batch.json["steps"]) for batch in far.batches] == [3, 3, 3, 3]
    assert [batch.json["ordinal"] for batch in far.batches] == [0, 9, 18, 27]


def test_rows_of_many_different_names_do_not_swell_a_request(far, start):
    run = start(pace=rp.Pace(flush_s=60, flush_points=10**9, batch_cells=100))
    for step in range(40):
        run.log({f"metric {step}": step})
    run.finish()
    assert all(len(body["steps"]) * len(body["metrics"]) <= 100 for body in (batch.json for batch in far.batches))
    assert sum(len(batch.json["steps"]) for batch in far.batches) == 40


def test_points_leave_after_the_interval_without_being_asked(far, start):
    run = start()
    run.log({"loss": 1})
    until(lambda: far.batches, within_s=2)


def test_many_points_leave_before_the_interval_ends(far, start):
    run = start(pace=rp.Pace(flush_s=60))
    for _ in range(5000):
        run.log({"loss": 1})
    until(lambda: far.batches, within_s=5)


def test_a_steady_trickle_is_not_sent_row_by_row(far, start):
    run = start(pace=rp.Pace(flush_s=0.2))
    far.delay_s = 0.02  # points are logged while a batch travels
    end = time.monotonic() + 1
    while time.monotonic() < end:
        run.log({"loss": 1})
        time.sleep(0.005)
    run.finish()
    assert len(far.batches) <= 7


def test_many_threads_may_log_to_one_run(far, start):
    run = start()
    threads = [threading.Thread(target=lambda: [run.log({"loss": 1}) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    steps = [step for batch in far.batches for step in batch.json["steps"]]
    assert sorted(steps) == list(range(8000))


def test_logging_after_the_end_is_left_out_with_one_warning(far, start, caplog):
    run = start()
    run.finish()
    run.log({"loss": 1})
    run.log({"loss": 2})
    assert len(caplog.records) == 1
    assert far.batches == []


def test_a_pace_can_be_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("RP_FLUSH_TIMEOUT", "2.5")
    assert rp.Pace().flush_timeout_s == 2.5
    monkeypatch.setenv("RP_FLUSH_TIMEOUT", "soon")
    assert rp.Pace().flush_timeout_s == 30.0
    assert QUICK.flush_timeout_s == 10.0


@pytest.mark.parametrize("name", ["lo\u200bss", "loss\ufeff", "lo\u00adss", "\u202eloss"])
def test_a_name_with_an_invisible_character_spoils_no_batch_and_is_told_with_its_position(far, start, caplog, name):
    run = start()
    run.log({name: 1, "good": 2})
    run.finish()
    assert far.batches[0].json["metrics"] == {"good": [2.0]}
    assert "leave out" in caplog.text
    assert f"at position {next(i for i, character in enumerate(name) if character not in 'los')}" in caplog.text


def test_names_are_sent_as_the_server_keeps_them(far, start, caplog):
    run = start()
    run.log({" loss": 1, "Gro\u0308ße\u00a0": 2})
    run.finish()
    assert far.batches[0].json["metrics"] == {"loss": [1.0], "Größe": [2.0]}
    assert not caplog.records


def test_a_name_twice_in_one_row_is_told_and_the_later_value_is_kept(far, start, caplog):
    run = start()
    run.log({"loss": 1, " loss": 2})
    run.finish()
    assert far.batches[0].json["metrics"] == {"loss": [2.0]}
    assert "'loss' stands twice in one row" in caplog.text


@pytest.mark.parametrize("value", ["0.5", b"1.5", bytearray(b"2"), "1_000", "nan", np.str_("3"), np.array("4"), np.bytes_(b"5")])
def test_text_is_no_number_though_it_reads_like_one(far, start, caplog, value):
    run = start()
    run.log({"text": value, "good": 1})
    run.finish()
    assert far.batches[0].json["metrics"] == {"good": [1.0]}
    assert "is text and not a number" in caplog.text


class Unreadable:
    """Nothing about it can be had."""

    def broken(self, *_):
        raise RuntimeError("the GPU is lost")

    __float__ = __index__ = __repr__ = __str__ = broken


class UnreadableMapping(dict):
    """A mapping whose values cannot be had."""

    def items(self):
        raise RuntimeError("the GPU is lost")


@pytest.mark.parametrize(
    "row", [{"a": Unreadable()}, {Unreadable(): 1}, UnreadableMapping(a=1), {"a": UnreadableMapping(b=1)}], ids=["value", "key", "mapping", "inner mapping"]
)
def test_logging_never_raises_whatever_is_logged(far, start, caplog, row):
    run = start()
    run.log(row)
    run.log({"loss": 1}, step=Unreadable())
    run.log({"loss": 2})
    run.finish()
    assert [batch.json["metrics"] for batch in far.batches] == [{"loss": [2.0]}]
    assert len([record for record in caplog.records if "left out" in record.message]) == 2
