"""What the assets share: the lake and the source of the data. The environment is read here and nowhere else."""

import os
from pathlib import Path

import dagster as dg
from pydantic import Field

from recsys_core.lake.store import Lake

PROJECT = Path(__file__).resolve().parent.parent


def lake_root() -> Path:
    """The folder of the lake: RECSYS_LAKE, or `data_lake` beside the code."""
    return Path(os.environ.get("RECSYS_LAKE", PROJECT / "data_lake")).resolve()


def settings_file() -> Path | None:
    """The settings file: RECSYS_SETTINGS; None where the defaults in the code hold."""
    named = os.environ.get("RECSYS_SETTINGS")
    return Path(named) if named else None


def dagster_home() -> Path:
    """Where Dagster keeps runs and events: DAGSTER_HOME, or `dagster` inside the lake."""
    return Path(os.environ.get("DAGSTER_HOME", lake_root() / "dagster"))


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

    @property
    def log_folder(self) -> Path:
        """Where newly logged interactions lie, one file per day of arrival."""
        return Path(self.root) / "log"
