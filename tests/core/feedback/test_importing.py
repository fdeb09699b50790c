"""Every line of an import goes into the log, into the quarantine, or is left because it is not finished."""

import gzip
import io
import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.days import start_of
from recsys_core.errors import DataError, LogError
from recsys_core.feedback.importing import Imported, import_lines
from recsys_core.feedback.interactions import read_day
from recsys_core.feedback.log import LINES_PER_BATCH, AppendCounts
from recsys_core.feedback.parsing import MAX_LINE_BYTES, Limits
from recsys_core.feedback.records import EVENTS_TABLE, FIRST_DAY, IMPRESSIONS_TABLE, REQUESTS_TABLE
from recsys_core.feedback.sqlite_log import SqliteLog
from tests.core.feedback.rows import DAY, START, event
from tests.core.feedback.test_parsing import IMPRESSION, REQUEST

NOW = Limits(now=START + 86_400)


def line(number: int = 1, **changes: object) -> dict[str, object]:
    return asdict(event(number)) | changes


def data(*lines: dict[str, object] | bytes, end: bytes = b"\n") -> bytes:
    return b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines) + end


def imported(log: SqliteLog, content: bytes, source: str = "a.jsonl", limits: Limits = NOW) -> Imported:
    return import_lines(io.BytesIO(content), source, log, limits)


def test_lines_of_every_type_find_their_table(sqlite: SqliteLog) -> None:
    lines = [line(1), line(2, type="event"), REQUEST | {"type": "request"}, IMPRESSION | {"type": "impression"}]
    found = imported(sqlite, data(*lines))
    assert found.appended.events == AppendCounts(new=2)
    assert found.appended.requests == found.appended.impressions == AppendCounts(new=1)
    assert (found.n_lines, found.n_set_aside, found.tail_offset) == (4, 0, None)
    heights = [sqlite.deliveries(table).height for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE, EVENTS_TABLE)]
    assert heights == [1, 1, 2]


def test_a_second_import_of_a_file_adds_nothing(sqlite: SqliteLog) -> None:
    content = data(line(1), b"rubbish", line(2))
    imported(sqlite, content)
    again = imported(sqlite, content)
    assert again.appended.events == AppendCounts(repeated=2)
    assert again.n_set_aside == 1
    assert len(sqlite.quarantined()) == 1
    assert sqlite.deliveries(EVENTS_TABLE).height == 2


def test_bad_lines_are_set_aside_with_their_place_and_the_others_stay(sqlite: SqliteLog) -> None:
    lines: list[dict[str, object] | bytes] = [
        line(1),
        {name: value for name, value in line(2).items() if name != "kind"},
        line(3, mood="glad"),
        b'{"user_id": 1, "user_id": 2}',
        line(4, user_id="4"),
        b"",
        line(5, value=float("nan")),
        b"[" * 20_000,
        b" " * (2 * MAX_LINE_BYTES + 100),
        line(6, timestamp=START + 6 + 306),
        line(7, received_at=START + 86_400 + 301),
        IMPRESSION | {"type": "impression", "served_at": (START + 86_400 + 301) * 1_000_000},
        line(7, timestamp=START - 365 * 86_400, received_at=start_of(FIRST_DAY) - 1),
        line(8, type="view"),
        line(8, type=["event"]),
        line(9),
    ]
    found = imported(sqlite, data(*lines))
    assert (found.appended.events, found.n_lines) == (AppendCounts(new=2), len(lines) - 1)
    assert [(one.line, one.column, one.reason) for one in sqlite.quarantined()] == [
        (2, "kind", "missing key"),
        (3, "", "unknown key"),
        (4, "user_id", "duplicate key"),
        (5, "user_id", "wrong type"),
        (7, "", "not a finite number"),
        (8, "", "not JSON"),
        (9, "", "line too long"),
        (10, "timestamp", "from the future"),
        (11, "received_at", "from the future"),
        (12, "served_at", "from the future"),
        (13, "received_at", f"before {FIRST_DAY}, when the log begins"),
        (14, "type", "unknown type"),
        (15, "type", "unknown type"),
    ]
    assert {(one.source, one.set_aside_at) for one in sqlite.quarantined()} == {("a.jsonl", NOW.now)}
    kept = {one.line: one.raw for one in sqlite.quarantined()}
    assert json.loads(kept[3]) == lines[2]
    assert len(kept[9]) == MAX_LINE_BYTES


@pytest.mark.parametrize("tail", [b'{"event_id": "e3", "us', b"x" * 300_000, b'{"event_id": "e3"} x'])
def test_an_unfinished_last_line_is_left_for_the_next_import(sqlite: SqliteLog, tail: bytes) -> None:
    whole = data(line(1), b"x" * 200_000, line(2))
    found = imported(sqlite, whole + tail)
    assert found.tail_offset == len(whole)
    assert found.n_lines == 3
    assert sqlite.deliveries(EVENTS_TABLE).height == 2
    assert len(sqlite.quarantined()) == 1


def test_a_last_line_that_lacks_nothing_but_its_end_counts(sqlite: SqliteLog) -> None:
    found = imported(sqlite, data(line(1), line(2), end=b""))
    assert found.appended.events == AppendCounts(new=2)
    assert found.tail_offset is None


def test_a_long_import_is_stored_batch_by_batch(sqlite: SqliteLog) -> None:
    found = imported(sqlite, data(*(line(number) for number in range(2 * LINES_PER_BATCH + 3))))
    assert found.appended.events == AppendCounts(new=2 * LINES_PER_BATCH + 3)
    assert imported(sqlite, b"") == Imported(
        appended=type(found.appended)(), n_lines=0, n_set_aside=0, tail_offset=None
    )


