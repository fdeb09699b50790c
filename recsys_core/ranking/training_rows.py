"""The ranker's training rows: candidates of past slices with their labels, and logged impressions.

For each slice, a retrieval model that never saw the labels generates candidates, features are computed from the data
before the request, and the label says whether the user liked the item later. Scores of a model that was fitted on the
labels would look far better in training than when serving: a ranker trained on such scores was worse than none.

Impressions add a signal that ratings lack: items that a user saw and left alone. The logged features came from the
release of that day, whose scores are on another scale. So the features are computed again by the latest model of the
chain before the request: it was not fitted on the outcome, and its scores compare with those of all other rows.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.data.histories import rating_log_of
from recsys_core.data.splits import NOW, Splits, Windows, known_ratings
from recsys_core.errors import REBUILD, ArtifactError, DataError
from recsys_core.features.exposures import exposure_log
from recsys_core.features.registry import FEATURE_NAMES, FeatureSet, feature_set
from recsys_core.features.schemas import EXAMPLE_KEYS
from recsys_core.features.tables import SliceFeatures, of_slice
from recsys_core.ranking.config import ShownConfig
from recsys_core.ranking.inputs import (
    CandidateGenerator,
    ModelOf,
    RankingInputs,
    candidate_features,
    generate_candidates,
    generate_candidates_for,
    generator_of,
)
from recsys_core.ranking.schemas import SHOWN
from recsys_core.retrieval.model import fitted_digest
from recsys_core.tables import read_table, tables_writer


@dataclass(frozen=True, kw_only=True)
class RankingExamples(Windows):
    """Training rows: slice, user_id, item_id, label (0 or 1), known_at, then the features in the order of the registry.

    Rows of one (slice, user_id) are adjacent, in retrieval order or as they were shown, and form one group of the
    ranking loss. `known_at` is the first second in which a label is final. `n_targets` has slice, user_id, n_targets:
    the number of all targets, those that retrieval missed included. `cutoffs` assigns the slices to windows. The
    feature set describes the columns: with another one the examples differ, even if all values are equal.
    """

    rows: pl.DataFrame
    n_targets: pl.DataFrame
    feature_set: FeatureSet

    @property
    def last_known_at(self) -> int:
        """First second (UTC) by which every label is known, of windows and of impressions."""
        return max(self.start_of(NOW), int(self.rows["known_at"].max()))  # type: ignore[arg-type]  # never null

    def known_before(self, moment: int) -> pl.DataFrame:
        """The rows whose labels are known at a time (seconds UTC): training rows of a ranker that is fitted then."""
        return self.rows.filter(pl.col("known_at") <= moment)

    @property
    def known_until(self) -> int:
        """First second by which the labels of all rows are known: the serving ranker is trained on data before it."""
        return int(self.rows["known_at"].max())  # type: ignore[arg-type]  # never null

    def of_window(self, window: str) -> pl.DataFrame:
        """The rows of a window."""
        return self.rows.filter(pl.col("slice").is_in(self.slices_of(window)))

    def targets_of(self, window: str) -> pl.DataFrame:
        """user_id, n_targets of every user of a window, sorted by user."""
        asked = self.n_targets.filter(pl.col("slice").is_in(self.slices_of(window)))
        return asked.select("user_id", "n_targets").sort("user_id")

    def with_shown(self, rows: pl.DataFrame) -> "RankingExamples":
        """The same, with rows of `shown_rows` before the others."""
        return replace(self, rows=pl.concat([rows, self.rows]))

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


@dataclass(frozen=True, kw_only=True)
class LoggedFeedback:
    """Logged feedback on impressions.

    Attributes:
        outcomes: OUTCOMES_COLUMNS of every slot with a final label.
        clicks: user_id, item_id, timestamp of every click.
    """

    outcomes: pl.DataFrame
    clicks: pl.DataFrame


def examples_of_slices(
    ratings: pl.DataFrame,
    splits: Splits,
    features: SliceFeatures,
    model_of: ModelOf,
    *,
    n_candidates: int,
    clicks: pl.DataFrame | None = None,
) -> RankingExamples:
    """Candidates, features and labels of every slice with users.

    Args:
        ratings: RATINGS columns, every rating that was ever given.
        splits: slices with their targets.
        features: of every slice.
        model_of: the model of a slice, fitted on the ratings that its models may see.
        n_candidates: candidates per user.
        clicks: IMPLICIT_COLUMNS that the models were fitted on in addition to the ratings, if any.
    """
    slices = []
    for name in splits.asking:
        inputs = generate_candidates(
            generator_of(model_of(name), of_slice(features.items, name)),
            known_ratings(ratings, splits, name),
            splits.requests(name),
            user_rows=of_slice(features.users, name),
            n_candidates=n_candidates,
        )
        slices.append(slice_rows(name, inputs, ratings, splits, clicks))
    return make_examples(slices, splits)


def shown_rows(
    logged: LoggedFeedback,
    ratings: pl.DataFrame,
    splits: Splits,
    items: pl.DataFrame,
    model_of: ModelOf,
    config: ShownConfig,
) -> pl.DataFrame:
    """Rows of `RankingExamples` from logged impressions: each request is a slice of its own.

    Requests of unknown users, requests before the first slice, and requests in which all or none of the remaining slots
    were liked are left out: the last have no order to learn. Slots that the user may not have examined are left out,
    and so are slots whose item is no candidate of the model of that time. Features still count every impression before
    a request.

    Args:
        logged: impressions and their outcomes.
        ratings: RATINGS columns, every rating that was ever given.
        splits: the chain.
        items: `item_features_by_slice`.
        model_of: the model of a slice.
        config: limits.

    Returns:
        slice, user_id, item_id, label, known_at, features; slots of a request adjacent, in the order of retrieval.
    """
    known = logged.outcomes.filter(pl.col("user_id").is_not_null())
    usable = _latest_requests(_examined_slots(known), config.most_shown_per_user)
    names = [name for name in splits.names if name != NOW]
    starts = np.array([splits.fit_end(name) for name in names])
    at = np.searchsorted(starts, usable["shown_at"].to_numpy(), side="right") - 1
    parts = [_empty()]
    for number in np.unique(at[at >= 0]):
        own, name = usable.filter(at == number), names[number]
        generator = generator_of(model_of(name), of_slice(items, name))
        parts.append(_rescored(own, logged, ratings, generator, config.n_candidates))
    return _with_both_labels(pl.concat(parts))


def slice_rows(
    name: str, inputs: RankingInputs, ratings: pl.DataFrame, splits: Splits, clicks: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The labelled rows of one slice.

    Raises:
        DataError: the model was fitted on other ratings than models of the slice may see.
    """
    model, allowed = inputs.generator.model, fitted_digest(ratings, clicks, splits, name)
    if model.fitted_on != allowed:
        raise DataError(
            f"the model of slice {name} was fitted on ratings {model.fitted_on}, but its models may see exactly "
            f"{allowed}: rebuild two_tower, because its scores may depend on the labels"
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
    """user_id, item_id, features of every candidate of some requests, in the order of retrieval within a user."""
    item_idx = inputs.candidates.item_idx
    present = item_idx >= 0
    features = pl.DataFrame(candidate_features(inputs)[present], schema=list(FEATURE_NAMES), orient="row")
    return features.select(
        pl.Series("user_id", np.repeat(inputs.users.user_ids, item_idx.shape[1])[present.ravel()]),
        pl.Series("item_id", inputs.generator.model.catalogue.item_ids[item_idx[present]]),
        pl.all(),
    )


def make_examples(slices: list[pl.DataFrame], splits: Splits) -> RankingExamples:
    """All slices' rows in one table, with the number of targets of each of their users."""
    rows = pl.concat(slices)
    targets = splits.targets.join(rows.select("slice").unique(), on="slice", how="semi")
    counted = targets.group_by("slice", "user_id").agg(n_targets=pl.len().cast(pl.Int64)).sort("slice", "user_id")
    return RankingExamples(rows=rows, n_targets=counted, cutoffs=splits.cutoffs, feature_set=feature_set())


def _examined_slots(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The slots down to one below the last like of a request: the user examined at least these.

    Source: Joachims et al. (2005), doi:10.1145/1076034.1076063, "click > skip above" and "next".
    """
    last_like = pl.col("position").filter(pl.col("label") == 1).max().over("request_id")
    return outcomes.filter(pl.col("position") <= last_like + 1)


def _latest_requests(outcomes: pl.DataFrame, most_per_user: int) -> pl.DataFrame:
    """The latest requests of each user, as rows in the order in which they were shown."""
    requests = outcomes.group_by("user_id", "request_id").agg(pl.col("shown_at").max())
    latest = requests.sort("shown_at", "request_id", descending=True).group_by("user_id").head(most_per_user)
    kept = outcomes.join(latest, on="request_id", how="semi", maintain_order="left")
    return kept.sort("shown_at", "request_id", "position")


def _with_both_labels(rows: pl.DataFrame) -> pl.DataFrame:
    n_likes = pl.col("label").sum().over("slice")
    return rows.filter(n_likes > 0, n_likes < pl.len().over("slice"))


def _rescored(
    slots: pl.DataFrame, logged: LoggedFeedback, ratings: pl.DataFrame, generator: CandidateGenerator, n_candidates: int
) -> pl.DataFrame:
    """The rows of some slots, with features computed again as of their request."""
    requests = slots.unique("request_id", keep="first", maintain_order=True).with_row_index("row")
    times = requests["shown_at"].to_numpy()
    user_ids, catalogue = requests["user_id"].to_numpy(), generator.model.catalogue
    users = rating_log_of(ratings, catalogue).before(user_ids, times)
    exposures = exposure_log(logged.outcomes, logged.clicks, catalogue).before(user_ids, times)
    inputs = replace(generate_candidates_for(generator, users, times, n_candidates=n_candidates), exposures=exposures)
    numbered = slots.join(requests.select("request_id", "row"), on="request_id", maintain_order="left")
    rows = numbered["row"].cast(pl.Int64).to_numpy()
    item_idx = catalogue.idx_of(numbered["item_id"].to_numpy())
    is_item = (inputs.candidates.item_idx[rows] == item_idx[:, None]) & (item_idx[:, None] >= 0)
    place, found = is_item.argmax(axis=1), is_item.any(axis=1)
    features = candidate_features(inputs)[rows, place]
    named = numbered.select(
        pl.concat_str(pl.lit(SHOWN), "request_id").alias("slice"),
        "user_id",
        "item_id",
        "label",
        known_at="settled_at",
        place=pl.Series(place),
    )
    joined = pl.concat([named, pl.DataFrame(features, schema=list(FEATURE_NAMES), orient="row")], how="horizontal")
    ordered = joined.filter(found).sort("slice", "place", maintain_order=True)
    return ordered.unique(["slice", "item_id"], keep="first", maintain_order=True).drop("place")


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema={**EXAMPLE_KEYS, **dict.fromkeys(FEATURE_NAMES, pl.Float32())})
