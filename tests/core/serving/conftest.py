"""The tiny world as it serves."""

import pytest

from recsys_core.serving.bundle import Bundle
from recsys_core.serving.recommender import Recommender
from tests.core.worlds import TinyRun


@pytest.fixture(scope="session")
def bundle(tiny: TinyRun) -> Bundle:
    """Read, do not change."""
    return tiny.bundle()


@pytest.fixture
def recommender(bundle: Bundle) -> Recommender:
    """One that has seen no request and no event yet."""
    return Recommender(bundle=bundle)
