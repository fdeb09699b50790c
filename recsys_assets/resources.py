"""The resources that the assets share: the lake and the event log. Only this module reads the environment."""

import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from recsys_core.data.movielens.sources import expanded
from recsys_core.errors import SettingsError
from recsys_core.lake.store import Lake

if TYPE_CHECKING:  # imports polars, which most commands do not need
    from recsys_core.feedback.log import EventLog

PROJECT = Path(__file__).resolve().parent.parent

MOST_THREADS = 1024
"""Upper limit for polars: more than any machine has cores, and few enough to start."""


def lake_root() -> Path:
    """The folder of the lake: RECSYS_LAKE, or `data_lake` beside the code.

    Raises:
        SettingsError: the libraries that read and write the lake cannot use its path.
    """
    named = os.environ.get("RECSYS_LAKE")
    root = (expanded(named) if named else PROJECT / "data_lake").resolve()
    _refuse_odd(root, "the lake", "--lake or RECSYS_LAKE")
    if root.exists() and not root.is_dir():
        raise SettingsError(f"the lake {root} is a file: choose a folder by --lake or RECSYS_LAKE")
    return root


def settings_file() -> Path | None:
    """The settings file: RECSYS_SETTINGS; None if the defaults in the code apply."""
    named = os.environ.get("RECSYS_SETTINGS")
    return expanded(named) if named else None


def dagster_home() -> Path:
    """Where Dagster keeps runs and events: DAGSTER_HOME, or `dagster` inside the lake.

    Raises:
        SettingsError: Dagster would put its databases elsewhere, or fail to open them.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or lake_root() / "dagster").resolve()
    _refuse_odd(home, "Dagster's home", "DAGSTER_HOME")
    # Dagster does not escape the path in a database URL: options follow a ?, and %20 becomes a space.
    odd = sorted(set(str(home)) & set("?%"))
    if odd:
        raise SettingsError(
            f"Dagster's home {home} has {' and '.join(odd)} in its path, which Dagster cannot use: choose another "
            "lake, or set DAGSTER_HOME to another folder"
        )
    return home


def check_environment() -> None:
    """Refuse values of the environment that would crash a library.

    Raises:
        SettingsError: naming the variable.
    """
    threads = os.environ.get("POLARS_MAX_THREADS")
    if threads and not (re.fullmatch("[0-9]{1,9}", threads) and 0 < int(threads) <= MOST_THREADS):
        raise SettingsError(
            f"POLARS_MAX_THREADS is {threads[:20]!r}: expected a whole number from 1 to {MOST_THREADS}, or nothing"
        )


def _refuse_odd(path: Path, what: str, where: str) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise SettingsError(f"the path of {what}, {path}, is not UTF-8: choose another one by {where}") from None
    if any(unicodedata.category(one) == "Cc" for one in str(path)):
        raise SettingsError(
            f"the path of {what}, {str(path)!r}, has a control character, such as a line end: choose another by {where}"
        )


def event_log(root: Path) -> "EventLog":
    """The event log: in the database that RECSYS_LOG_URL names, else in SQLite files in the lake's folder `log`.

    Raises:
        LogError: the URL is not one of PostgreSQL, or its driver is not installed.
    """
    url = os.environ.get("RECSYS_LOG_URL")
    if url:
        from recsys_core.feedback.postgres_log import PostgresLog

        return PostgresLog(url)
    from recsys_core.feedback.sqlite_log import SqliteLog

    return SqliteLog(root / "log")


class LakeResource(dg.ConfigurableResource):  # type: ignore[type-arg]  # Dagster's generic adds nothing here
    """Where artifacts are kept."""

    root: str = Field(description="Folder of the lake; it holds raw/, artifacts/ and log/.")

    @property
    def store(self) -> Lake:
        """The lake itself."""
        return Lake(Path(self.root))

    @property
    def raw_folder(self) -> Path:
        """The folder of downloaded data sets, unchanged."""
        return Path(self.root) / "raw"

    @contextmanager
    def open_log(self) -> Iterator["EventLog"]:
        """The event log, closed at the end of the block."""
        with closing(event_log(Path(self.root))) as log:
            yield log
