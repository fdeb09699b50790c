"""Each accuracy metric: by hand, by its properties, and against trec_eval and the project's independent scorer."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import ir_measures
import numpy as np
import polars as pl
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ir_measures import AP, RR, R, Success, nDCG

from recsys_core.arrays import Int64s
from recsys_core.metrics import ranking
from recsys_core.metrics.ranked_lists import (
    Hits,
    ItemSets,
    PerUser,
    hits_of,
    lists_for,
    sets_of,
    tie_break_order,
    top_k,
)

BINARY = (
    ranking.recall_at_k,
    ranking.hit_rate_at_k,
    ranking.reciprocal_rank_at_k,
    ranking.average_precision_at_k,
    ranking.ndcg_at_k,
)
Metric = Callable[[Hits, Int64s], PerUser]

CUTS = (1, 5, 10, 40, 100)
"""The last lies beyond every list."""

EVALKIT = Path(__file__).parents[3].parent / "shared" / "evalkit" / "evalkit.py"


# ---- worked examples ------------------------------------------------------------------------------------------------


def test_a_list_worked_out_by_hand() -> None:
    hits, n_relevant = np.array([[False, True, False, True]]), np.array([3])
    expected = {
        "recall_at_k": 2 / 3,
        "hit_rate_at_k": 1.0,
        "reciprocal_rank_at_k": 1 / 2,
        "average_precision_at_k": (1 / 2 + 2 / 4) / 3,
        "ndcg_at_k": (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3) + 1 / np.log2(4)),
    }
    for metric in BINARY:
        assert metric(hits, n_relevant) == pytest.approx(expected[metric.__name__]), metric.__name__


@pytest.mark.parametrize("metric", BINARY)
def test_a_user_without_relevant_items_is_undefined(metric: Metric) -> None:
    assert np.isnan(metric(np.zeros((1, 5), bool), np.array([0]))).all()


@pytest.mark.parametrize("metric", BINARY)
def test_a_user_with_an_empty_list_scores_zero_and_stays_in_the_denominator(metric: Metric) -> None:
    ranked = lists_for(np.array([1, 2]), np.array([1]), np.array([[7]]))
    values = metric(hits_of(ranked, sets_of([[7], [7]])), np.array([1, 1]))
    assert values.tolist() == [1.0, 0.0]
    assert np.nanmean(values) == 0.5


def test_the_best_list_is_1_under_our_average_precision_and_not_under_trec_evals() -> None:
    hits, n_relevant = np.ones((1, 5), bool), np.array([20])
    assert ranking.average_precision_at_k(hits, n_relevant) == [1.0]
    assert ranking.average_precision_at_k(hits, n_relevant, denominator="all") == [0.25]


# ---- properties -----------------------------------------------------------------------------------------------------


@st.composite
def scored_lists(draw: st.DrawFn) -> tuple[Hits, Int64s]:
    hits = draw(arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 12))))
    beyond = draw(arrays(np.int64, len(hits), elements=st.integers(0, 20)))
    return hits, hits.sum(axis=1) + beyond


@given(scored_lists())
def test_every_metric_lies_between_0_and_1(world: tuple[Hits, Int64s]) -> None:
    for metric in BINARY:
        values = metric(*world)
        assert np.array_equal(np.isnan(values), world[1] == 0)
        assert np.all(np.isnan(values) | ((values >= 0) & (values <= 1)))


@given(scored_lists(), st.data())
def test_moving_a_hit_up_never_lowers_a_metric(world: tuple[Hits, Int64s], data: st.DataObject) -> None:
    hits, n_relevant = world
    rank = data.draw(st.integers(0, hits.shape[1] - 1))
    above = data.draw(st.integers(0, rank))
    movable = hits[:, rank] & ~hits[:, above]
    raised = hits.copy()
    raised[movable, above], raised[movable, rank] = True, False
    for metric in BINARY:
        assert np.all(np.nan_to_num(metric(raised, n_relevant) - metric(hits, n_relevant)) >= -1e-12), metric.__name__


@given(scored_lists(), st.randoms(use_true_random=False))
def test_the_order_of_the_users_does_not_matter(world: tuple[Hits, Int64s], random: Random) -> None:
    hits, n_relevant = world
    order = list(range(len(hits)))
    random.shuffle(order)
    for metric in BINARY:
        np.testing.assert_array_equal(metric(hits[order], n_relevant[order]), metric(hits, n_relevant)[order])


def test_a_perfect_list_has_an_ndcg_of_exactly_1_at_any_length() -> None:
    for k in range(1, 200):
        assert ranking.ndcg_at_k(np.ones((3, k), bool), np.array([k, k + 1, 999])).tolist() == [1.0] * 3


# ---- second opinions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cases:
    """1,000 random users: tied scores, lists of any length, users without list or relevant item."""

    ranked: np.ndarray  # (n_users, 100) padded with -1
    relevant: ItemSets

    def qrels(self) -> dict[str, dict[str, int]]:
        judged: dict[str, dict[str, int]] = {}
        for row, item in zip(self.relevant.rows, self.relevant.items, strict=True):
            judged.setdefault(f"u{row}", {})[f"i{item}"] = 1
        return judged

    def run(self) -> dict[str, dict[str, float]]:
        """Strictly falling scores by rank: trec_eval must not apply its own rule for ties."""
        lists = ((f"u{row}", items[items >= 0]) for row, items in enumerate(self.ranked))
        return {
            user: {f"i{item}": -float(rank) for rank, item in enumerate(items)} for user, items in lists if len(items)
        }


@cache
def random_cases() -> Cases:
    rng = np.random.default_rng(20161018)
    n_users, n_items = 1000, 60
    scores = rng.integers(0, 8, (n_users, n_items)).astype(np.float32)  # eight levels: nearly every rank is tied
    scores[np.arange(n_items) >= rng.integers(0, 60, n_users)[:, None]] = -np.inf
    scores[rng.random(n_users) < 0.1] = -np.inf
    relevant = [rng.permutation(n_items)[: max(0, rng.integers(-5, 50))].tolist() for _ in range(n_users)]
    ranked = top_k(scores, 100, tie_break_order(np.arange(n_items)))
    return Cases(ranked=ranked, relevant=sets_of(relevant))


def our_values(cases: Cases, k: int) -> dict[str, np.ndarray]:
    """(n_users,) each, under trec_eval's names."""
    hits, n_relevant = hits_of(cases.ranked[:, :k], cases.relevant), cases.relevant.counts
    return {
        f"recall_{k}": ranking.recall_at_k(hits, n_relevant),
        f"success_{k}": ranking.hit_rate_at_k(hits, n_relevant),
        f"map_cut_{k}": ranking.average_precision_at_k(hits, n_relevant, denominator="all"),
        f"ndcg_cut_{k}": ranking.ndcg_at_k(hits, n_relevant),
        "recip_rank": ranking.reciprocal_rank_at_k(hits_of(cases.ranked, cases.relevant), n_relevant),
    }


