"""The tiny world run through once for all tests of the core."""

import pytest

from tests.core.worlds import TinyRun, run_tiny_world


@pytest.fixture(scope="session")
def tiny() -> TinyRun:
    """Read, do not change: every test sees the same one."""
    return run_tiny_world()
