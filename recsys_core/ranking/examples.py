"""Slices of the past -> the ranker's training rows.

For each slice, a tower that never saw the labels proposes candidates, features are taken from what was known when
asking, and the label says whether the user went on to like the item. Scores of a tower that knew the labels would look
far better in training than they are when serving: a ranker trained on such scores was measured to be worse than none.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.data.splits import NOW, Splits, chosen_on, exams_of
from recsys_core.errors import REBUILD, ArtifactError, DataError
from recsys_core.features.registry import FEATURE_NAMES, FeatureSet, feature_set
from recsys_core.ranking.inputs import RankingInputs, candidate_features
from recsys_core.retrieval.slices import fitted_digest
from recsys_core.tables import read_table, tables_writer


@dataclass(frozen=True, kw_only=True)
class RankingExamples:
    """Training rows: slice, user_id, item_id, label (0 or 1), known_at, then the features in the order of the contract.

    Rows of one (slice, user_id) stand together, in retrieval order or as they were shown, and form one group of the
    ranking loss. `known_at` is the first second in which a label is settled. `n_targets` has slice, user_id, n_targets:
    all that was to be found, also what retrieval missed. `cutoffs` says which window each slice belongs to. The feature
    set says what the features are: another one makes other examples, even where all values stay.
    """

    rows: pl.DataFrame
    n_targets: pl.DataFrame
    cutoffs: pl.DataFrame
    feature_set: FeatureSet

    @property
    def exams(self) -> list[str]:
        """Windows that examine models, the earliest first; the last is the test."""
        return exams_of(self.cutoffs)

    @property
    def development(self) -> list[str]:
        """The windows that settings are chosen on: those that examine, without the last two."""
        return chosen_on(self.exams)

    @property
    def last_known_at(self) -> int:
        """First second (UTC) by which every label is known, of questions and of what was shown."""
        return max(self.start_of(NOW), int(self.rows["known_at"].max()))  # type: ignore[arg-type]  # never null

    def start_of(self, window: str) -> int:
        """First second of a window, UTC."""
        return int(self.cutoffs.filter(window=window)["fit_end"].min())  # type: ignore[arg-type]  # never null

    def end_of(self, window: str) -> int:
        """First second after a window, UTC."""
        return int(self.cutoffs.filter(window=window)["until"].max())  # type: ignore[arg-type]  # never null

    def window_before(self, window: str) -> str:
        """The window that came before another."""
        names = self.cutoffs["window"].unique(maintain_order=True).to_list()
        return str(names[names.index(window) - 1])

    def known_before(self, moment: int) -> pl.DataFrame:
        """The rows from which a ranker that is fitted at a moment (seconds UTC) may learn."""
        return self.rows.filter(pl.col("known_at") <= moment)

    @property
    def known_until(self) -> int:
        """First second by which the labels of all rows are known: until when the ranker that serves has learned."""
        return int(self.rows["known_at"].max())  # type: ignore[arg-type]  # never null

    def of_window(self, window: str) -> pl.DataFrame:
        """The rows of the questions that a window asked."""
        return self.rows.filter(pl.col("slice").is_in(self._slices(window)))

    def targets_of(self, window: str) -> pl.DataFrame:
        """user_id, n_targets of everybody whom a window asked, sorted by user."""
        asked = self.n_targets.filter(pl.col("slice").is_in(self._slices(window)))
        return asked.select("user_id", "n_targets").sort("user_id")

    def with_shown(self, rows: pl.DataFrame) -> "RankingExamples":
        """The same, with rows of `shown_rows` before the others."""
        return replace(self, rows=pl.concat([rows, self.rows]))

    def _slices(self, window: str) -> list[str]:
        return self.cutoffs.filter(window=window)["slice"].to_list()

    def save(self, folder: Path) -> None:
        """Write the tables and the feature set."""
        tables_writer(rows=self.rows, n_targets=self.n_targets, cutoffs=self.cutoffs)(folder)
        folder.joinpath("feature_set.json").write_text(json.dumps(self.feature_set, indent=1))

    @classmethod
    def load(cls, folder: Path) -> "RankingExamples":
        """Read what `save` wrote.

        Raises:
            ArtifactError: a file is absent or damaged.
        """
        rows, n_targets, cutoffs = (read_table(folder / f"{name}.parquet") for name in ("rows", "n_targets", "cutoffs"))
        try:
            declared = json.loads(folder.joinpath("feature_set.json").read_text())
        except (OSError, ValueError) as fault:
            raise ArtifactError(f"the feature set in {folder} is missing or damaged: {REBUILD}") from fault
        return cls(rows=rows, n_targets=n_targets, cutoffs=cutoffs, feature_set=declared)


def slice_rows(
    name: str, inputs: RankingInputs, ratings: pl.DataFrame, splits: Splits, clicks: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The labelled rows of one slice.

    Raises:
        DataError: the tower was fitted on anything else than what models of the slice may see.
    """
    tower, allowed = inputs.proposer.tower, fitted_digest(ratings, clicks, splits, name)
    if tower.fitted_on != allowed:
        raise DataError(
            f"the tower of slice {name} was fitted on ratings {tower.fitted_on}, but its models may see exactly "
            f"{allowed}: rebuild two_tower, because its scores could know the answers"
        )
    liked = splits.targets.filter(slice=name).select("user_id", "item_id", label=pl.lit(1, pl.Int8))
    labelled = candidate_rows(inputs).join(liked, on=["user_id", "item_id"], how="left", maintain_order="left")
    return labelled.select(
        pl.lit(name).alias("slice"),
        "user_id",
        "item_id",
        pl.col("label").fill_null(0),
        pl.lit(splits.until(name), pl.Int64).alias("known_at"),
        *FEATURE_NAMES,
    )


def candidate_rows(inputs: RankingInputs) -> pl.DataFrame:
    """user_id, item_id, features of every candidate of some requests, each user's in the order of retrieval."""
    item_idx = inputs.candidates.item_idx
    present = item_idx >= 0
    features = pl.DataFrame(candidate_features(inputs)[present], schema=list(FEATURE_NAMES), orient="row")
    return features.select(
        pl.Series("user_id", np.repeat(inputs.users.user_ids, item_idx.shape[1])[present.ravel()]),
        pl.Series("item_id", inputs.proposer.tower.catalogue.item_ids[item_idx[present]]),
        pl.all(),
    )


def make_examples(slices: list[pl.DataFrame], splits: Splits) -> RankingExamples:
    """All slices' rows in one table, with the number of targets of each of their users."""
    rows = pl.concat(slices)
    targets = splits.targets.join(rows.select("slice").unique(), on="slice", how="semi")
    counted = targets.group_by("slice", "user_id").agg(n_targets=pl.len().cast(pl.Int64)).sort("slice", "user_id")
    return RankingExamples(rows=rows, n_targets=counted, cutoffs=splits.cutoffs, feature_set=feature_set())
