"""What the assets share: the lake and the source of the data. The environment is read here and nowhere else."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from recsys_core.data.sources import expanded
from recsys_core.lake.store import Lake

if TYPE_CHECKING:  # brings polars, which most commands do without
    from recsys_core.feedback.log import EventLog

PROJECT = Path(__file__).resolve().parent.parent


def lake_root() -> Path:
    """The folder of the lake: RECSYS_LAKE, or `data_lake` beside the code."""
    named = os.environ.get("RECSYS_LAKE")
    return (expanded(named) if named else PROJECT / "data_lake").resolve()


def settings_file() -> Path | None:
    """The settings file: RECSYS_SETTINGS; None where the defaults in the code hold."""
    named = os.environ.get("RECSYS_SETTINGS")
    return expanded(named) if named else None


def dagster_home() -> Path:
    """Where Dagster keeps runs and events: DAGSTER_HOME, or `dagster` inside the lake."""
    return Path(os.environ.get("DAGSTER_HOME", lake_root() / "dagster"))


def event_log(root: Path) -> "EventLog":
    """The event log: in the database that RECSYS_LOG_URL names, else in SQLite files in the lake's folder `log`.

    Raises:
        LogError: the URL is none of PostgreSQL, or its driver is not installed.
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
        """Where data sets from outside lie, as they came."""
        return Path(self.root) / "raw"

    @contextmanager
    def open_log(self) -> Iterator["EventLog"]:
        """The event log, let go of at the end of the block."""
        with closing(event_log(Path(self.root))) as log:
            yield log
