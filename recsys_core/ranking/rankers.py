"""One ranker per window, fitted on the rows before it, and the serving ranker, fitted on all rows.

The serving ranker is trained on every window, so no window can evaluate it. Instead, rankers with the same settings are
evaluated, each on the window after its training rows. Their results determine two parameters of later rankers: the
weight of retrieval's score, and the calibration curve.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from pydantic import JsonValue

from recsys_core.data.splits import TEST
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.parallel import StopCheck, run_in_parallel
from recsys_core.ranking.calibration import Calibration, fit_calibration
from recsys_core.ranking.config import ListRulesConfig, RankerConfig
from recsys_core.ranking.diagnostics import validate_ranker
from recsys_core.ranking.ranker import Ranker, fit_ranker
from recsys_core.ranking.training_rows import RankingExamples

EXAMINED = "examined_"
"""Prefix of the folder of a window's ranker."""

RETRIEVAL_WEIGHTS = (0.0, 0.25, 0.5, 1.0)
"""Weights of retrieval's standardised score to choose from."""


@dataclass(frozen=True, kw_only=True)
class Rankers:
    """All with the same settings.

    Attributes:
        serving: trained on every window and on impressions.
        examined: by window: trained on the rows before it.
    """

    serving: Ranker
    window_rankers: dict[str, Ranker]

    def save(self, folder: Path) -> None:
        """Write the serving ranker where `Ranker.load` reads it, and the others into folders below."""
        self.serving.save(folder)
        for window, ranker in self.window_rankers.items():
            own = folder / f"{EXAMINED}{window}"
            own.mkdir()
            ranker.save(own)

    def facts(self) -> dict[str, JsonValue]:
        """Facts for the manifest, readable without loading the ranker; null for a calibration that does not exist."""
        curve = self.serving.calibration
        return {
            "feature_set": feature_set_version(self.serving.feature_set),
            "n_candidates": self.serving.n_candidates,
            "retrieval_weight": self.serving.retrieval_weight,
            "calibration_slope": None if curve is None else curve.slope,
            "calibration_intercept": None if curve is None else curve.intercept,
        }


def load_window_ranker(folder: Path, window: str) -> Ranker:
    """The ranker of a window, of saved `Rankers`.

    Raises:
        ArtifactError: as `Ranker.load`.
    """
    return Ranker.load(folder / f"{EXAMINED}{window}")


def fit_rankers(examples: RankingExamples, config: RankerConfig, rules: ListRulesConfig) -> Rankers:
    """Train all, two at a time; weights and calibrations come from the windows before each.

    The test window only contributes to the calibration of the serving ranker.

    Raises:
        DataError: the rows before a window contain no retrieved like.
    """
    windows = examples.evaluation_windows
    moments = [*(examples.start_of(window) for window in windows), examples.last_known_at]
    tasks = [partial(_fitted_at, moment, examples, config) for moment in moments]
    *raw, last = run_in_parallel(tasks, at_once=2)
    window_rankers: dict[str, Ranker] = {}
    for window, ranker in zip(windows, raw, strict=True):
        window_rankers[window] = _with_weight_and_calibration(
            ranker, window_rankers, examples, tuple(window_rankers), rules
        )
    return Rankers(
        serving=_with_weight_and_calibration(last, window_rankers, examples, tuple(window_rankers), rules),
        window_rankers=window_rankers,
    )


def scored_window(ranker: Ranker, examples: RankingExamples, window: str) -> pl.DataFrame:
    """user_id, label, score of every candidate of a window."""
    rows = examples.of_window(window)
    return rows.select("user_id", "label", score=ranker.score(rows.select(FEATURE_NAMES).to_numpy()))


def _fitted_at(moment: int, examples: RankingExamples, config: RankerConfig, check: StopCheck) -> Ranker:
    return fit_ranker(examples.known_before(moment), examples.feature_set, config, moment, check)


def _with_weight_and_calibration(
    ranker: Ranker,
    earlier: dict[str, Ranker],
    examples: RankingExamples,
    windows: Sequence[str],
    rules: ListRulesConfig,
) -> Ranker:
    """The ranker with the weight and the calibration that are fitted on the windows before it."""
    weight = _best_weight([(earlier[window], window) for window in windows if window != TEST], examples)
    weighed = {window: replace(earlier[window], retrieval_weight=weight) for window in windows}
    return replace(
        ranker,
        retrieval_weight=weight,
        calibration=_calibration(weighed, examples),
        list_rules=rules,
    )


def _best_weight(judged: Sequence[tuple[Ranker, str]], examples: RankingExamples) -> float:
    """The weight with the highest mean NDCG over all users of some windows; the smallest of ties; 0 without windows."""
    means = []
    for weight in RETRIEVAL_WEIGHTS if judged else ():
        tables = [
            validate_ranker(replace(ranker, retrieval_weight=weight), examples, window) for ranker, window in judged
        ]
        means.append(float(pl.concat(tables).filter(order="ranking")["ndcg"].to_numpy().mean()))
    return RETRIEVAL_WEIGHTS[int(np.argmax(means))] if means else 0.0


def _calibration(judged: dict[str, Ranker], examples: RankingExamples) -> Calibration | None:
    """One curve over several windows, each scored by the ranker fitted before it; None without windows."""
    if not judged:
        return None
    scored = pl.concat([scored_window(ranker, examples, window) for window, ranker in judged.items()])
    return fit_calibration(scored["score"].to_numpy(), scored["label"].to_numpy())
