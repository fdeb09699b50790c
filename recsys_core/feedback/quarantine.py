"""Lines that were set aside -> rows of the log, once they can be read: after a fix of the reader or of a setting."""

from dataclasses import dataclass

from recsys_core.data.quarantine import BadRow
from recsys_core.feedback.importing import BATCH, Limits, append_records, record_of
from recsys_core.feedback.log import Appended, BadLine, EventLog


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of the lines: stored or repeated (`appended`), or still at fault."""

    appended: Appended
    n_replayed: int
    n_left: int


def replay(log: EventLog, limits: Limits) -> Replayed:
    """Read every quarantined line again; those that are understood now go into the log and leave the quarantine.

    A kill in the middle loses nothing: a line leaves after its row is stored, and a row that is stored twice counts
    once.

    Raises:
        LogError: the log cannot be read or written.
    """
    lines = log.quarantined()
    appended, n_replayed = Appended(), 0
    for first in range(0, len(lines), BATCH):
        records = {}
        for line in lines[first : first + BATCH]:
            try:
                records[line.line_id] = record_of(line.raw, limits)
            except BadRow:
                continue
        if records:
            appended += append_records(log, list(records.values()))
            log.mark_replayed(records, limits.now)
            n_replayed += len(records)
    return Replayed(appended=appended, n_replayed=n_replayed, n_left=len(lines) - n_replayed)


def reasons(lines: list[BadLine]) -> dict[str, int]:
    """How many lines were set aside for which reason, the most frequent first."""
    counted: dict[str, int] = {}
    for line in lines:
        reason = f"{line.column}: {line.reason}" if line.column else line.reason
        counted[reason] = counted.get(reason, 0) + 1
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))
