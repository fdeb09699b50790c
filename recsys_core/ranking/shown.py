"""Shown slots whose outcome is known -> rows that the ranker learns from, beside those of the windows.

They are what no rating can give: items that were in front of a user and left alone. The features that were logged came
from the release of that day, whose scores are on a scale of its own. So they are computed again, by the retriever of
the chain that is the latest before the request: it knows nothing of the outcome, and its scores are like those of all
other rows.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from recsys_core.data.histories import chronicle_of
from recsys_core.data.splits import NOW, Splits
from recsys_core.features.exposures import exposure_log
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.features.schemas import EXAMPLE_KEYS
from recsys_core.features.tables import of_slice
from recsys_core.ranking.config import ShownConfig
from recsys_core.ranking.inputs import Proposer, TowerOf, candidate_features, propose_to, proposer_of

SHOWN = "shown/"
"""How the name of a slice begins that is one request: `shown/<request_id>`."""


def is_shown() -> pl.Expr:
    """Whether a row of the examples is of a slot that was really shown."""
    return pl.col("slice").str.starts_with(SHOWN)


@dataclass(frozen=True, kw_only=True)
class LoggedFeedback:
    """What the log tells of everything that was shown.

    Attributes:
        outcomes: OUTCOMES_COLUMNS of every slot that can be judged.
        clicks: user_id, item_id, timestamp of every click.
    """

    outcomes: pl.DataFrame
    clicks: pl.DataFrame


def shown_rows(
    logged: LoggedFeedback,
    ratings: pl.DataFrame,
    splits: Splits,
    items: pl.DataFrame,
    tower_of: TowerOf,
    config: ShownConfig,
) -> pl.DataFrame:
    """Rows of `RankingExamples`: each request is a slice of its own, its label known when the time for an answer ended.

    Left out are requests of unknown users, requests from before the first slice, and those in which all or none of the
    remaining slots were liked, since they teach no order; slots that nobody may have looked at; and slots whose item
    the retriever of the time does not propose. What was shown before a request counts for its features all the same.

    Args:
        logged: what was shown, and what came of it.
        ratings: RATINGS columns, every rating that was ever given.
        splits: the chain.
        items: `item_features_by_slice`.
        tower_of: the tower of a slice.
        config: bounds.

    Returns:
        slice, user_id, item_id, label, known_at, features; a request's slots together, in the order of retrieval.
    """
    known = logged.outcomes.filter(pl.col("user_id").is_not_null())
    usable = _telling(_looked_at(known), config.most_shown_per_user)
    names = [name for name in splits.names if name != NOW]
    starts = np.array([splits.fit_end(name) for name in names])
    at = np.searchsorted(starts, usable["shown_at"].to_numpy(), side="right") - 1
    parts = [_empty()]
    for number in np.unique(at[at >= 0]):
        own, name = usable.filter(at == number), names[number]
        proposer = proposer_of(tower_of(name), of_slice(items, name))
        parts.append(_scored_again(own, logged, ratings, proposer, config.n_candidates))
    return _only_orders(pl.concat(parts))


def _looked_at(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The slots down to one below the last like of a request: how far the user looked for certain, and one more.

    Source: Joachims et al. (2005), doi:10.1145/1076034.1076063, "click > skip above" and "next".
    """
    last_like = pl.col("position").filter(pl.col("label") == 1).max().over("request_id")
    return outcomes.filter(pl.col("position") <= last_like + 1)


def _telling(outcomes: pl.DataFrame, most_per_user: int) -> pl.DataFrame:
    """The latest requests of each user, as rows in the order in which they were shown."""
    requests = outcomes.group_by("user_id", "request_id").agg(pl.col("shown_at").max())
    latest = requests.sort("shown_at", "request_id", descending=True).group_by("user_id").head(most_per_user)
    kept = outcomes.join(latest, on="request_id", how="semi", maintain_order="left")
    return kept.sort("shown_at", "request_id", "position")


def _only_orders(rows: pl.DataFrame) -> pl.DataFrame:
    n_likes = pl.col("label").sum().over("slice")
    return rows.filter(n_likes > 0, n_likes < pl.len().over("slice"))


def _scored_again(
    slots: pl.DataFrame, logged: LoggedFeedback, ratings: pl.DataFrame, proposer: Proposer, n_candidates: int
) -> pl.DataFrame:
    """The rows of some slots, with the features that a retriever gives them as of their request."""
    requests = slots.unique("request_id", keep="first", maintain_order=True).with_row_index("row")
    times = requests["shown_at"].to_numpy()
    user_ids, catalogue = requests["user_id"].to_numpy(), proposer.tower.catalogue
    users = chronicle_of(ratings, catalogue).before(user_ids, times)
    exposures = exposure_log(logged.outcomes, logged.clicks, catalogue).before(user_ids, times)
    inputs = replace(propose_to(proposer, users, times, n_candidates=n_candidates), exposures=exposures)
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
