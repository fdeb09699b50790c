"""Does ranking improve on retrieval? The measure itself is on trial here."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.validation import validate_ranker
from tests.core.worlds import TinyRun

WINDOW = "window_3"
CUTOFFS = pl.DataFrame(
    {"slice": [f"{WINDOW}_1"], "window": [WINDOW], "fit_end": [10], "until": [20], "is_exam": [True]}
)


class ByFeature(Ranker):
    """Scores a row by one of its numbers, times `sign`."""

    sign = 1

    def score(self, features: np.ndarray) -> np.ndarray:
        return self.sign * features[:, 0]


class Reversed(ByFeature):
    """Scores a row by the same number, lowest first."""

    sign = -1


def examples_from(labels: dict[int, list[int]], n_targets: dict[int, int], scores: list[float]) -> RankingExamples:
    """Users with labels in the order of retrieval; every user's rows score alike."""
    rows = [
        {"slice": f"{WINDOW}_1", "user_id": user, "item_id": at, "label": label}
        | dict.fromkeys(FEATURE_NAMES, scores[at])
        for user, liked in labels.items()
        for at, label in enumerate(liked)
    ]
    counts = pl.DataFrame({"slice": f"{WINDOW}_1", "user_id": list(n_targets), "n_targets": list(n_targets.values())})
    return RankingExamples(rows=pl.DataFrame(rows), n_targets=counts, cutoffs=CUTOFFS, feature_set={})


def judged(tiny: TinyRun) -> str:
    """A window, of which the examined ranker has seen nothing."""
    return tiny.splits.development[-1]


def stub(kind: type[Ranker], tiny: TinyRun) -> Ranker:
    return kind(booster=tiny.ranker.booster, feature_set={}, n_candidates=3)


def test_both_orders_by_hand(tiny: TinyRun) -> None:
    """User 1 likes the third candidate and one that is none; user 2 likes two of three; user 3 has no candidate."""
    examples = examples_from({1: [0, 0, 1], 2: [1, 0, 1]}, {1: 2, 2: 2, 3: 1}, [1.0, 2.0, 3.0])
    table = validate_ranker(stub(ByFeature, tiny), examples, WINDOW)
    ideal = 1 + 1 / np.log2(3)
    assert table["order"].to_list() == ["retrieval"] * 3 + ["ranking"] * 3
    assert table["user_id"].to_list() == [1, 2, 3] * 2
    assert table["ndcg"].to_list() == pytest.approx([0.5 / ideal, 1.5 / ideal, 0, 1 / ideal, 1.5 / ideal, 0])
    assert table["map"].to_list() == pytest.approx([1 / 3 / 2, (1 + 2 / 3) / 2, 0, 1 / 2, (1 + 2 / 3) / 2, 0])


def test_the_list_is_cut_at_k(tiny: TinyRun) -> None:
    examples = examples_from({1: [0, 0, 1]}, {1: 1}, [1.0, 2.0, 3.0])
    table = validate_ranker(stub(ByFeature, tiny), examples, WINDOW, k=1)
    assert table["ndcg"].to_list() == [0.0, 1.0]


def test_a_ranker_that_scores_all_alike_keeps_the_order_of_retrieval(tiny: TinyRun) -> None:
    labels = {user: np.random.default_rng(user).integers(0, 2, 60).tolist() for user in range(50)}
    examples = examples_from(labels, dict.fromkeys(labels, 60), [5.0] * 60)
    table = validate_ranker(stub(Reversed, tiny), examples, WINDOW)
    assert table.filter(order="ranking").drop("order").equals(table.filter(order="retrieval").drop("order"))


def test_every_user_with_a_target_is_in_both_means(tiny: TinyRun) -> None:
    table = validate_ranker(tiny.examined[judged(tiny)], tiny.examples, judged(tiny))
    own = pl.col("slice").is_in(tiny.splits.slices_of(judged(tiny)))
    users = tiny.splits.users.filter(own)["user_id"].sort().to_list()
    for order in ("retrieval", "ranking"):
        assert table.filter(order=order)["user_id"].to_list() == users
    assert not table["ndcg"].is_nan().any()


def test_no_ranker_passes_the_ceiling_that_retrieval_sets(tiny: TinyRun) -> None:
    """The ideal is over all that was to be found, so that even one that knows the labels stays below 1."""
    rows = tiny.examples.rows.with_columns(pl.col("label").cast(pl.Float32).alias(FEATURE_NAMES[0]))
    omniscient = replace(tiny.examples, rows=rows)
    ceiling = validate_ranker(stub(ByFeature, tiny), omniscient, judged(tiny)).filter(order="ranking")
    learned = validate_ranker(tiny.examined[judged(tiny)], tiny.examples, judged(tiny))
    counts = tiny.examples.targets_of(judged(tiny))["n_targets"].to_list()
    candidates = tiny.examples.of_window(judged(tiny))
    found = [int(candidates.filter(user_id=user)["label"].sum()) for user in ceiling["user_id"]]
    gains = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, 12)))])
    by_hand = [gains[min(hit, 10)] / gains[min(n, 10)] for hit, n in zip(found, counts, strict=True)]
    assert ceiling["ndcg"].to_list() == pytest.approx(by_hand)
    assert ceiling["ndcg"].mean() < 1
    for order in ("retrieval", "ranking"):
        assert (learned.filter(order=order)["ndcg"] <= ceiling["ndcg"] + 1e-12).all()


def test_a_window_is_judged_by_its_own_rows_and_targets_alone(tiny: TinyRun) -> None:
    window = judged(tiny)
    ranker = tiny.examined[window]
    own = replace(
        tiny.examples,
        rows=tiny.examples.of_window(window),
        n_targets=tiny.examples.n_targets.filter(pl.col("slice").is_in(tiny.splits.slices_of(window))),
    )
    table = validate_ranker(ranker, tiny.examples, window)
    assert table.equals(validate_ranker(ranker, own, window))
    assert not table.equals(validate_ranker(ranker, tiny.examples, tiny.splits.exams[-1]))
