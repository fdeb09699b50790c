"""Recall on the last development slice while its tower is being trained: does it still learn, or overfit?

Training loss keeps falling; recall on held-out likes tells when to stop. Nothing is stopped by it here: the number
of epochs is chosen once, and the curve shows whether the choice still fits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from recsys_core.data.splits import Splits
from recsys_core.retrieval.report import slice_recall
from recsys_core.retrieval.training import AfterEpoch, RetrievalModel

N_LOOKS = 12
"""Looks per training, at one tower of several: enough points for a curve, and a small part of the time."""

RECALL_AT = 100
POINTS_COLUMNS: dict[str, pl.DataType] = {"epoch": pl.Int64(), "recall": pl.Float64()}


@dataclass(kw_only=True)
class ValidationCurve:
    """A callback for `fit_retrieval_models` that measures the model of the last development slice.

    Attributes:
        ratings: RATINGS columns, every rating that was ever given.
        splits: with the targets of the development windows; those of the test are not needed.
        n_epochs: of the training; the last one is always looked at.
        tell: told the name of each slice before its training.
    """

    ratings: pl.DataFrame
    splits: Splits
    n_epochs: int
    tell: Callable[[str], None] | None = None
    _points: list[tuple[int, float]] = field(default_factory=list)

    def __call__(self, name: str) -> AfterEpoch | None:
        """The callback for the tower of a slice; None for towers that are not watched."""
        if self.tell is not None:
            self.tell(name)
        return self._look if name == self._watched else None

    @cached_property
    def _watched(self) -> str:
        own = self.splits.slices_of(self.splits.development[-1])
        return [name for name in self.splits.asking if name in own][-1]

    def _look(self, epoch: int, model: RetrievalModel) -> None:
        """Take a point, if it is time to."""
        every = max(1, self.n_epochs // N_LOOKS)
        if epoch % every == 0 or epoch == self.n_epochs:
            recall = slice_recall(self.ratings, self.splits, model, self._watched).filter(k=RECALL_AT)["recall"]
            self._points.append((epoch, float(recall.to_numpy().mean())))

    def points(self) -> pl.DataFrame:
        """epoch, recall: mean recall at 100 of the whole retriever; the last is the figure of the retrieval report."""
        return pl.DataFrame(self._points, schema=POINTS_COLUMNS, orient="row")
