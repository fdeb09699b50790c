"""A day's log becomes a table that does not depend on the order of its lines, and every line is accounted for."""

import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_core.errors import DataError
from recsys_core.feedback.config import InteractionsConfig
from recsys_core.feedback.events import MAX_LINE_BYTES
from recsys_core.feedback.interactions import day_version, logged_days, read_day
from recsys_core.feedback.schemas import INTERACTIONS

DAY = "2017-07-14"
START = 1_499_990_400  # of that day, UTC


def event(number: int, **changes: object) -> dict[str, object]:
    return {
        "event_id": f"e{number}",
        "user_id": 1 + number % 3,
        "item_id": 10 + number,
        "kind": "rating",
        "value": 4.0,
        "timestamp": START + number,
        "received_at": START + number + 5,
    } | changes


def write(folder: Path, *lines: dict[str, object] | bytes, end: bytes = b"\n") -> Path:
    data = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    (folder / f"{DAY}.jsonl").write_bytes(data + end if lines else b"")
    return folder


def test_a_day_without_a_log_is_an_empty_table(tmp_path: Path) -> None:
    read = read_day(tmp_path / "nothing", DAY)
    INTERACTIONS.validate(read.interactions)
    assert read.interactions.height == read.rejected.height == 0
    assert read.counts == {"lines": 0, "accepted": 0, "rejected": 0, "repeats": 0, "late": 0}
    assert read_day(write(tmp_path), DAY).counts == read.counts


