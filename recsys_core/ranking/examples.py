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

from recsys_core.data.digests import ratings_digest
from recsys_core.data.splits import Splits, fit_ratings, holdout_prefix
from recsys_core.errors import ArtifactError, DataError
from recsys_core.features.registry import FEATURE_NAMES, FeatureSet, feature_set
from recsys_core.ranking.inputs import RankingInputs, candidate_features
from recsys_core.tables import read_table, tables_writer


@dataclass(frozen=True, kw_only=True)
class RankingExamples:
    """Training rows: slice, user_id, item_id, label (0 or 1), then the features in the order of the contract.

    Rows of one (slice, user_id) stand together, in retrieval order or as they were shown, and form one group of the
    ranking loss. `n_targets` has slice, user_id, n_targets: all that was to be found, also what retrieval missed. The
    feature set says what the features are: another one makes other examples, even where all values stay.
    """

    rows: pl.DataFrame
    n_targets: pl.DataFrame
    feature_set: FeatureSet

    def lessons(self, exam: str) -> pl.DataFrame:
        """The rows from which a ranker learns for an exam: what was shown before it, and its hold-outs."""
        return self.rows.filter(pl.col("slice").str.starts_with(holdout_prefix(exam)))

    def nearest_holdout(self, exam: str) -> str:
        """The name of the exam's latest hold-out, whose users are known best.

        What was shown stands before the hold-outs, and these come in growing nearness, as `make_splits` makes them.
        """
        return str(self.lessons(exam)["slice"][-1])

    def with_shown(self, rows: pl.DataFrame) -> "RankingExamples":
        """The same, with rows of `shown_rows` before the others."""
        return replace(self, rows=pl.concat([rows, self.rows]))

    def save(self, folder: Path) -> None:
        """Write both tables and the feature set."""
        tables_writer(rows=self.rows, n_targets=self.n_targets)(folder)
        folder.joinpath("feature_set.json").write_text(json.dumps(self.feature_set, indent=1))

    @classmethod
    def load(cls, folder: Path) -> "RankingExamples":
        """Read what `save` wrote.

        Raises:
            ArtifactError: a file is absent or damaged.
        """
        rows, n_targets = (read_table(folder / f"{name}.parquet") for name in ("rows", "n_targets"))
        try:
            declared = json.loads(folder.joinpath("feature_set.json").read_text())
        except (OSError, ValueError) as fault:
            raise ArtifactError(f"the feature set in {folder} is missing or damaged: run `recsys refresh`") from fault
        return cls(rows=rows, n_targets=n_targets, feature_set=declared)


def slice_rows(name: str, inputs: RankingInputs, ratings: pl.DataFrame, splits: Splits) -> pl.DataFrame:
    """The labelled rows of one slice.

    Raises:
        DataError: the tower was fitted on anything else than what models of the slice may see.
    """
    tower, allowed = inputs.proposer.tower, ratings_digest(fit_ratings(ratings, splits, name))
    if tower.fitted_on != allowed:
        raise DataError(
            f"the tower of slice {name} was fitted on ratings {tower.fitted_on}, but its models may see exactly "
            f"{allowed}: rebuild two_tower, because its scores could know the answers"
        )
    item_idx = inputs.candidates.item_idx
    present = item_idx >= 0
    rows = pl.DataFrame(
        {
            "user_id": np.repeat(inputs.users.user_ids, item_idx.shape[1])[present.ravel()],
            "item_id": tower.catalogue.item_ids[item_idx[present]],
        }
    )
    liked = splits.targets.filter(slice=name).select("user_id", "item_id", label=pl.lit(1, pl.Int8))
    labelled = rows.join(liked, on=["user_id", "item_id"], how="left", maintain_order="left")
    features = pl.DataFrame(candidate_features(inputs)[present], schema=list(FEATURE_NAMES), orient="row")
    named = labelled.select(pl.lit(name).alias("slice"), "user_id", "item_id", pl.col("label").fill_null(0))
    return pl.concat([named, features], how="horizontal")


def make_examples(slices: list[pl.DataFrame], splits: Splits) -> RankingExamples:
    """All slices' rows in one table, with the number of targets of each of their users."""
    rows = pl.concat(slices)
    targets = splits.targets.join(rows.select("slice").unique(), on="slice", how="semi")
    counted = targets.group_by("slice", "user_id").agg(n_targets=pl.len().cast(pl.Int64)).sort("slice", "user_id")
    return RankingExamples(rows=rows, n_targets=counted, feature_set=feature_set())
