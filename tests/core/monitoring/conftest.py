"""The tiny world as a release, and what that was asked of the past."""

from dataclasses import replace

import pytest

from recsys_core.data.splits import TEST
from recsys_core.monitoring.served import Served, historical_requests
from recsys_core.serving.bundle import Bundle
from tests.core.worlds import TinyRun

N_PLAYED = 300
"""Ratings that are played back."""


@pytest.fixture(scope="session")
def release(tiny: TinyRun) -> Bundle:
    """Read, do not change."""
    return tiny.bundle(ranker="r1", base_ratings="b1")


@pytest.fixture(scope="session")
def behind(tiny: TinyRun, release: Bundle) -> Bundle:
    """A release whose models were fitted before the test window: its last ratings came later. Read, do not change."""
    fitted = tiny.splits.slices_of(TEST)[0]
    return replace(release, generator=tiny.generator(fitted), versions={"ranker": "r1", "two_tower": fitted})


@pytest.fixture(scope="session")
def past(release: Bundle) -> Served:
    """Ten slots before each of the latest ratings. Read, do not change."""
    return historical_requests(release, 10, N_PLAYED)
