"""The local Dagster instance: runs and events, durable, inside the lake."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from recsys_assets.resources import dagster_home

TEMPLATE = Path(__file__).parent / "presets" / "dagster.yaml"


def prepare_home() -> Path:
    """Create Dagster's home with our settings, where it is not there yet, and name it in the environment."""
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    settings = home / "dagster.yaml"
    if not settings.exists():
        settings.write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """The instance that the UI reads as well."""
    prepare_home()
    with dg.DagsterInstance.get() as opened:
        yield opened
