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
"""SHA-256 of what we shipped before a copy for comparison was kept in the home."""

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
    """Create Dagster's home where it is not there yet, bring its settings up to date, and name it in the environment.

    Settings that somebody edited, or that never came from us, stay as they are: a warning says once that we ship
    others, and these lie beside them.
    """
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    settings, shipped, ours = home / "dagster.yaml", home / "dagster.yaml.shipped", TEMPLATE.read_bytes()
    if not settings.exists() or _is_as_shipped(settings, shipped):
        _replace(settings, ours)
    elif settings.read_bytes() != ours and (not shipped.exists() or shipped.read_bytes() != ours):
        logger.warning(
            "%s was edited and stays as it is; what we ship now is in %s: compare the two", settings, shipped
        )
    _replace(shipped, ours)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """The instance that the UI reads as well.

    Raises:
        SettingsError: its settings were edited so that Dagster cannot read them.
        HistoryError: its databases are damaged, full, or may not be written; also later, within the block.
    """
    home = prepare_home()
    with _databases_explained(home):
        try:
            opening = dg.DagsterInstance.get()
        except (yaml.YAMLError, dg.DagsterInvalidConfigError, CheckError, UnicodeDecodeError, RecursionError) as fault:
            raise SettingsError(
                f"{home / 'dagster.yaml'} cannot be read: {' '.join(str(fault).split())[:300]}: mend it, or remove it, "
                "and the next command writes it as we ship it"
            ) from fault
        with opening as opened:
            yield opened


@contextmanager
def _databases_explained(home: Path) -> Iterator[None]:
    """Turn a fault of Dagster's databases into a sentence: they hold history alone, and the lake does without."""
    try:
        yield
    except (DBAPIError, sqlite3.DatabaseError, CommandError) as fault:
        cause = getattr(fault, "orig", None) or fault
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the low byte is the kind, the rest its variety
        advice = _ADVICE.get(
            code,
            f"stop the UI if it runs, and delete {home}: the history of runs goes with it, and the lake loses nothing",
        )
        raise HistoryError(f"Dagster's databases in {home} cannot be used ({cause}): {advice}") from fault


def ready_for_runs() -> Path:
    """Prepare the instance for the UI's processes; returns its home.

    Runs of dead processes are marked as failed, and the pools get their limits: Dagster would do that at the first run
    that needs one, which is too late for a second run that starts with it.
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
    """Whether the settings are, byte for byte, what we put there."""
    now = settings.read_bytes()
    if shipped.exists():
        return now == shipped.read_bytes()
    return hashlib.sha256(now).hexdigest() in EARLIER


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: another process may be reading it."""
    if path.exists() and path.read_bytes() == content:
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
