"""The local Dagster instance: runs and events, durable, inside the lake."""

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import yaml
from alembic.util import CommandError
from dagster_shared.check import CheckError
from sqlalchemy.exc import DBAPIError

from recsys_assets import pools
from recsys_assets.refresh import dead_runs
from recsys_assets.resources import dagster_home
from recsys_core.errors import RecsysError, SettingsError

TEMPLATE = Path(__file__).parent / "presets" / "dagster.yaml"

EARLIER = {
    "b9b9f7f8183ed349d1c71c8c3549520d3ab3c4ff221f8c66b294417a7201317f",
    "903403107cc4d642ef57127dbba46144cbbb5f53457f8d691c22f365df495af8",
}
"""SHA-256 of the settings that we shipped before the home kept a copy of the shipped settings."""

_DISK = "the disk is full or fails: free some space (`recsys gc` removes old versions), then try again"
_ADVICE = {
    sqlite3.SQLITE_FULL: _DISK,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_READONLY: "check the permissions, or set DAGSTER_HOME to another folder",
    sqlite3.SQLITE_CANTOPEN: "check the permissions, or set DAGSTER_HOME to another folder",
    sqlite3.SQLITE_BUSY: "another process holds them locked: end it, then try again",
    sqlite3.SQLITE_LOCKED: "another process holds them locked: end it, then try again",
}

logger = logging.getLogger(__name__)


class HistoryError(RecsysError):
    """Dagster's record of runs and events cannot be read or written."""


def prepare_home() -> Path:
    """Create Dagster's home if it does not exist, update its settings, and set DAGSTER_HOME; returns the home.

    Settings that the user edited, or that we never shipped, stay unchanged. A warning says once that we ship different
    settings, and a copy of ours is put beside them.
    """
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    settings, shipped, ours = home / "dagster.yaml", home / "dagster.yaml.shipped", TEMPLATE.read_bytes()
    if not settings.exists() or _is_as_shipped(settings, shipped):
        _replace(settings, ours)
    elif settings.read_bytes() != ours and (not shipped.exists() or shipped.read_bytes() != ours):
        logger.warning(
            "%s was edited and stays as it is; the one that we ship now is %s: compare the two",
            settings,
            shipped,
        )
    _replace(shipped, ours)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """The instance that the UI reads as well.

    Raises:
        SettingsError: Dagster cannot read its edited settings.
        HistoryError: its databases are damaged, full, or may not be written; also later, within the block.
    """
    home = prepare_home()
    with _databases_explained(home):
        try:
            opening = dg.DagsterInstance.get()
        except (yaml.YAMLError, dg.DagsterInvalidConfigError, CheckError, UnicodeDecodeError, RecursionError) as fault:
            raise SettingsError(
                f"{home / 'dagster.yaml'} cannot be read: {' '.join(str(fault).split())[:300]}: fix or remove it, "
                "and the next command writes it as we ship it"
            ) from fault
        with opening as opened:
            yield opened


@contextmanager
def _databases_explained(home: Path) -> Iterator[None]:
    """Turn an error of Dagster's databases into a sentence: they hold only history, which the lake does not need."""
    try:
        yield
    except (DBAPIError, sqlite3.DatabaseError, CommandError) as fault:
        cause = getattr(fault, "orig", None) or fault
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind of error, the rest its subtype
        advice = _ADVICE.get(
            code,
            f"stop the UI if it runs, and delete {home}: the history of runs goes with it, and the lake loses nothing",
        )
        raise HistoryError(f"Dagster's databases in {home} cannot be used ({cause}): {advice}") from fault


def ready_for_runs() -> Path:
    """Prepare the instance for the UI's processes; returns its home.

    Runs of dead processes are marked as failed, and the pools get their limits. Dagster sets the limit of a pool when
    the first run needs it, which is too late for a second run that starts at the same time.
    """
    with instance() as opened:
        dead_runs.mark_failed(opened)
        storage = opened.event_log_storage
        known = {
            limit.name for limit in storage.get_pool_limits()
        }  # perhaps set by the user, on the UI's page of pools
        for pool in set(pools.ALL) - known if opened.global_op_concurrency_default_limit else ():
            storage.initialize_concurrency_limit_to_default(pool)
        return Path(opened.root_directory)


def _is_as_shipped(settings: Path, shipped: Path) -> bool:
    """Whether the settings are, byte for byte, those that we wrote."""
    now = settings.read_bytes()
    if shipped.exists():
        return now == shipped.read_bytes()
    return hashlib.sha256(now).hexdigest() in EARLIER


def _replace(path: Path, content: bytes) -> None:
    """Replace a file atomically: another process may be reading it."""
    if path.exists() and path.read_bytes() == content:
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
