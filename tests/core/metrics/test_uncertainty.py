"""Intervals: they cover what they claim, pairs cancel what they share, and edges are NaN."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from recsys_core.errors import DataError
from recsys_core.metrics import uncertainty
from recsys_core.metrics.uncertainty import bootstrap_mean, paired_difference, paired_ratio, seed_spread
from recsys_core.seeding import child


def test_a_95_percent_interval_covers_the_true_mean_about_95_times_in_100() -> None:
    rng = child(1, "coverage")
    covered = 0
    for _ in range(400):
        estimate = bootstrap_mean(rng.beta(2, 5, 80), rng, n_draws=400)
        covered += estimate.low <= 2 / 7 <= estimate.high
    assert 0.91 <= covered / 400 <= 0.98


def test_the_interval_agrees_with_scipys_bootstrap() -> None:
    values = child(1, "values").random(60)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=child(1, "theirs"))
    ours = bootstrap_mean(values, child(1, "ours"), n_draws=20_000)
    np.testing.assert_allclose([ours.low, ours.high], list(theirs.confidence_interval), atol=2e-3)


def test_users_that_do_not_count_do_not_move_the_interval() -> None:
    values = np.array([0.1, 0.4, 0.9, 0.3])
    with_nan = np.insert(values, [1, 3], np.nan)
    assert bootstrap_mean(with_nan, child(1)) == bootstrap_mean(values, child(1))


def test_the_same_generator_gives_the_same_interval_however_many_draws_fit_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = child(1, "values").random(50)
    at_once = bootstrap_mean(values, child(1), n_draws=100)
    monkeypatch.setattr(uncertainty, "_CELLS", 500)
    assert bootstrap_mean(values, child(1), n_draws=100) == at_once


def test_a_wider_level_gives_a_wider_interval() -> None:
    values = child(1, "values").random(50)
    narrow, wide = (bootstrap_mean(values, child(1), level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_without_users_every_estimate_is_undefined() -> None:
    nobody = np.array([np.nan, np.nan])
    for estimate in (
        bootstrap_mean(nobody, child(1)),
        paired_difference(nobody, nobody, child(1)),
        paired_ratio(nobody, nobody, child(1)),
    ):
        assert np.isnan([estimate.mean, estimate.low, estimate.high]).all()
        assert estimate.n == 0


def test_pairing_cancels_what_makes_a_user_difficult_for_both() -> None:
    rng = child(1, "pairs")
    theirs = rng.random(200)
    ours = theirs + 0.02 + rng.normal(0, 0.01, 200)
    paired = paired_difference(ours, theirs, child(1))
    assert 0 < paired.low < 0.02 < paired.high
    alone = bootstrap_mean(ours, child(1))
    assert alone.high - alone.low > 10 * (paired.high - paired.low)
    assert paired_ratio(ours, theirs, child(1)).low > 1


def test_a_ratio_is_one_of_means_and_survives_users_whom_theirs_fails() -> None:
    estimate = paired_ratio(np.array([0.5, 0.5, 0.2] * 30), np.array([0.0, 0.4, 0.2] * 30), child(1))
    assert estimate.mean == pytest.approx(2.0)
    assert estimate.low < 2 < estimate.high


def test_a_ratio_to_a_model_that_hits_nothing_is_undefined() -> None:
    estimate = paired_ratio(np.ones(5), np.zeros(5), child(1))
    assert np.isnan([estimate.mean, estimate.low, estimate.high]).all()


def test_models_scored_on_different_users_are_refused() -> None:
    with pytest.raises(DataError, match="different users"):
        paired_difference(np.array([0.1, np.nan]), np.array([0.1, 0.2]), child(1))
    with pytest.raises(DataError, match="different users"):
        paired_ratio(np.ones(3), np.ones(2), child(1))


def test_one_seed_has_a_mean_and_no_spread() -> None:
    spread = seed_spread([0.4])
    assert spread.mean == 0.4
    assert np.isnan(spread.sd)
    assert np.isnan(seed_spread([]).mean)


def test_a_user_of_several_windows_is_drawn_with_all_of_them() -> None:
    """Ten equal answers of one user say no more than one: the interval is that of the users, whatever the copies."""
    values = np.random.default_rng(0).random(60)
    plain = bootstrap_mean(values, child(1, "bootstrap"))
    copies = bootstrap_mean(np.repeat(values, 10), child(1, "bootstrap"), clusters=np.repeat(np.arange(60), 10))
    blind = bootstrap_mean(np.repeat(values, 10), child(1, "bootstrap"))
    assert (copies.low, copies.high) == pytest.approx((plain.low, plain.high))
    assert copies.n == 600
    assert blind.high - blind.low < 0.5 * (copies.high - copies.low)
