"""Recall on the validation slice while its tower is being trained: does it still learn, or only remember?

The loss on what a tower learns from falls for ever; recall on what it has not seen tells when to stop. Nothing is
stopped by it here: `n_epochs` is chosen once, and this shows whether the choice still fits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from recsys_core.data.splits import VALIDATION, Splits
from recsys_core.retrieval.report import validation_recall
from recsys_core.retrieval.training import AfterEpoch, FittedTower

N_LOOKS = 12
"""Looks per training, at one tower of several: enough points for a curve, and a small part of the time."""

RECALL_AT = 100
POINTS_COLUMNS: dict[str, pl.DataType] = {"epoch": pl.Int64(), "recall": pl.Float64()}


@dataclass(kw_only=True)
class ValidationCurve:
    """To be handed to `fit_towers`, which it watches; it looks at the tower of the validation slice alone.

    Attributes:
        ratings: RATINGS.
        splits: with the validation slice's targets; those of the test are not needed.
        n_epochs: of the training; the last one is always looked at.
        tell: told the name of each slice before its training.
    """

    ratings: pl.DataFrame
    splits: Splits
    n_epochs: int
    tell: Callable[[str], None] | None = None
    _points: list[tuple[int, float]] = field(default_factory=list)

    def __call__(self, name: str) -> AfterEpoch | None:
        """What looks at the tower of a slice; None where nothing does."""
        if self.tell is not None:
            self.tell(name)
        return self._look if name == VALIDATION else None

    def _look(self, epoch: int, tower: FittedTower) -> None:
        """Take a point, if it is time to."""
        every = max(1, self.n_epochs // N_LOOKS)
        if epoch % every == 0 or epoch == self.n_epochs:
            recall = validation_recall(self.ratings, self.splits, tower).filter(k=RECALL_AT)["recall"]
            self._points.append((epoch, float(recall.to_numpy().mean())))

    def points(self) -> pl.DataFrame:
        """epoch, recall: mean recall at 100 of the whole retriever; the last is the figure of the retrieval report."""
        return pl.DataFrame(self._points, schema=POINTS_COLUMNS, orient="row")
