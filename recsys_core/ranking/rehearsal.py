"""The ranker that serves, and its rehearsal: the same settings, one exam earlier.

The ranker that serves has learned from the validation slice, so that nothing can be judged or calibrated there with it.
The *rehearsal* learns only from what came before that slice, and takes its place wherever labels are needed that the
scores have not seen.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from recsys_core.data.splits import TEST, VALIDATION
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.ranking.calibration import fit_calibration
from recsys_core.ranking.config import RankerConfig
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker, fit_ranker

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
    return fit_ranker(examples.lessons(VALIDATION), examples.feature_set, config)


def fit_rehearsed(examples: RankingExamples, config: RankerConfig) -> RehearsedRanker:
    """Train both, and calibrate the one that serves.

    The curve is fitted on the rehearsal's scores of the validation slice and used for scores of the other ranker: the
    same settings on more of the same data, whose scores spread alike.

    Raises:
        DataError: the hold-outs of either hold no like that retrieval found.
    """
    rehearsal = fit_before_validation(examples, config)
    exam = examples.rows.filter(slice=VALIDATION)
    calibration = fit_calibration(rehearsal.score(exam.select(FEATURE_NAMES).to_numpy()), exam["label"].to_numpy())
    serving = fit_ranker(examples.lessons(TEST), examples.feature_set, config)
    return RehearsedRanker(serving=replace(serving, calibration=calibration), rehearsal=rehearsal)
