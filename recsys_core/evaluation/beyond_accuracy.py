"""Beyond accuracy: coverage, exposure, novelty, popularity, diversity and genre calibration of the lists."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_core.data.histories import Catalogue, Histories
from recsys_core.evaluation.protocols import lists_array
from recsys_core.features.item_inputs import genre_matrix
from recsys_core.metrics import beyond_accuracy as beyond
from recsys_core.metrics.beyond_accuracy import class_shares, listed_sets, miscalibration
from recsys_core.metrics.ranked_lists import ItemSets, PerUser


@dataclass(frozen=True, kw_only=True)
class Audience:
    """The users who receive the lists, and the items; rows of `items` in the order of item_idx."""

    users: Histories
    catalogue: Catalogue
    items: pl.DataFrame  # item_features
    n_trained_users: int


def beyond_accuracy(lists: pl.DataFrame, audience: Audience, k: int) -> pl.DataFrame:
    """model, metric, value of the first k places of each model's lists, on average over users.

    coverage: share of the catalogue recommended to anybody. gini: 0 = all items are shown equally often, 1 = one item
    has all the exposure. novelty: bits. popularity: mean percentile of the items, 1 = the most popular. diversity:
    mean genre distance within a list. genre_miscalibration: KL from the user's taste, 0 = mirrored.
    """
    rows = []
    for (model,), own in lists.filter(pl.col("rank") <= k).group_by("model", maintain_order=True):
        values = _values(own, audience)
        rows += [{"model": str(model), "metric": name, "value": value} for name, value in values.items()]
    return pl.DataFrame(rows)


def _values(lists: pl.DataFrame, audience: Audience) -> dict[str, float]:
    users, items = audience.users, audience.items
    ranked = audience.catalogue.idx_of(lists_array(lists, users.user_ids))
    genres = genre_matrix(items["genres"])
    counts = items["n_ratings"].to_numpy()
    taste = class_shares(ItemSets(offsets=users.offsets, items=users.item_idx), genres)
    shown = class_shares(listed_sets(ranked), genres)
    return {
        "coverage": beyond.catalogue_coverage(ranked, audience.catalogue.n_items),
        "gini": beyond.gini_of_exposure(ranked, audience.catalogue.n_items),
        "novelty": _mean(beyond.novelty(ranked, counts, audience.n_trained_users)),
        "popularity": _mean(beyond.popularity_percentile(ranked, counts)),
        "diversity": _mean(beyond.intra_list_diversity(ranked, genres)),
        "genre_miscalibration": _mean(miscalibration(taste, shown)),
    }


def _mean(values: PerUser) -> float:
    """Mean over the users for whom the metric is defined; NaN without any, as diversity at k = 1."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
