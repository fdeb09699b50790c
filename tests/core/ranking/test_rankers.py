"""One ranker per window and the one that serves: who learns from what, and who settles whose weight and curve."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from recsys_core.data.splits import NOW, TEST
from recsys_core.errors import ArtifactError, DataError
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.ranking.calibration import fit_calibration
from recsys_core.ranking.config import NO_RULES, ListRulesConfig
from recsys_core.ranking.diagnostics import validate_ranker
from recsys_core.ranking.ranker import Ranker, fit_ranker
from recsys_core.ranking.rankers import (
    EXAMINED,
    RETRIEVAL_WEIGHTS,
    Rankers,
    fit_rankers,
    load_window_ranker,
    scored_window,
)
from recsys_core.ranking.training_rows import RankingExamples
from tests.core.worlds import QUICK_RANKER, TinyRun


def rankers_of(tiny: TinyRun) -> Rankers:
    return Rankers(serving=tiny.ranker, window_rankers=tiny.window_rankers)


def fitted(examples: RankingExamples, rules: ListRulesConfig = NO_RULES) -> Rankers:
    return fit_rankers(examples, QUICK_RANKER, rules)


def scores_of(ranker: Ranker, tiny: TinyRun) -> npt.NDArray[np.float32]:
    return ranker.score(tiny.examples.rows.select(FEATURE_NAMES).to_numpy())


def with_labels(examples: RankingExamples, windows: list[str], label: pl.Expr) -> RankingExamples:
    """Other labels in some windows."""
    own = pl.concat([examples.of_window(window).select("slice") for window in windows])["slice"].unique()
    changed = pl.when(pl.col("slice").is_in(own.to_list())).then(label).otherwise("label").cast(pl.Int8)
    return replace(examples, rows=examples.rows.with_columns(label=changed))


def turned(examples: RankingExamples, windows: list[str]) -> RankingExamples:
    return with_labels(examples, windows, 1 - pl.col("label"))


def bytes_of(ranker: Ranker, folder: Path) -> dict[str, bytes]:
    folder.mkdir(parents=True)
    ranker.save(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Rankers], dict[str, dict[str, bytes]]]:
    """The bytes of every file of every ranker, by window; the one that serves under `now`."""
    numbers = iter(range(100))

    def save(rankers: Rankers) -> dict[str, dict[str, bytes]]:
        folder = tmp_path / str(next(numbers))
        everyone = {**rankers.window_rankers, NOW: rankers.serving}
        return {name: bytes_of(ranker, folder / name) for name, ranker in everyone.items()}

    return save


Saved = Callable[[Rankers], dict[str, dict[str, bytes]]]


def test_every_window_that_examines_has_a_ranker_of_what_was_known_before_it(tiny: TinyRun) -> None:
    assert list(tiny.window_rankers) == tiny.splits.evaluation_windows
    for window, ranker in tiny.window_rankers.items():
        moment = tiny.examples.start_of(window)
        known = tiny.examples.known_before(moment)
        plain = fit_ranker(known, tiny.examples.feature_set, QUICK_RANKER, moment)
        assert np.array_equal(scores_of(replace(ranker, retrieval_weight=0.0), tiny), scores_of(plain, tiny))


def test_the_ranker_that_serves_learns_from_everything(tiny: TinyRun) -> None:
    moment = tiny.examples.start_of(NOW)
    assert tiny.examples.known_before(moment).equals(tiny.examples.rows)
    plain = fit_ranker(tiny.examples.rows, tiny.examples.feature_set, QUICK_RANKER, moment)
    assert np.array_equal(scores_of(replace(tiny.ranker, retrieval_weight=0.0), tiny), scores_of(plain, tiny))


@pytest.mark.slow
@pytest.mark.parametrize("at", range(4))
def test_the_labels_of_a_window_change_no_byte_of_its_ranker_or_an_earlier_one(
    tiny: TinyRun, saved: Saved, at: int
) -> None:
    """Neither its trees, nor its weight, nor its calibration: only what comes after may know the answers."""
    evaluation_windows = tiny.splits.evaluation_windows
    before, after = saved(rankers_of(tiny)), saved(fitted(turned(tiny.examples, [evaluation_windows[at]])))
    for window in evaluation_windows[: at + 1]:
        assert before[window] == after[window], window
    assert before[NOW]["ranker.json"] != after[NOW]["ranker.json"]
    for window in evaluation_windows[at + 1 :]:
        assert before[window]["ranker.json"] != after[window]["ranker.json"], window


@pytest.mark.slow
def test_the_targets_of_the_test_settle_nothing_but_the_trees_and_the_curve_that_serve(
    tiny: TinyRun, saved: Saved
) -> None:
    """Turned, or as retrieval would have them: every examined ranker stays, and the weight of the one that serves."""
    rank = pl.col("pair_retrieval_rank")
    last = rank == rank.max().over("slice", "user_id")
    for label in (1 - pl.col("label"), pl.lit(0), rank == 1, last):
        other = fitted(with_labels(tiny.examples, [TEST], label))
        before, after = saved(rankers_of(tiny)), saved(other)
        assert {window: before[window] for window in tiny.window_rankers} == {
            window: after[window] for window in tiny.window_rankers
        }
        assert other.serving.retrieval_weight == tiny.ranker.retrieval_weight
        assert other.serving.calibration != tiny.ranker.calibration


def test_the_test_alone_settles_no_weight(tiny: TinyRun) -> None:
    """No earlier exam holds a like, and those of the test are what retrieval puts first: no weight is spoken for."""
    silent = with_labels(tiny.examples, tiny.splits.evaluation_windows[:-1], pl.lit(0))
    serving = fitted(with_labels(silent, [TEST], pl.col("pair_retrieval_rank") == 1)).serving
    assert serving.retrieval_weight == RETRIEVAL_WEIGHTS[0]


def test_the_first_window_that_examines_has_neither_weight_nor_curve(tiny: TinyRun) -> None:
    """Nothing has been judged before it, and what taught its ranker cannot judge it."""
    first, *others = tiny.window_rankers.values()
    assert (first.retrieval_weight, first.calibration) == (0.0, None)
    assert all(ranker.calibration for ranker in others)


def test_the_weight_is_the_best_of_those_tried_over_all_users_of_the_windows_before(tiny: TinyRun) -> None:
    for at, (window, ranker) in enumerate(tiny.window_rankers.items()):
        earlier = tiny.splits.evaluation_windows[:at]
        means = []
        for weight in RETRIEVAL_WEIGHTS if earlier else ():
            tables = [
                validate_ranker(replace(tiny.window_rankers[one], retrieval_weight=weight), tiny.examples, one)
                for one in earlier
            ]
            users = pl.concat(tables).filter(order="ranking")
            means.append(users["ndcg"].mean())
        assert ranker.retrieval_weight == (RETRIEVAL_WEIGHTS[int(np.argmax(means))] if means else 0.0), window


def test_where_trees_learned_nothing_of_use_retrieval_gets_weight(tiny: TinyRun) -> None:
    """Teaching windows with turned labels teach the wrong order; the evaluation windows after them find out."""
    teaching = [tiny.examples.window_before(tiny.splits.evaluation_windows[0])]
    second = fitted(turned(tiny.examples, teaching)).window_rankers[tiny.splits.evaluation_windows[1]]
    assert second.retrieval_weight == RETRIEVAL_WEIGHTS[-1]


def test_the_curve_is_fitted_on_scores_that_never_saw_their_labels(tiny: TinyRun) -> None:
    """The serving ranker has learned the labels of all windows; its own curve would be too steep."""
    weight = tiny.ranker.retrieval_weight
    judged = {window: replace(ranker, retrieval_weight=weight) for window, ranker in tiny.window_rankers.items()}
    scored = pl.concat([scored_window(ranker, tiny.examples, window) for window, ranker in judged.items()])
    curve = fit_calibration(scored["score"].to_numpy(), scored["label"].to_numpy())
    assert tiny.ranker.calibration == curve
    assert curve is not None
    own = pl.concat([scored_window(tiny.ranker, tiny.examples, window) for window in judged])
    knowing = fit_calibration(own["score"].to_numpy(), own["label"].to_numpy())
    assert knowing is not None
    assert knowing.slope > curve.slope


def test_without_any_like_in_the_exams_it_serves_without_probabilities(tiny: TinyRun) -> None:
    silent = fitted(with_labels(tiny.examples, tiny.splits.evaluation_windows, pl.lit(0)))
    assert silent.serving.calibration is None
    assert silent.facts()["calibration_slope"] is None


def test_windows_without_any_like_before_an_exam_are_refused(tiny: TinyRun) -> None:
    teaching = [tiny.examples.window_before(tiny.splits.evaluation_windows[0])]
    with pytest.raises(DataError, match="use more data or more candidates"):
        fitted(with_labels(tiny.examples, teaching, pl.lit(0)))


def test_list_rules_go_to_every_ranker_since_each_is_judged_as_it_serves(tiny: TinyRun) -> None:
    rules = ListRulesConfig(most_per_franchise=2)
    ruled = fitted(tiny.examples, rules)
    assert ruled.serving.list_rules == rules
    assert all(ranker.list_rules == rules for ranker in ruled.window_rankers.values())
    assert np.array_equal(scores_of(ruled.serving, tiny), scores_of(tiny.ranker, tiny))


def test_the_scores_of_a_window_are_those_of_its_rows(tiny: TinyRun) -> None:
    window = tiny.splits.evaluation_windows[1]
    rows, scored = tiny.examples.of_window(window), scored_window(tiny.ranker, tiny.examples, window)
    assert scored.select("user_id", "label").equals(rows.select("user_id", "label"))
    assert scored["score"].to_numpy().tolist() == tiny.ranker.score(rows.select(FEATURE_NAMES).to_numpy()).tolist()


def test_two_fits_give_the_same_bytes(tiny: TinyRun, saved: Saved) -> None:
    assert saved(fitted(tiny.examples)) == saved(rankers_of(tiny))


def test_all_come_back_as_they_were(tiny: TinyRun, tmp_path: Path) -> None:
    rankers_of(tiny).save(tmp_path)
    back = {window: load_window_ranker(tmp_path, window) for window in tiny.window_rankers}
    for loaded, kept in ((Ranker.load(tmp_path), tiny.ranker), *((back[w], tiny.window_rankers[w]) for w in back)):
        assert np.array_equal(scores_of(loaded, tiny), scores_of(kept, tiny))
        assert loaded.calibration == kept.calibration
        assert loaded.retrieval_weight == kept.retrieval_weight


def test_a_damaged_examined_ranker_is_refused(tiny: TinyRun, tmp_path: Path) -> None:
    rankers_of(tiny).save(tmp_path)
    (tmp_path / f"{EXAMINED}{TEST}" / "ranker.json").write_text("{")
    with pytest.raises(ArtifactError, match="missing or damaged"):
        load_window_ranker(tmp_path, TEST)
    with pytest.raises(ArtifactError, match="missing or damaged"):
        load_window_ranker(tmp_path, "window_99")


def test_the_facts_are_those_of_the_ranker_that_serves(tiny: TinyRun) -> None:
    assert tiny.ranker.calibration is not None
    assert rankers_of(tiny).facts() == {
        "feature_set": feature_set_version(),
        "n_candidates": tiny.ranker.n_candidates,
        "retrieval_weight": tiny.ranker.retrieval_weight,
        "calibration_slope": tiny.ranker.calibration.slope,
        "calibration_intercept": tiny.ranker.calibration.intercept,
    }