def test_an_import_that_breaks_off_can_be_repeated(sqlite: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    content = data(*(line(number) for number in range(2 * LINES_PER_BATCH)))
    with monkeypatch.context() as patch:
        real, calls = SqliteLog.append, []

        def failing(self: SqliteLog, **batch: object) -> object:
            calls.append(1)
            if len(calls) == 2:
                raise LogError("full")
            return real(self, **batch)  # type: ignore[arg-type]

        patch.setattr(SqliteLog, "append", failing)
        with pytest.raises(LogError):
            imported(sqlite, content)
    assert imported(sqlite, content).appended.events == AppendCounts(new=LINES_PER_BATCH, repeated=LINES_PER_BATCH)


@pytest.mark.slow
@settings(max_examples=60)  # each makes a log, and waits for the disk
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3), st.integers(0, 3)), max_size=5),
    st.integers(0, 2),
)
def test_any_mutation_is_stored_or_set_aside(changes: list[tuple[float, bytes, int]], repeats: int) -> None:
    content = data(*(line(number % 4) for number in range(4 + repeats)))
    for place, piece, deleted in changes:
        at = int(place * len(content))
        content = content[:at] + piece + content[at + deleted :]
    with TemporaryDirectory() as folder, SqliteLog(Path(folder)) as log:
        found = imported(log, content)
        stored = found.appended.events
        assert stored.new + stored.repeated + stored.conflicting + found.n_set_aside == found.n_lines
        *whole, last = content.split(b"\n")
        n_counted = sum(bool(one.strip()) for one in [*whole, b"" if found.tail_offset is not None else last])
        assert found.n_lines == n_counted
        read_day(log, DAY)
        assert log.damage() == []


def test_a_byte_order_mark_costs_no_event(sqlite: SqliteLog) -> None:
    found = imported(sqlite, b"\xef\xbb\xbf" + data(line(1), line(2)))
    assert found.appended.events == AppendCounts(new=2)
    assert found.n_set_aside == 0


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (gzip.compress(data(line(1))), "packed with gzip"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x28\xb5\x2f\xfdrest", "packed with zstd"),
        (b"PAR1rest", "Parquet"),
        (data(line(1)).decode().encode("utf-16"), "UTF-16"),
    ],
)
def test_what_holds_no_lines_is_named_and_nothing_is_stored(sqlite: SqliteLog, content: bytes, kind: str) -> None:
    with pytest.raises(DataError, match=f"a.jsonl is {kind}, not lines of JSON in UTF-8: unpack or convert it first"):
        imported(sqlite, content)
    assert not sqlite.quarantined()
    assert sqlite.deliveries(EVENTS_TABLE).is_empty()


@pytest.mark.parametrize("end", [b"\n", b""])
def test_an_array_is_told_that_one_object_per_line_is_expected(sqlite: SqliteLog, end: bytes) -> None:
    """Also without a line end, where it was taken for an object that is not finished."""
    found = imported(sqlite, json.dumps([line(1), line(2)]).encode() + end)
    assert (found.n_set_aside, found.tail_offset) == (1, None)
    printed = json.dumps([line(1), line(2)], indent=1).encode() + end
    imported(sqlite, printed)
    reasons = [one.reason for one in sqlite.quarantined()]
    assert reasons[:2] == ["an array, where one object per line is expected"] * 2


@pytest.mark.parametrize("last", [b"7", b'{"user_id": 1, "user_id": 2}'])
def test_a_last_line_that_no_further_byte_could_mend_is_set_aside(sqlite: SqliteLog, last: bytes) -> None:
    assert imported(sqlite, data(line(1), last, end=b"")).n_set_aside == 1
    assert imported(sqlite, data(line(1), b'{"user_id": 1', end=b"")).tail_offset is not None


@pytest.mark.parametrize("blank", [b"", b"  ", b"\r", b"\t \r"])
def test_a_blank_line_is_no_fault(sqlite: SqliteLog, blank: bytes) -> None:
    found = imported(sqlite, data(blank, line(1), blank, line(2), blank, blank, end=b""))
    assert (found.n_lines, found.n_set_aside, found.tail_offset) == (2, 0, None)
    assert sqlite.quarantined() == []


def test_events_of_movies_that_do_not_exist_are_stored_and_told(sqlite: SqliteLog) -> None:
    shown = IMPRESSION | {"type": "impression", "item_id": 99_999_999}
    lines = [line(1, item_id=7), line(2, item_id=99_999_999), line(3, item_id=8, kind="click", value=None), shown]
    assert imported(sqlite, data(*lines)).unknown_items == {}, "nobody has looked"
    looked_up = Limits(now=NOW.now, known_items={7})
    found = imported(sqlite, data(*lines), limits=looked_up)
    assert found.unknown_items == {8: 1, 99_999_999: 2}
    assert found.appended.events == AppendCounts(repeated=3)


def test_a_line_that_was_mended_and_appended_again_leaves_the_quarantine(sqlite: SqliteLog) -> None:
    imported(sqlite, data(line(1), line(2, kind="veiw"), b'{"event_id": "e3", "user', line(4, user_id="4")))
    assert len(sqlite.quarantined()) == 3
    found = imported(sqlite, data(line(1), line(2), line(3), line(4, user_id="4")))
    assert (found.n_resolved, found.n_set_aside) == (2, 1)
    assert [one.line for one in sqlite.quarantined()] == [4]
