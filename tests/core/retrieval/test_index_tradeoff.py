"""Recall and time of other indexes over the same vectors."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from recsys_core.retrieval import index as module
from recsys_core.retrieval.index import MOST_QUERIES, TRADEOFF_COLUMNS, index_tradeoff


def vectors(n: int, seed: int = 0, d: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


class Clock:
    """Every look at it takes a millisecond more than the one before."""

    def __init__(self) -> None:
        self.steps: Iterator[int] = itertools.count(1)
        self.now, self.n_looks = 0.0, 0

    def __call__(self) -> float:
        self.now += next(self.steps) / 1000
        self.n_looks += 1
        return self.now


def test_the_exact_index_finds_everything_and_effort_pays() -> None:
    table = index_tradeoff(vectors(2_000), vectors(40, seed=1), Clock())
    assert dict(table.schema) == TRADEOFF_COLUMNS
    assert table.filter(kind="exact")["recall"].to_list() == [1.0]
    for kind in ("inverted file", "graph"):
        own = table.filter(kind=kind)
        assert own["effort"].is_sorted()
        assert own["recall"][-1] > own["recall"][0]
        assert own["recall"][-1] > 0.8
    assert table["recall"].is_between(0, 1).all()


def test_the_times_are_those_of_single_queries_by_the_given_clock() -> None:
    clock = Clock()
    table = index_tradeoff(vectors(500), vectors(3, seed=1), clock)
    assert clock.n_looks == 2 * 3 * table.height, "before and after each query, and at no other time"
    # Of the first index: looks 1 to 6, so queries of 2, 4 and 6 ms.
    assert table.row(0, named=True)["p50_ms"] == pytest.approx(4)
    assert table.row(0, named=True)["p95_ms"] == pytest.approx(5.8)


def test_no_more_cells_are_visited_than_there_are() -> None:
    """150 vectors make three cells."""
    table = index_tradeoff(vectors(150), vectors(2, seed=1), Clock())
    assert table.filter(kind="inverted file")["effort"].to_list() == [1, 2]


def test_large_catalogues_and_many_queries_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ITEMS", 300)
    clock = Clock()
    table = index_tradeoff(vectors(5_000), vectors(MOST_QUERIES + 50, seed=1), clock)
    assert clock.n_looks == 2 * MOST_QUERIES * table.height
    assert table.filter(kind="inverted file")["effort"].max() < 8, "300 vectors make seven cells"


def test_the_same_seed_finds_the_same() -> None:
    one, two = (index_tradeoff(vectors(1_000), vectors(20, seed=1), Clock(), seed=5) for _ in range(2))
    assert one.equals(two)
