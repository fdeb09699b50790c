"""Requests that an operator excluded from parity, drift and training; the operator can take that back.

A single request that the release cannot have answered like this, such as one with slots from elsewhere, would fail the
parity report and stop every refresh. Its rows stay in the log, and its items still count as shown.
"""

import hashlib
import json
from collections.abc import Collection

import polars as pl

from recsys_core.errors import LogError
from recsys_core.feedback.log import SET_ASIDE, EventLog, Note
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE


def set_aside(log: EventLog, request_id: str, now: int, *, take_back: bool = False) -> None:
    """Let a request, and what it showed, count no more; or count again.

    Args:
        log: the event log.
        request_id: of a request, or of slots without one.
        now: microseconds UTC.
        take_back: it counts again.

    Raises:
        LogError: the log holds no such request, or cannot be read or written.
    """
    if not any(request_id in log.deliveries(table)["request_id"] for table in (REQUESTS_TABLE, IMPRESSIONS_TABLE)):
        raise LogError(f"{log.place} holds no request {request_id!r}: the parity report names those that differ")
    log.note([Note(kind=SET_ASIDE, key=request_id, value="no" if take_back else "yes", noted_at=now)])


def requests_set_aside(log: EventLog) -> set[str]:
    """The ids of the requests that count no more.

    Raises:
        LogError: the log cannot be read.
    """
    latest = {note.key: note.value for note in log.notes(SET_ASIDE)}  # oldest first, so the last stays
    return {key for key, value in latest.items() if value == "yes"}


def without(rows: pl.DataFrame, request_ids: Collection[str]) -> pl.DataFrame:
    """The rows, each with a request_id, that belong to none of some requests."""
    return rows.filter(~pl.col("request_id").is_in(sorted(request_ids))) if request_ids else rows


def version_without(version: str, request_ids: Collection[str]) -> str:
    """The version of rows some of whose requests were set aside; the same version where none were."""
    if not request_ids:
        return version
    return hashlib.sha256(json.dumps([version, sorted(request_ids)]).encode()).hexdigest()
