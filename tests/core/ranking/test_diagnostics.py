"""Both orders by hand, SHAP values with a planted direction, NDCG by number of trees."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.ranking import diagnostics
from recsys_core.ranking.diagnostics import N_LOOKS, importance, learning_curve, validate_ranker
from recsys_core.ranking.ranker import Ranker, fit_ranker
from recsys_core.ranking.training_rows import RankingExamples
from tests.core.worlds import QUICK_RANKER, TinyRun

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
    table = validate_ranker(tiny.window_rankers[judged(tiny)], tiny.examples, judged(tiny))
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
    learned = validate_ranker(tiny.window_rankers[judged(tiny)], tiny.examples, judged(tiny))
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
    ranker = tiny.window_rankers[window]
    own = replace(
        tiny.examples,
        rows=tiny.examples.of_window(window),
        n_targets=tiny.examples.n_targets.filter(pl.col("slice").is_in(tiny.splits.slices_of(window))),
    )
    table = validate_ranker(ranker, tiny.examples, window)
    assert table.equals(validate_ranker(ranker, own, window))
    assert not table.equals(validate_ranker(ranker, tiny.examples, tiny.splits.evaluation_windows[-1]))


FIRST, SECOND, THIRD = FEATURE_NAMES[:3]


class Planted(Ranker):
    """The score is 2 a - b, and the SHAP values say so; every other feature is idle."""

    def contributions(self, features: np.ndarray) -> np.ndarray:
        values = np.zeros((len(features), len(FEATURE_NAMES) + 1), dtype=np.float32)
        values[:, 0], values[:, 1], values[:, -1] = 2 * np.nan_to_num(features[:, 0]), -features[:, 1], 9
        return values


@pytest.fixture
def planted(tiny: TinyRun) -> Ranker:
    return Planted(booster=tiny.ranker.booster, feature_set={}, n_candidates=3)


def rows(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (n, len(FEATURE_NAMES))).astype(np.float32)


def test_strength_and_direction_by_hand(planted: Ranker) -> None:
    features = np.zeros((3, len(FEATURE_NAMES)), dtype=np.float32)
    features[:, 0], features[:, 1] = [1, 2, 3], [3, 0, 3]
    table = importance(planted, features)
    assert table["feature"][:2].to_list() == [FIRST, SECOND]
    assert table["mean_abs_shap"][:3].to_list() == [pytest.approx(4), pytest.approx(2), 0]
    assert table["direction"][:2].to_list() == pytest.approx([1, -1])
    assert table["direction"][2:].is_nan().all()  # neither they nor their SHAP values vary
    assert sorted(table["feature"]) == sorted(FEATURE_NAMES)


def test_the_base_which_is_the_same_for_all_is_no_feature(planted: Ranker) -> None:
    assert importance(planted, rows(50))["mean_abs_shap"].max() < 9


def test_rows_without_the_value_do_not_blur_its_direction(planted: Ranker) -> None:
    features = rows(100)
    features[::2, 0] = np.nan
    assert importance(planted, features).row(by_predicate=pl.col("feature") == FIRST)[2] == pytest.approx(1)
    features[:, 0] = np.nan
    assert np.isnan(importance(planted, features).row(by_predicate=pl.col("feature") == FIRST)[2])


def test_directions_are_scipys_rank_correlations(tiny: TinyRun) -> None:
    features = tiny.examples.rows.select(FEATURE_NAMES).to_numpy()[:2000]
    shap = tiny.ranker.contributions(features)
    table = importance(tiny.ranker, features)
    for name, strength, direction, _ in table.iter_rows():
        at = FEATURE_NAMES.index(name)
        assert strength == pytest.approx(np.abs(shap[:, at]).mean(), rel=1e-4)
        there = ~np.isnan(features[:, at])
        if np.ptp(features[there, at]) > 0 and np.ptp(shap[there, at]) > 0:
            assert direction == pytest.approx(spearmanr(features[there, at], shap[there, at]).statistic)
        else:
            assert np.isnan(direction)


def test_gains_stand_beside_it(tiny: TinyRun) -> None:
    table = importance(tiny.ranker, tiny.examples.rows.select(FEATURE_NAMES).to_numpy()[:100])
    gains = dict(tiny.ranker.importance().iter_rows())
    assert dict(table.select("feature", "gain").iter_rows()) == gains
    assert table["mean_abs_shap"].is_sorted(descending=True)


def test_of_many_rows_a_sample_is_explained_the_same_each_time(
    planted: Ranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = rows(4000)
    everything = importance(planted, features)
    monkeypatch.setattr(diagnostics, "MOST_ROWS", 2000)
    sample = importance(planted, features)
    assert sample.equals(importance(planted, features))
    assert not sample.equals(importance(planted, features, seed=18))
    assert sample["mean_abs_shap"][0] == pytest.approx(everything["mean_abs_shap"][0], rel=0.1)


def test_without_rows_nothing_is_known(tiny: TinyRun) -> None:
    table = importance(tiny.ranker, rows(0))
    assert table["mean_abs_shap"].is_nan().all()
    assert table["direction"].is_nan().all()


def window_rankers(tiny: TinyRun) -> Ranker:
    return tiny.window_rankers[tiny.splits.development[-1]]


def test_a_point_is_the_figure_of_a_ranker_with_so_many_trees(tiny: TinyRun) -> None:
    curve = learning_curve(window_rankers(tiny), tiny.examples).filter(pl.col("is_new"))
    n_trees = curve["round"][3]
    window, config = tiny.splits.development[-1], QUICK_RANKER.model_copy(update={"n_rounds": n_trees})
    moment = tiny.examples.start_of(window)
    fitted = fit_ranker(tiny.examples.known_before(moment), tiny.examples.feature_set, config, moment)
    shorter = replace(fitted, retrieval_weight=window_rankers(tiny).retrieval_weight)
    expected = validate_ranker(shorter, tiny.examples, window).filter(order="ranking")["ndcg"].mean()
    assert curve["ndcg"][3] == pytest.approx(expected)


def test_the_last_point_is_the_finished_ranker(tiny: TinyRun) -> None:
    curve = learning_curve(window_rankers(tiny), tiny.examples).filter(pl.col("is_new"))
    assert curve.height == N_LOOKS
    assert curve["round"].is_sorted()
    assert curve["round"][-1] == QUICK_RANKER.n_rounds
    expected = (
        validate_ranker(window_rankers(tiny), tiny.examples, tiny.splits.development[-1])
        .filter(order="ranking")["ndcg"]
        .mean()
    )
    assert curve["ndcg"][-1] == pytest.approx(expected)


def test_it_is_compared_with_the_window_before_which_was_learned_from(tiny: TinyRun) -> None:
    curve = learning_curve(window_rankers(tiny), tiny.examples)
    new = tiny.splits.development[-1]
    assert set(curve["window"]) == {new, tiny.examples.window_before(new)}
    assert curve.filter("is_new")["window"].unique().to_list() == [new]
    learned = curve.filter(~pl.col("is_new"))["ndcg"]
    assert learned[-1] > learned[0], "on what it learned from, more trees do better"


def test_a_ranker_of_two_trees_has_two_points(tiny: TinyRun) -> None:
    short = replace(window_rankers(tiny), booster=window_rankers(tiny).booster[:2])
    assert learning_curve(short, tiny.examples).filter(pl.col("is_new"))["round"].to_list() == [1, 2]
