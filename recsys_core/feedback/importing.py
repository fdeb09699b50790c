"""A file of JSON lines -> rows of the event log; a line that cannot be parsed is quarantined whole.

`parsing` reads one line. Because every row has a key, an import can be repeated without harm, also after a failure in
the middle.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from recsys_core.data.fields import BadRow
from recsys_core.data.movielens.lines import GZIP_MAGIC, UTF8_MARK, UTF16_MARKS
from recsys_core.errors import DataError, LogError
from recsys_core.feedback.log import LINES_PER_BATCH, Appended, BadLine, EventLog, append_records, line_id_of
from recsys_core.feedback.parsing import MAX_LINE_BYTES, Limits, record_of, unknown_items
from recsys_core.feedback.quarantine import Resolver
from recsys_core.feedback.records import Record

MAX_VALUE_CHARS = 80

NO_LINES = {
    "packed with gzip": GZIP_MAGIC,
    "a zip archive": b"PK\x03\x04",
    "packed with zstd": b"\x28\xb5\x2f\xfd",
    "Parquet": b"PAR1",
}
"""First bytes of files that are not lines of text."""

NO_LINES_REMEDY = "unpack or convert it first; `recsys log append -` reads what a command writes"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """The outcome of the lines: stored or repeated (`appended`), or set aside.

    `tail_offset` is the byte at which an unfinished last line starts, None where there is none: its writer is still
    writing, or died. That line is neither stored nor set aside; import the file again when it is complete.
    """

    appended: Appended
    n_lines: int  # without blank ones
    n_set_aside: int  # rejected lines, also those that an earlier import set aside
    tail_offset: int | None
    n_resolved: int = 0  # lines that this import resolved, and that left the quarantine
    unknown_items: dict[int, int] = field(default_factory=dict)  # item_id of no known movie -> lines that name it


@dataclass(kw_only=True)
class _Batch:
    records: list[Record] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    number: int  # from 1
    data: bytes  # without the line end; one byte longer than the cap if the line is longer still
    offset: int
    whole: bool


@dataclass(kw_only=True)
class _Reading:
    """The state of an import."""

    log: EventLog
    limits: Limits
    resolver: Resolver
    batch: _Batch = field(default_factory=_Batch)
    appended: Appended = field(default_factory=Appended)
    unknown: Counter[int] = field(default_factory=Counter)
    n_lines: int = 0
    n_bad: int = 0

    def take(self, line: _Line, source: str) -> None:
        """Read one line; every `LINES_PER_BATCH` lines are stored together."""
        self.n_lines += 1
        try:
            record = record_of(line.data, self.limits)
        except BadRow as bad:
            self.n_bad += 1
            self.batch.bad.append(_bad_line(line, source, bad, self.limits.now))
            self.resolver.still_bad(self.batch.bad[-1].line_id)
        else:
            self.batch.records.append(record)
            self.resolver.stored(record, line.number)
            self.unknown.update(unknown_items([record], self.limits))
        if self.n_lines % LINES_PER_BATCH == 0:
            self.store()

    def store(self) -> None:
        """Store the batch, and begin another."""
        if self.batch.bad:
            self.log.quarantine(self.batch.bad)
        if self.batch.records:
            self.appended += append_records(self.log, self.batch.records)
        self.batch = _Batch()

    def done(self, tail_offset: int | None) -> Imported:
        """Store the last batch, and release the lines that the file resolves."""
        self.store()
        resolved = self.resolver.resolved(self.n_lines, self.appended.n_repeated) if tail_offset is None else set()
        if resolved:
            self.log.release(resolved, self.limits.now)
        return Imported(
            appended=self.appended,
            n_lines=self.n_lines,
            n_set_aside=self.n_bad,
            tail_offset=tail_offset,
            n_resolved=len(resolved),
            unknown_items=dict(sorted(self.unknown.items())),
        )


def import_lines(stream: BinaryIO, source: str, log: EventLog, limits: Limits) -> Imported:
    """Append the records of all lines, and set the other lines aside.

    Args:
        stream: JSON lines in UTF-8.
        source: name of the file, for the quarantine.
        log: the event log.
        limits: see Limits.

    Raises:
        DataError: the bytes are not lines of text, but compressed or UTF-16; nothing was stored.
        LogError: the log cannot be written; rows that were acknowledged before stay stored.
    """
    reading = _Reading(log=log, limits=limits, resolver=Resolver(waiting=_waiting(log), source=source))
    tail_offset = None
    for read in _lines(stream):
        line = _checked_start(read, source) if read.number == 1 else read
        if not line.data.strip() and len(line.data) <= MAX_LINE_BYTES:
            continue
        if not line.whole and not _is_closed(line.data):
            tail_offset = line.offset
            break
        reading.take(line, source)
    return reading.done(tail_offset)


def _waiting(log: EventLog) -> list[BadLine]:
    """The lines in quarantine; none if they cannot be read, because damage elsewhere must not stop an import."""
    try:
        return log.quarantined()
    except LogError:
        return []


def _bad_line(line: _Line, source: str, bad: BadRow, now: int) -> BadLine:
    raw = line.data[:MAX_LINE_BYTES]
    return BadLine(
        line_id=line_id_of(raw),
        source=source,
        line=line.number,
        column=bad.column,
        reason=bad.reason,
        value=bad.value[:MAX_VALUE_CHARS].replace("\0", "\\0"),  # PostgreSQL has no NUL in texts
        raw=raw,
        set_aside_at=now,
    )


def _lines(stream: BinaryIO) -> Iterator[_Line]:
    """The lines of a stream, each cut to the cap in memory."""
    number, offset = 1, 0
    while data := stream.readline(MAX_LINE_BYTES + 2):
        whole = data.endswith(b"\n")
        length = len(data)
        while not whole and (more := stream.readline(MAX_LINE_BYTES)):
            whole = more.endswith(b"\n")
            length += len(more)
        yield _Line(number=number, data=data.removesuffix(b"\n"), offset=offset, whole=whole)
        number, offset = number + 1, offset + length


def _checked_start(line: _Line, source: str) -> _Line:
    """The first line without its byte-order mark."""
    kind = next((kind for kind, mark in NO_LINES.items() if line.data.startswith(mark)), None)
    if line.data.startswith(UTF16_MARKS) and b"\0" in line.data:
        kind = "UTF-16"
    if kind:
        raise DataError(f"{source} is {kind}, not lines of JSON in UTF-8: {NO_LINES_REMEDY}")
    return replace(line, data=line.data.removeprefix(UTF8_MARK))


def _is_closed(data: bytes) -> bool:
    """Whether a last line without a line end is complete: an incomplete object is never valid JSON."""
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
