"""The ranker that serves, and its rehearsal: the same settings, one exam earlier.

The ranker that serves has learned from the validation slice, so that nothing can be judged or calibrated there with it.
The *rehearsal* learns only from what came before that slice, and takes its place wherever labels are needed that the
scores have not seen.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from recsys_core.data.splits import TEST, VALIDATION
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.ranking.calibration import fit_calibration
from recsys_core.ranking.config import ListRulesConfig, RankerConfig
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker, fit_ranker
from recsys_core.side_by_side import Check, side_by_side

FOLDER = "rehearsal"


@dataclass(frozen=True, kw_only=True)
class RehearsedRanker:
    """Both, fitted with the same settings.

    Attributes:
        serving: learned from the hold-outs before the test; calibrated by the rehearsal, where that was possible.
        rehearsal: learned from the hold-outs before the validation slice; not calibrated.
    """

    serving: Ranker
    rehearsal: Ranker

    def with_list_rules(self, rules: ListRulesConfig) -> "RehearsedRanker":
        """The same, with the rules that serving is to apply; the rehearsal, which judges the ranker, has none."""
        own = ListRulesConfig.model_validate({name: getattr(rules, name) for name in ListRulesConfig.model_fields})
        return replace(self, serving=replace(self.serving, list_rules=own))

    def save(self, folder: Path) -> None:
        """Write the one that serves where `Ranker.load` reads it, and the rehearsal into a folder below."""
        self.serving.save(folder)
        folder.joinpath(FOLDER).mkdir()
        self.rehearsal.save(folder / FOLDER)

    def facts(self) -> dict[str, JsonValue]:
        """What is worth reading without loading it; the curve is null where there is none."""
        curve = self.serving.calibration
        return {
            "feature_set": feature_set_version(self.serving.feature_set),
            "n_candidates": self.serving.n_candidates,
            "calibration_slope": None if curve is None else curve.slope,
            "calibration_intercept": None if curve is None else curve.intercept,
        }


def load_rehearsal(folder: Path) -> Ranker:
    """The rehearsal of a saved `RehearsedRanker`.

    Raises:
        ArtifactError: as `Ranker.load`.
    """
    return Ranker.load(folder / FOLDER)


def fit_before_validation(examples: RankingExamples, config: RankerConfig) -> Ranker:
    """The rehearsal alone, trained on the hold-outs of what came before the validation slice."""
    return _fit_for(VALIDATION, examples, config)


def fit_rehearsed(examples: RankingExamples, config: RankerConfig) -> RehearsedRanker:
    """Train both, side by side, and calibrate the one that serves.

    The curve is fitted on the rehearsal's scores of the validation slice and used for scores of the other ranker: the
    same settings on more of the same data, whose scores spread alike.

    Raises:
        DataError: the hold-outs of either hold no like that retrieval found.
    """
    tasks = [partial(_fit_for, name, examples, config) for name in (VALIDATION, TEST)]
    rehearsal, serving = side_by_side(tasks, at_once=2)
    exam = examples.rows.filter(slice=VALIDATION)
    calibration = fit_calibration(rehearsal.score(exam.select(FEATURE_NAMES).to_numpy()), exam["label"].to_numpy())
    return RehearsedRanker(serving=replace(serving, calibration=calibration), rehearsal=rehearsal)


def _fit_for(exam: str, examples: RankingExamples, config: RankerConfig, check: Check = lambda: None) -> Ranker:
    return fit_ranker(examples.lessons(exam), examples.feature_set, config, check)
