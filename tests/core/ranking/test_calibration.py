"""Platt scaling: the right curve, never another order, and nothing where nothing can be said."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from recsys_core.errors import ArtifactError
from recsys_core.ranking.calibration import (
    FILE,
    Calibration,
    fit_calibration,
    load_calibration,
    save_calibration,
)

CURVE = Calibration(slope=1.3, intercept=-2.0, n=100)


def labelled(slope: float, intercept: float, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels drawn with the probabilities of a curve."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 1, n).astype(np.float32)
    chance = 1 / (1 + np.exp(-(slope * scores + intercept)))
    return scores, (rng.random(n) < chance).astype(np.int8)


def test_two_scores_by_hand() -> None:
    """Each score is fitted alone, since two parameters pass through two points: the mean of its Platt targets."""
    scores = np.array([0.0] * 4 + [1.0] * 4, dtype=np.float32)
    labels = np.array([1, 0, 0, 0, 1, 1, 1, 0], dtype=np.int8)
    fitted = fit_calibration(scores, labels)
    assert fitted is not None
    like, other = 5 / 6, 1 / 6
    expected = [(like + 3 * other) / 4, (3 * like + other) / 4]
    assert fitted.probability(np.array([0.0, 1.0])) == pytest.approx(expected)
    assert fitted.intercept == pytest.approx(math.log(expected[0] / (1 - expected[0])))
    assert fitted.n == 8


def test_it_finds_the_curve_that_drew_the_labels() -> None:
    fitted = fit_calibration(*labelled(1.5, -2.5, 60_000))
    assert fitted is not None
    assert (fitted.slope, fitted.intercept) == pytest.approx((1.5, -2.5), abs=0.06)


def test_another_optimiser_finds_no_better_curve() -> None:
    scores, labels = labelled(0.7, -2.0, 500)
    fitted = fit_calibration(scores, labels)
    assert fitted is not None
    n_likes = labels.sum()
    targets = np.where(labels == 1, (n_likes + 1) / (n_likes + 2), 1 / (len(labels) - n_likes + 2))

    def loss(at: np.ndarray) -> float:
        logits = at[0] * scores.astype(float) + at[1]
        return float((np.logaddexp(0, logits) - targets * logits).sum())

    other = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9})
    assert (fitted.slope, fitted.intercept) == pytest.approx(tuple(other.x), abs=1e-5)


@given(st.floats(1e-2, 1e2), st.floats(-10, 10))
def test_the_scale_of_the_scores_changes_no_probability(factor: float, offset: float) -> None:
    scores, labels = labelled(1.0, -1.0, 300)
    moved = scores.astype(np.float64) * factor + offset
    one, other = fit_calibration(scores, labels), fit_calibration(moved, labels)
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(other.probability(moved), one.probability(scores), atol=1e-6)


def test_likes_that_stand_apart_give_a_finite_curve() -> None:
    fitted = fit_calibration(np.array([0, 1, 2, 3], dtype=np.float32), np.array([0, 0, 1, 1], dtype=np.int8))
    assert fitted is not None
    probability = fitted.probability(np.array([0.0, 3.0]))
    assert 0 < probability[0] < 0.5 < probability[1] < 1


@given(st.floats(0.01, 5), st.floats(-5, 5), st.lists(st.integers(-9, 9), min_size=2, unique=True))
def test_no_order_ever_changes(slope: float, intercept: float, scores: list[int]) -> None:
    curve = Calibration(slope=slope, intercept=intercept, n=1)
    ascending = np.sort(np.array(scores, dtype=np.float32)) / 10
    assert (np.diff(curve.probability(ascending)) > 0).all()


def test_padding_is_never_liked() -> None:
    assert CURVE.probability(np.array([[-np.inf, 0.0]], dtype=np.float32))[0].tolist() == [
        0.0,
        pytest.approx(1 / (1 + math.exp(2))),
    ]


@pytest.mark.parametrize(
    ("scores", "labels", "why"),
    [
        ([0.0, 1.0], [0, 0], "0 likes, 2 others"),
        ([0.0, 1.0], [1, 1], "2 likes, 0 others"),
        ([], [], "0 likes, 0 others"),
        ([1.0, 1.0], [0, 1], "one score"),
        ([0.0, 0.0, 1.0, 1.0], [1, 1, 0, 0], "likes did not score higher than the rest"),
    ],
)
def test_where_the_score_says_nothing_there_is_no_calibration(
    scores: list[float], labels: list[int], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert fit_calibration(np.array(scores, dtype=np.float32), np.array(labels, dtype=np.int8)) is None
    assert why in caplog.text


@pytest.mark.parametrize(
    "bad", [{"slope": 0.0}, {"slope": -1.0}, {"slope": math.inf}, {"intercept": math.nan}, {"n": 0}]
)
def test_a_curve_that_does_not_rise_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no rising curve"):
        Calibration(**({"slope": 1.0, "intercept": 0.0, "n": 1} | bad))  # type: ignore[arg-type]


@pytest.mark.parametrize("calibration", [CURVE, None])
def test_it_comes_back_as_it_was(tmp_path: Path, calibration: Calibration | None) -> None:
    save_calibration(calibration, tmp_path)
    assert load_calibration(tmp_path) == calibration


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "7", "{}", '{"slope": 1}', '{"slope": -1, "intercept": 0, "n": 5}',
     '{"slope": "1", "intercept": 0, "n": 5}', '{"slope": NaN, "intercept": 0, "n": 5}',
     '{"slope": 1, "intercept": 0, "n": 5, "more": 1}'],
)  # fmt: skip
def test_damage_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ArtifactError, match="missing or damaged: run `recsys refresh`"):
        load_calibration(tmp_path)


def test_an_absent_file_is_damage_and_not_a_ranker_without_calibration(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="missing or damaged"):
        load_calibration(tmp_path)
    save_calibration(None, tmp_path)
    assert json.loads((tmp_path / FILE).read_text()) is None