def test_events_are_sorted_by_their_own_time_and_do_not_depend_on_the_order_of_lines(tmp_path: Path) -> None:
    events = [event(number, timestamp=START + number // 4) for number in range(40)]
    first = read_day(write(tmp_path, *events), DAY)
    random.Random(3).shuffle(events)
    second = read_day(write(tmp_path, *events), DAY)
    assert first.interactions.equals(second.interactions)
    assert first.interactions.equals(first.interactions.sort("timestamp", "user_id", "item_id", "event_id"))


def test_late_and_out_of_order_events_keep_their_own_time_and_are_counted(tmp_path: Path) -> None:
    read = read_day(write(tmp_path, event(9), event(2, timestamp=1_000_000_000), event(5)), DAY)
    assert read.interactions["timestamp"].to_list() == [1_000_000_000, START + 5, START + 9]
    assert read.counts["late"] == 1


def test_an_event_delivered_twice_counts_once_with_its_first_arrival(tmp_path: Path) -> None:
    for lines in ([event(1), event(1, received_at=START + 99)], [event(1, received_at=START + 99), event(1)]):
        read = read_day(write(tmp_path, *lines), DAY)
        assert read.interactions["received_at"].to_list() == [START + 6]
        assert read.counts == {"lines": 2, "accepted": 1, "rejected": 0, "repeats": 1, "late": 0}


def test_one_event_id_for_two_events_refuses_the_day(tmp_path: Path) -> None:
    path = write(tmp_path, event(1), event(2), event(1, value=2.0))
    with pytest.raises(
        DataError, match=r"2017-07-14\.jsonl, line 3: the event id 'e1' stands for two different events"
    ):
        read_day(path, DAY)


def test_bad_lines_are_set_aside_with_their_place_and_the_others_stay(tmp_path: Path) -> None:
    lines: list[dict[str, object] | bytes] = [
        event(1),
        {name: value for name, value in event(2).items() if name != "kind"},
        event(3, mood="glad"),
        b'{"user_id": 1, "user_id": 2}',
        event(4, user_id="4"),
        b"",
        event(5, value=float("nan")),
        b"[" * 20_000,
        b" " * (2 * MAX_LINE_BYTES + 100),
        event(6, timestamp=START + 6 + 306),
        event(7, received_at=START + 86_400),
        event(8, received_at=START - 1, timestamp=START - 1),
        event(9),
    ]
    read = read_day(write(tmp_path, *lines), DAY)
    assert read.interactions["event_id"].to_list() == ["e1", "e9"]
    assert [row[:4] for row in read.rejected.rows()] == [
        ("2017-07-14.jsonl", 2, "kind", "missing key"),
        ("2017-07-14.jsonl", 3, "", "unknown key"),
        ("2017-07-14.jsonl", 4, "user_id", "duplicate key"),
        ("2017-07-14.jsonl", 5, "user_id", "wrong type"),
        ("2017-07-14.jsonl", 6, "", "blank line"),
        ("2017-07-14.jsonl", 7, "", "not a finite number"),
        ("2017-07-14.jsonl", 8, "", "not JSON"),
        ("2017-07-14.jsonl", 9, "", "line too long"),
        ("2017-07-14.jsonl", 10, "timestamp", "from the future"),
        ("2017-07-14.jsonl", 11, "received_at", "arrived on another day"),
        ("2017-07-14.jsonl", 12, "received_at", "arrived on another day"),
    ]
    assert read.counts == {"lines": 13, "accepted": 2, "rejected": 11, "repeats": 0, "late": 0}


@pytest.mark.parametrize(
    "tail", [b'{"event_id": "e3", "us', b"x" * (3 * MAX_LINE_BYTES), json.dumps(event(3)).encode()]
)
def test_an_unfinished_last_line_is_left_for_the_next_read(tmp_path: Path, tail: bytes) -> None:
    write(tmp_path, event(1), b"x" * 200_000, event(2))
    whole = (tmp_path / f"{DAY}.jsonl").stat().st_size
    read = read_day(write(tmp_path, event(1), b"x" * 200_000, event(2), tail, end=b""), DAY)
    assert read.interactions["event_id"].to_list() == ["e1", "e2"]
    assert read.tail_offset == whole
    assert read.counts["lines"] == 3
    assert read_day(write(tmp_path, event(1)), DAY).tail_offset is None


def test_by_default_rubbish_does_not_block_a_day_but_a_bound_can_be_set(tmp_path: Path) -> None:
    path = write(tmp_path, b"rubbish", event(1))
    assert read_day(path, DAY).counts["rejected"] == 1
    with pytest.raises(DataError, match="1 of 2 lines"):
        read_day(path, DAY, InteractionsConfig(max_bad_share=0.1))


def test_the_tolerance_is_a_setting(tmp_path: Path) -> None:
    path = write(tmp_path, event(1, timestamp=START + 7))
    assert read_day(path, DAY).counts["accepted"] == 1
    assert read_day(path, DAY, InteractionsConfig(future_tolerance_s=0)).counts["rejected"] == 1


def test_days_are_listed_in_order_and_other_files_ignored(tmp_path: Path) -> None:
    for name in (
        "2017-07-15.jsonl",
        "2017-07-14.jsonl",
        "2017-02-30.jsonl",
        "2017-07-14.json",
        "x.jsonl",
        "20170714.jsonl",
    ):
        (tmp_path / name).touch()
    (tmp_path / "2017-07-16.jsonl").mkdir()
    assert logged_days(tmp_path) == ["2017-07-14", "2017-07-15"]
    assert logged_days(tmp_path / "nothing") == []


@pytest.mark.parametrize("day", ["../2017-07-14", "2017-7-14", "2017-02-30", "", "2017-07-14\n", "\u0662017-07-14"])
def test_what_is_no_day_is_refused(tmp_path: Path, day: str) -> None:
    with pytest.raises(DataError, match="is not a day: write it as YYYY-MM-DD"):
        read_day(tmp_path, day)
    with pytest.raises(DataError, match="is not a day"):
        day_version(tmp_path, day)


def test_the_version_of_a_day_is_that_of_its_bytes(tmp_path: Path) -> None:
    assert day_version(tmp_path, DAY) == hashlib.sha256().hexdigest()
    write(tmp_path, event(1))
    assert day_version(tmp_path, DAY) == hashlib.sha256((tmp_path / f"{DAY}.jsonl").read_bytes()).hexdigest()


def test_every_setting_gives_the_reason_for_its_default() -> None:
    assert all(len(field.description or "") > 40 for field in InteractionsConfig.model_fields.values())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3), st.integers(0, 3)), max_size=5),
    st.integers(0, 2),
)
def test_any_mutation_is_refused_or_accounted_for(
    tmp_path: Path, changes: list[tuple[float, bytes, int]], repeats: int
) -> None:
    write(tmp_path, *(event(number % 4) for number in range(4 + repeats)))
    data = (tmp_path / f"{DAY}.jsonl").read_bytes()
    for place, piece, deleted in changes:
        at = int(place * len(data))
        data = data[:at] + piece + data[at + deleted :]
    (tmp_path / f"{DAY}.jsonl").write_bytes(data)
    try:
        counts = read_day(tmp_path, DAY).counts
    except DataError:
        return
    assert counts["accepted"] + counts["rejected"] + counts["repeats"] == counts["lines"] == data.count(b"\n")
