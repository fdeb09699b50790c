"""Sizes that cannot work are known before anything is fitted."""

from dataclasses import replace
from pathlib import Path

import pytest

from recsys_core import memory
from recsys_core.memory import GIB, Size, demands, memory_of_this_machine, too_large

SHIPPED = Size(n_users=671, n_items=9_066, n_questions=700, n_slices=37, n_candidates=200, n_features=40)
TEN_MILLION = Size(n_users=69_878, n_items=10_677, n_questions=60_000, n_slices=37, n_candidates=200, n_features=40)
TWENTY_FIVE_MILLION = Size(
    n_users=162_541, n_items=59_047, n_questions=130_000, n_slices=37, n_candidates=200, n_features=40
)


def test_the_shipped_data_fit_into_a_small_machine() -> None:
    assert too_large(SHIPPED, 4 * GIB) == []


def test_ten_million_ratings_fit_into_twenty_four_gib() -> None:
    assert too_large(TEN_MILLION, 24 * GIB) == []


def test_what_cannot_work_is_named_with_its_memory_and_a_remedy() -> None:
    (first, *_) = too_large(TWENTY_FIVE_MILLION, 24 * GIB)
    assert first.startswith("baselines would take 104 GiB of memory, and this machine has 24: ")
    assert "raw_data: dataset" in first


def test_the_hungriest_comes_first() -> None:
    said = too_large(replace(TWENTY_FIVE_MILLION, n_questions=4_000_000), 1 * GIB)
    assert [sentence.split()[0] for sentence in said] == ["ranking_examples", "baselines", "two_tower"]


def test_the_remedy_lowers_what_it_is_for() -> None:
    by_asset = {demand.asset: demand for demand in demands(TWENTY_FIVE_MILLION)}
    fewer = {demand.asset: demand for demand in demands(replace(TWENTY_FIVE_MILLION, n_candidates=100, n_slices=10))}
    for asset in ("two_tower", "ranking_examples"):
        assert fewer[asset].n_bytes < by_asset[asset].n_bytes
    assert "n_candidates` (now 200)" in by_asset["ranking_examples"].remedy


@pytest.mark.parametrize(("text", "is_limit"), [("1073741824", True), ("max", False), ("", False)])
def test_a_containers_limit_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    is_limit: bool,  # noqa: FBT001
) -> None:
    path = tmp_path / "memory.max"
    path.write_text(text)
    monkeypatch.setattr(memory, "CGROUP_LIMITS", (path, tmp_path / "absent"))
    assert (memory_of_this_machine() == GIB) == is_limit