def test_the_random_cases_hold_every_edge() -> None:
    cases = random_cases()
    lengths = (cases.ranked >= 0).sum(axis=1)
    assert {0, 1, 59} <= set(lengths)
    assert {0, 1, 49} <= set(cases.relevant.counts)
    assert np.any((lengths == 0) & (cases.relevant.counts > 0))


@pytest.mark.parametrize("k", CUTS)
def test_1000_random_users_agree_with_pytrec_eval(k: int) -> None:
    cases = random_cases()
    measures = {f"{name}.{k}" for name in ("recall", "success", "map_cut", "ndcg_cut")} | {"recip_rank"}
    theirs = pytrec_eval.RelevanceEvaluator(cases.qrels(), measures).evaluate(cases.run())
    for name, ours in our_values(cases, k).items():
        # trec_eval leaves out users without a list; for us they score 0
        expected = [
            theirs.get(f"u{u}", {}).get(name, 0.0) if n else np.nan for u, n in enumerate(cases.relevant.counts)
        ]
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("k", CUTS)
def test_the_means_agree_with_ir_measures_which_also_counts_missing_users_as_0(k: int) -> None:
    cases = random_cases()
    asked = {f"recall_{k}": R @ k, f"success_{k}": Success @ k, f"map_cut_{k}": AP @ k}
    asked |= {f"ndcg_cut_{k}": nDCG @ k, "recip_rank": RR}
    theirs = ir_measures.calc_aggregate(asked.values(), cases.qrels(), cases.run())
    for name, ours in our_values(cases, k).items():
        assert np.nanmean(ours) == pytest.approx(theirs[asked[name]], abs=1e-9), name


def test_the_cut_reciprocal_rank_agrees_with_the_ms_marco_script() -> None:
    cases = random_cases()
    theirs = ir_measures.msmarco.calc_aggregate([RR @ 10], cases.qrels(), cases.run())[RR @ 10]
    hits = hits_of(cases.ranked[:, :10], cases.relevant)
    assert np.nanmean(ranking.reciprocal_rank_at_k(hits, cases.relevant.counts)) == pytest.approx(theirs, abs=1e-9)


def test_at_ties_trec_eval_prefers_the_later_document_name_and_we_do_not() -> None:
    run, found = {"u": {"i1": 1.0, "i2": 1.0, "i3": 1.0}}, {}
    for item in (1, 2, 3):
        evaluator = pytrec_eval.RelevanceEvaluator({"u": {f"i{item}": 1}}, {"recip_rank"})
        found[item] = evaluator.evaluate(run)["u"]["recip_rank"]
    assert found == {3: pytest.approx(1.0), 2: pytest.approx(1 / 2), 1: pytest.approx(1 / 3)}
    firsts = {
        int(top_k(np.ones((1, 3), np.float32), 1, tie_break_order(np.arange(3), seed))[0, 0]) for seed in range(20)
    }
    assert firsts == {0, 1, 2}  # each name comes first under some seed of the hash: none is preferred by rule


@pytest.mark.skipif(not EVALKIT.is_file(), reason="the independent scorer is not part of the repository")
def test_ours_agree_with_the_projects_independent_scorer() -> None:
    spec = importlib.util.spec_from_file_location("evalkit", EVALKIT)
    evalkit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(evalkit)
    cases = random_cases()
    rows, ranks = np.nonzero(cases.ranked >= 0)
    lists = pl.DataFrame({"user_id": rows, "item_id": cases.ranked[rows, ranks], "rank": ranks + 1})
    users, theirs = evalkit.per_user(
        lists, pl.DataFrame({"user_id": cases.relevant.rows, "item_id": cases.relevant.items})
    )
    n_relevant = cases.relevant.counts
    named = {"recall": ranking.recall_at_k, "ndcg": ranking.ndcg_at_k, "map": ranking.average_precision_at_k}
    named["hit"] = ranking.hit_rate_at_k
    for name in ("recall@10", "recall@100", "ndcg@10", "ndcg@100", "map@10", "hit@10"):
        metric, k = name.split("@")
        ours = named[metric](hits_of(cases.ranked[:, : int(k)], cases.relevant), n_relevant)
        np.testing.assert_allclose(ours[users], theirs[name], rtol=0, atol=1e-12, err_msg=name)
