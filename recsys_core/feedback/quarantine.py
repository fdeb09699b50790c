"""Lines that were set aside: read again after a fix of the reader or of a setting, or dismissed."""

from collections import Counter
from dataclasses import dataclass, field

from recsys_core.data.quarantine import BadRow
from recsys_core.errors import DataError
from recsys_core.feedback.importing import BATCH, Limits, append_records, record_of, unknown_items
from recsys_core.feedback.log import Appended, BadLine, EventLog


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of the lines: stored or repeated (`appended`), or still at fault."""

    appended: Appended
    n_replayed: int
    n_left: int
    unknown_items: dict[int, int] = field(default_factory=dict)  # as of `Imported`


def replay(log: EventLog, limits: Limits) -> Replayed:
    """Read every quarantined line again; those that are understood now go into the log and leave the quarantine.

    A kill in the middle loses nothing: a line leaves after its row is stored, and a row that is stored twice counts
    once.

    Raises:
        LogError: the log cannot be read or written.
    """
    lines = log.quarantined()
    appended, n_replayed, unknown = Appended(), 0, Counter[int]()
    for first in range(0, len(lines), BATCH):
        records = {}
        for line in lines[first : first + BATCH]:
            try:
                records[line.line_id] = record_of(line.raw, limits)
            except BadRow:
                continue
        if records:
            appended += append_records(log, list(records.values()))
            log.let_go(records, limits.now)
            n_replayed += len(records)
            unknown += unknown_items(records.values(), limits)
    return Replayed(
        appended=appended,
        n_replayed=n_replayed,
        n_left=len(lines) - n_replayed,
        unknown_items=dict(sorted(unknown.items())),
    )


def clear(log: EventLog, now: int, source: str | None = None) -> int:
    """Dismiss the lines of one file, or all; returns how many. The log keeps them, but nobody is told of them again.

    A line that is appended once more after that, and is still at fault, is back in quarantine.

    Args:
        log: the event log.
        now: seconds UTC.
        source: a file's name as the quarantine shows it; None: every file.

    Raises:
        DataError: no line of that file is in quarantine.
        LogError: the log cannot be read or written.
    """
    lines = log.quarantined()
    chosen = [one for one in lines if source is None or one.source == source]
    if source is not None and not chosen:
        files = ", ".join(sorted({one.source for one in lines})) or "no file"
        raise DataError(f"no line of {source} is in quarantine; there are lines of {files}")
    if chosen:
        log.let_go({one.line_id for one in chosen}, now)
    return len(chosen)


def reasons(lines: list[BadLine]) -> dict[str, int]:
    """How many lines were set aside for which reason, the most frequent first."""
    counted: dict[str, int] = {}
    for line in lines:
        reason = f"{line.column}: {line.reason}" if line.column else line.reason
        counted[reason] = counted.get(reason, 0) + 1
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))
