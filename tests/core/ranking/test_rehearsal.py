"""Rehearsal and serving ranker: who learns from what, who calibrates whom."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from recsys_core.ranking.rehearsal import RehearsedRanker, fit_before_validation, fit_rehearsed, load_rehearsal

from recsys_core.data.splits import TEST, VALIDATION
from recsys_core.errors import ArtifactError, DataError
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.ranking.calibration import fit_calibration
from recsys_core.ranking.config import ListRulesConfig, RankerConfig
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker, fit_ranker
from tests.core.worlds import QUICK_RANKER, TinyRun


def scores_of(ranker: Ranker, tiny: TinyRun) -> np.ndarray:
    return ranker.score(tiny.examples.rows.select(FEATURE_NAMES).to_numpy())


def without_likes(tiny: TinyRun, exam: str) -> RankingExamples:
    """No like among the hold-outs of an exam, or of the exam itself."""
    label = pl.when(pl.col("slice").str.starts_with(exam)).then(0).otherwise("label").cast(pl.Int8)
    return replace(tiny.examples, rows=tiny.examples.rows.with_columns(label=label))


def test_the_rehearsal_learns_from_nothing_but_the_holdouts_before_the_validation(tiny: TinyRun) -> None:
    alone = replace(tiny.examples, rows=tiny.examples.lessons(VALIDATION))
    again = fit_before_validation(alone, QUICK_RANKER)
    assert np.array_equal(scores_of(again, tiny), scores_of(tiny.rehearsal, tiny))


def test_the_ranker_that_serves_is_trained_as_ever(tiny: TinyRun) -> None:
    plain = fit_ranker(tiny.examples.lessons(TEST), tiny.examples.feature_set, QUICK_RANKER)
    assert np.array_equal(scores_of(plain, tiny), scores_of(tiny.ranker, tiny))
    assert not np.array_equal(scores_of(plain, tiny), scores_of(tiny.rehearsal, tiny))


def test_the_curve_is_fitted_on_scores_that_never_saw_their_labels(tiny: TinyRun) -> None:
    """The serving ranker has learned the labels of the validation slice; its own curve would be too steep."""
    exam = tiny.examples.rows.filter(slice=VALIDATION)
    features, labels = exam.select(FEATURE_NAMES).to_numpy(), exam["label"].to_numpy()
    assert tiny.ranker.calibration == fit_calibration(tiny.rehearsal.score(features), labels)
    assert tiny.ranker.calibration is not None
    knowing = fit_calibration(tiny.ranker.score(features), labels)
    assert knowing is not None
    assert knowing.slope > tiny.ranker.calibration.slope
    assert tiny.rehearsal.calibration is None


def test_without_any_like_to_fit_on_it_serves_without_probabilities(tiny: TinyRun) -> None:
    silent = tiny.examples.rows.with_columns(
        label=pl.when(pl.col("slice") == VALIDATION).then(0).otherwise("label").cast(pl.Int8)
    )
    fitted = fit_rehearsed(replace(tiny.examples, rows=silent), QUICK_RANKER)
    assert fitted.serving.calibration is None
    assert fitted.facts()["calibration_slope"] is None
    assert np.array_equal(scores_of(fitted.serving, tiny), scores_of(tiny.ranker, tiny))


@pytest.mark.parametrize("exam", [VALIDATION, TEST])
def test_holdouts_without_any_like_are_refused(tiny: TinyRun, exam: str) -> None:
    with pytest.raises(DataError, match="use more data or more candidates"):
        fit_rehearsed(without_likes(tiny, exam), QUICK_RANKER)


def test_list_rules_go_to_the_ranker_that_serves_alone(tiny: TinyRun) -> None:
    """Also from a form that holds more settings than these."""

    class Form(RankerConfig, ListRulesConfig):
        pass

    plain = RehearsedRanker(serving=tiny.ranker, rehearsal=tiny.rehearsal)
    ruled = plain.with_list_rules(Form(n_rounds=3, most_per_franchise=2))
    assert ruled.serving == replace(tiny.ranker, list_rules=ListRulesConfig(most_per_franchise=2))
    assert ruled.rehearsal is tiny.rehearsal


def test_both_come_back_as_they_were(tiny: TinyRun, tmp_path: Path) -> None:
    RehearsedRanker(serving=tiny.ranker, rehearsal=tiny.rehearsal).save(tmp_path)
    for back, kept in ((Ranker.load(tmp_path), tiny.ranker), (load_rehearsal(tmp_path), tiny.rehearsal)):
        assert np.array_equal(scores_of(back, tiny), scores_of(kept, tiny))
        assert back.calibration == kept.calibration


def test_a_damaged_rehearsal_is_refused(tiny: TinyRun, tmp_path: Path) -> None:
    RehearsedRanker(serving=tiny.ranker, rehearsal=tiny.rehearsal).save(tmp_path)
    (tmp_path / "rehearsal" / "ranker.json").write_text("{")
    with pytest.raises(ArtifactError, match="missing or damaged"):
        load_rehearsal(tmp_path)


def test_the_facts_are_those_of_the_ranker_that_serves(tiny: TinyRun) -> None:
    facts = RehearsedRanker(serving=tiny.ranker, rehearsal=tiny.rehearsal).facts()
    assert tiny.ranker.calibration is not None
    assert facts == {
        "feature_set": feature_set_version(),
        "n_candidates": tiny.ranker.n_candidates,
        "calibration_slope": tiny.ranker.calibration.slope,
        "calibration_intercept": tiny.ranker.calibration.intercept,
    }
