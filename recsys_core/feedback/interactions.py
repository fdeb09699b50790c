"""A day's log of what users did -> the day's interactions table.

The log of a day is `<log_dir>/<YYYY-MM-DD>.jsonl`. The day is that of *arrival*, UTC, so that a day which is over never
changes; an event that arrives late keeps its own, earlier time. How one line is understood is in `events`.
"""

import datetime
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_core.data.quarantine import BadRow, Quarantine
from recsys_core.errors import DataError
from recsys_core.feedback.config import InteractionsConfig
from recsys_core.feedback.events import MAX_LINE_BYTES, Event, parse_event
from recsys_core.feedback.schemas import INTERACTIONS, INTERACTIONS_COLUMNS

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DEFAULT = InteractionsConfig()
SORTED_BY = ("timestamp", "user_id", "item_id", "event_id")


@dataclass(frozen=True, kw_only=True)
class DayRead:
    """One day's interactions, the lines set aside, and how many of each kind.

    `counts` holds lines, accepted, rejected, repeats (of an event that was delivered again) and late (which happened
    before the day); accepted + rejected + repeats == lines. `tail_offset` is the byte at which an unfinished last line
    starts, None if the file ends with a whole one: a writer is still at it or died there, and a later read, or one that
    resumes from that offset, finds the rest.
    """

    interactions: pl.DataFrame  # INTERACTIONS
    rejected: pl.DataFrame  # QUARANTINE
    counts: dict[str, int]
    tail_offset: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    number: int  # from 1
    data: bytes  # without the line end; one byte longer than the cap if the line is longer still
    offset: int
    whole: bool


def read_day(log_dir: Path, day: str, config: InteractionsConfig = DEFAULT) -> DayRead:
    """The interactions that arrived on one day; an empty table for a day without a log.

    The order of the lines does not matter. Of an event that was delivered twice the first arrival is kept.

    Args:
        log_dir: the folder of the logs.
        day: YYYY-MM-DD.
        config: how strictly to read.

    Raises:
        DataError: `day` is not a date, the log cannot be read, too many lines are bad, or one event id stands for two
            different events: then the writer is broken, and none of its day can be trusted.
    """
    start = _start_of(day)
    quarantine = Quarantine(f"{day}.jsonl", config.max_bad_share)
    events: dict[str, Event] = {}
    n_lines = n_valid = 0
    tail_offset = None
    for line in _lines(log_dir / f"{day}.jsonl"):
        if not line.whole:
            tail_offset = line.offset
            break
        n_lines += 1
        event = _event_of(line, start, config, quarantine)
        if event:
            n_valid += 1
            events[event.event_id] = _first_arrival(event, events.get(event.event_id), line.number, quarantine.file)
    quarantine.check(n_lines)
    counts = {"lines": n_lines, "accepted": len(events), "rejected": len(quarantine), "repeats": n_valid - len(events)}
    counts["late"] = sum(event.timestamp < start for event in events.values())
    return DayRead(interactions=_table(events), rejected=quarantine.table(), counts=counts, tail_offset=tail_offset)


def logged_days(log_dir: Path) -> list[str]:
    """The days that have a log, ascending; none if the folder is missing. Other files are ignored."""
    if not log_dir.is_dir():
        return []
    return sorted(path.stem for path in log_dir.glob("*.jsonl") if path.is_file() and _is_day(path.stem))


def day_version(log_dir: Path, day: str) -> str:
    """SHA-256 of a day's log, that of no bytes for a day without one.

    Raises:
        DataError: `day` is not a date, or the log cannot be read.
    """
    _start_of(day)
    digest = hashlib.sha256()
    path = log_dir / f"{day}.jsonl"
    try:
        if path.is_file():
            with path.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def _is_day(text: str) -> bool:
    if not DAY.fullmatch(text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _start_of(day: str) -> int:
    """The first second of a day; also keeps a name such as `../x` out of a path."""
    if not _is_day(day):
        raise DataError(f"{day!r} is not a day: write it as YYYY-MM-DD")
    return int(datetime.datetime.fromisoformat(day).replace(tzinfo=datetime.UTC).timestamp())


def _lines(path: Path) -> Iterator[_Line]:
    """The lines of a log, none longer in memory than the cap."""
    if not path.is_file():
        return
    try:
        with path.open("rb") as stream:
            number, offset = 1, 0
            while data := stream.readline(MAX_LINE_BYTES + 2):
                whole = data.endswith(b"\n")
                length = len(data)
                while not whole and (more := stream.readline(MAX_LINE_BYTES)):
                    whole = more.endswith(b"\n")
                    length += len(more)
                yield _Line(number=number, data=data.removesuffix(b"\n"), offset=offset, whole=whole)
                number, offset = number + 1, offset + length
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} cannot be read ({error.strerror}): check the disk and the file's permissions")


def _event_of(line: _Line, day_start: int, config: InteractionsConfig, quarantine: Quarantine) -> Event | None:
    try:
        event = parse_event(line.data, config.future_tolerance_s)
        if not 0 <= event.received_at - day_start < 86_400:
            raise BadRow("received_at", "arrived on another day", str(event.received_at))
    except BadRow as bad:
        quarantine.add(line.number, bad)
        return None
    return event


def _first_arrival(event: Event, known: Event | None, line: int, file: str) -> Event:
    """The earlier delivery of two of the same event."""
    if known is None:
        return event
    if known.payload() != event.payload():
        raise DataError(
            f"{file}, line {line}: the event id {event.event_id!r} stands for two different events, so the day is "
            f"refused; mend the writer of the log, and remove one of the two lines"
        )
    return min(known, event, key=lambda delivery: delivery.received_at)


def _table(events: dict[str, Event]) -> pl.DataFrame:
    rows = [tuple(getattr(event, name) for name in INTERACTIONS_COLUMNS) for event in events.values()]
    table = pl.DataFrame(rows, schema=INTERACTIONS_COLUMNS, orient="row")
    return INTERACTIONS.validate(table.sort(SORTED_BY))
