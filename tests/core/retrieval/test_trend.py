"""What was watched at the time."""

import numpy as np
import pytest

from recsys_core.data.histories import Histories
from recsys_core.retrieval.model import item_vectors, vector_layout
from recsys_core.retrieval.training import train_retrieval_model
from recsys_core.retrieval.trend import N_BINS, PRIOR, fit_trend
from tests.core.worlds import QUICK_TRAINING, TinyRun, histories_from

YEAR = 365 * 86_400
FULL = QUICK_TRAINING.model_copy(update={"trend_weight": 1.0, "recent_weight": 0.0})
RECENT = QUICK_TRAINING.model_copy(update={"trend_weight": 0.0, "recent_weight": 1.0, "recent_share": 0.2})


def ten_years() -> list[list[tuple[int, float, int]]]:
    """A hundred likes, evenly: item 0 in the first half, item 1 in the second, item 2 in both."""
    return [[(0 if year < 5 else 1, 5.0, year * YEAR), (2, 5.0, year * YEAR)] for year in range(10) for _ in range(5)]


def test_what_comes_up_gains_and_what_is_forgotten_loses() -> None:
    item_factors = fit_trend(histories_from(ten_years(), n_items=4), FULL).item_factors
    assert item_factors.shape == (4, N_BINS)
    assert item_factors[0, 0] > 0.3 > -0.3 > item_factors[0, -1]
    assert item_factors[1, -1] > 0.3 > -0.3 > item_factors[1, 0]
    assert np.abs(item_factors[2]).max() < 0.1  # always the same share
    assert np.abs(item_factors[3]).max() < 1e-6  # never rated: nothing is known


def test_one_moment_is_no_trend() -> None:
    users = histories_from([[(0, 5.0, 7), (1, 2.0, 7)], [(0, 4.0, 7)]], n_items=2)
    np.testing.assert_allclose(fit_trend(users, FULL).item_factors, 0, atol=1e-6)


def test_the_formula_by_loop() -> None:
    users = histories_from(ten_years(), n_items=4)
    trend = fit_trend(users, FULL)
    edges = np.quantile(users.timestamps, np.linspace(0, 1, N_BINS + 1))
    middles = (edges[1:] + edges[:-1]) / 2
    at = N_BINS // 3
    around = np.zeros(4)
    for item, time in zip(users.item_idx, users.timestamps, strict=True):
        home = max(b for b in range(N_BINS) if trend.starts[b] <= time)
        around[item] += np.exp(-(((middles[at] - middles[home]) / YEAR) ** 2) / 2)
    total = np.bincount(users.item_idx, minlength=4)
    expected = np.log((around / around.sum() * total.sum() + PRIOR) / (total + PRIOR))
    np.testing.assert_allclose(trend.item_factors[:, at], expected, rtol=1e-4, atol=1e-5)


def test_a_user_stands_at_the_latest_rating() -> None:
    trend = fit_trend(histories_from(ten_years(), n_items=4), FULL)
    asking = histories_from([[(0, 5.0, -9)], [(0, 1.0, 0), (1, 5.0, 99 * YEAR)], []], n_items=4)
    vectors = trend.encode_users(asking)
    assert (vectors.sum(axis=1) == 1).all()
    assert vectors[0, 0] == vectors[1, -1] == vectors[2, -1] == 1


def test_without_ratings_there_is_no_trend() -> None:
    trend = fit_trend(histories_from([[]], n_items=3), FULL)
    assert trend.item_factors.shape == (3, 0)
    assert trend.encode_users(histories_from([[], []], n_items=3)).shape == (2, 0)


def recent_by_loop(users: Histories, at: int, starts: list[int], share: float) -> list[int]:
    """Likes of each item among the latest share of the ratings before the end of a bin, one rating at a time."""
    end = starts[at + 1] if at + 1 < len(starts) else max(users.timestamps.tolist()) + 1
    rated = list(zip(users.timestamps.tolist(), users.item_idx.tolist(), users.ratings.tolist(), strict=True))
    before = sorted((one for one in rated if one[0] < end), key=lambda one: one[0])
    n_latest = max(1, round(share * len(before)))
    counts = [0] * users.n_items
    for _, item, stars in before[-n_latest:] if before else []:
        counts[item] += stars >= 4
    return counts


@pytest.mark.parametrize("share", [0.05, 0.2, 1.0])
def test_recent_likes_agree_with_the_slow_loop(share: float) -> None:
    rng = np.random.default_rng(0)
    rated = [(int(rng.integers(6)), rng.integers(1, 11) / 2, int(at)) for at in rng.permutation(400) * 9_000_000]
    users = histories_from([sorted(rated[at : at + 4], key=lambda one: one[2]) for at in range(0, 400, 4)], n_items=6)
    trend = fit_trend(users, RECENT.model_copy(update={"recent_share": share}))
    for at in range(N_BINS):
        expected = np.log1p(recent_by_loop(users, at, trend.starts.tolist(), share))
        np.testing.assert_allclose(trend.item_factors[:, at], expected, rtol=1e-5, err_msg=str(at))


def test_a_like_at_or_after_the_end_of_a_bin_never_counts_in_it() -> None:
    """Seconds 0 to 319, ten to a bin; a like of item 1 in the first second of a bin is news to that bin alone."""
    for second in (10, 19, 160, 310):
        users = histories_from([[(int(at == second), 5.0, at)] for at in range(320)], n_items=2)
        trend = fit_trend(users, RECENT.model_copy(update={"recent_share": 1.0}))
        own = int(np.searchsorted(trend.starts, second, side="right")) - 1
        assert np.flatnonzero(trend.item_factors[1]).tolist() == list(range(own, N_BINS))


def test_the_future_changes_no_recent_like_of_the_past() -> None:
    """The stars and items of everything from the end of a bin on are others; the seconds, which cut the bins, stay."""
    rng = np.random.default_rng(1)
    seconds = np.sort(rng.integers(0, 10**6, 500))
    rows = [(int(rng.integers(5)), rng.integers(1, 11) / 2, int(at)) for at in seconds]
    users = histories_from([[row] for row in rows], n_items=5)
    trend = fit_trend(users, RECENT)
    for at in (0, 7, 20):
        end = trend.starts[at + 1]
        changed = [row if row[2] < end else (4 - row[0], 5.5 - row[1], row[2]) for row in rows]
        again = fit_trend(histories_from([[row] for row in changed], n_items=5), RECENT)
        assert np.array_equal(again.item_factors[:, : at + 1], trend.item_factors[:, : at + 1])
        assert not np.array_equal(again.item_factors, trend.item_factors)


@pytest.mark.parametrize("part", ["trend_weight", "recent_weight"])
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_the_weights_are_those_of_the_settings(tiny: TinyRun, part: str, weight: float) -> None:
    other = {"trend_weight": 0.0, "recent_weight": 0.0}
    one, made = (
        train_retrieval_model(
            tiny.ratings,
            tiny.item_rows,
            tiny.model.fit_end,
            QUICK_TRAINING.model_copy(update={**other, part: value, "n_epochs": 1}),
        ).model
        for value in (1.0, weight)
    )
    assert one.trend.item_factors.any()
    found = item_vectors(made)[:, vector_layout(made).trend]
    np.testing.assert_allclose(found, weight * one.trend.item_factors, rtol=1e-5, atol=1e-6)
