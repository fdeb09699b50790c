"""Named streams of chance."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.seeding import child, child_seed

NAMES = st.lists(st.text(alphabet="abcdefgh_", min_size=1, max_size=8), min_size=1, max_size=3)


def test_a_name_gives_the_same_stream_in_every_process_and_version() -> None:
    """Written down, because Python's own hash() would differ from run to run."""
    assert child_seed(17, "bootstrap") == 2_875_211_224_209_114_177
    assert child(17, "bootstrap").integers(0, 1000, 3).tolist() == [701, 902, 469]


@given(st.integers(0, 2**40), NAMES)
def test_a_seed_fits_every_library(seed: int, names: list[str]) -> None:
    assert 0 <= child_seed(seed, *names) < 2**63


@given(st.integers(0, 2**40), NAMES, NAMES)
def test_other_names_give_another_seed(seed: int, one: list[str], other: list[str]) -> None:
    assert (child_seed(seed, *one) == child_seed(seed, *other)) == (one == other)


@given(st.integers(0, 2**40), st.integers(0, 2**40), NAMES)
def test_another_run_gives_another_seed(one: int, other: int, names: list[str]) -> None:
    assert (child_seed(one, *names) == child_seed(other, *names)) == (one == other)


def test_a_new_draw_in_one_stage_changes_no_other() -> None:
    before = child(7, "retrieval", "cuts").random(5)
    child(7, "retrieval", "dropout").random(1000)
    assert np.array_equal(child(7, "retrieval", "cuts").random(5), before)


def test_streams_of_one_run_are_not_correlated() -> None:
    streams = [child(7, "ranking", name).normal(size=4000) for name in ("a", "b", "c", "d")]
    assert max(abs(np.corrcoef(one, other)[0, 1]) for one, other in itertools.combinations(streams, 2)) < 0.06
