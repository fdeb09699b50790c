"""The evaluation report: all its tables, including the metrics of every user."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.data.histories import Catalogue, histories_of
from recsys_core.data.splits import TEST, development_windows
from recsys_core.evaluation.accuracy import COMPARED, HEADLINE, HEADLINE_METRICS, compare, per_user_metrics, summarise
from recsys_core.evaluation.beyond_accuracy import Audience, beyond_accuracy
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.funnel import Stages, fates, funnel
from recsys_core.evaluation.protocols import FROZEN, REFITTED, Questions, lists_table, of_window
from recsys_core.evaluation.segments import banded, metric_by_segment, recall_by_item_band, user_segments
from recsys_core.tables import load_tables, save_tables

OURS = "two-stage"
"""Our system in every table: retrieval, then ranking."""

POPULARITY = "popularity"
"""The baseline that every model must beat."""

RETRIEVAL_ONLY = "two-tower"
"""The order of retrieval alone, which ranking must improve."""

LONG = 100
"""Places of a long list: how far a better ranker could reach over the same candidates."""

ALL_WINDOWS, DEVELOPMENT = "all windows", "development"
"""Pools: all evaluation windows, and the windows on which settings are chosen."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The answers of one slice's models to some questions."""

    questions: Questions
    stages: Stages
    items: pl.DataFrame  # item_features of the slice
    trained_users: pl.Series  # ids of users with ratings before the cut-off


@dataclass(frozen=True, kw_only=True)
class EvalReport:
    """All tables of the report; the functions that make them document their columns.

    Accuracy covers every protocol and window, and pools of windows. The funnel and the metrics beyond accuracy cover
    the test window, refitted; segments of users and of items are pooled over all windows, refitted.
    """

    per_user: pl.DataFrame  # protocol, window, accuracy.per_user_metrics
    summary: pl.DataFrame  # accuracy.summarise
    comparison: pl.DataFrame  # accuracy.compare: ours against each other model
    fates: pl.DataFrame  # funnel.fates
    funnel: pl.DataFrame  # funnel.funnel
    breadth: pl.DataFrame  # beyond_accuracy
    user_slices: pl.DataFrame  # segments.metric_by_segment
    item_slices: pl.DataFrame  # segments.recall_by_item_band

    def save(self, folder: Path) -> None:
        """Write one Parquet file per table."""
        save_tables(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "EvalReport":
        """Read all tables."""
        return load_tables(cls, folder)

    def mean(self, model: str, metric: str = HEADLINE, *, window: str = ALL_WINDOWS, protocol: str = REFITTED) -> float:
        """One figure; the headline by default."""
        row = self.summary.filter(model=model, metric=metric, window=window, protocol=protocol)
        return float(row["mean"].item())

    def best_first(self, *, window: str = ALL_WINDOWS, protocol: str = REFITTED) -> list[str]:
        """The models by the headline metric, best first."""
        own = self.summary.filter(metric=HEADLINE, window=window, protocol=protocol)
        return own.sort("mean", descending=True, maintain_order=True)["model"].to_list()

    def baselines(self) -> list[str]:
        """The models that are not ours, best first."""
        return [model for model in self.best_first() if model not in (OURS, RETRIEVAL_ONLY)]

    def evaluation_windows(self) -> list[str]:
        """The evaluation windows, the earliest first."""
        return self.per_user.filter(protocol=REFITTED)["window"].unique(maintain_order=True).to_list()

    def headline(self) -> dict[str, float | int]:
        """The figures to follow from run to run, pooled over all windows; those of the test have it in their name."""
        lead, low, high = self.lead_over(POPULARITY)
        means = {metric: self.mean(OURS, metric) for metric in HEADLINE_METRICS}
        return {
            "n_users": self.summary.filter(window=ALL_WINDOWS, protocol=REFITTED, model=OURS)["n"][0],
            **means,
            "frozen_ndcg@10": self.mean(OURS, protocol=FROZEN),
            "test_ndcg@10": self.mean(OURS, window=TEST),
            "retrieval_ndcg@10": self.mean(RETRIEVAL_ONLY),
            "popularity_ndcg@10": self.mean(POPULARITY),
            "lead_over_popularity": lead,
            "lead_over_popularity_low": low,
            "lead_over_popularity_high": high,
        }

    def lead_over(
        self, other: str, *, window: str = ALL_WINDOWS, metric: str = HEADLINE, kind: str = "difference"
    ) -> tuple[float, float, float]:
        """(mean, low, high) of ours against theirs when refitted, paired by user."""
        rows = self.comparison.filter(protocol=REFITTED, window=window, metric=metric)
        row = rows.filter(other=other, kind=kind).row(0, named=True)
        return row["mean"], row["low"], row["high"]


def evaluate(answered: Sequence[Answered], baselines: pl.DataFrame, config: EvaluationConfig) -> EvalReport:
    """Evaluate our lists and those of the baselines by one protocol after the other.

    Args:
        answered: the answers of our models, of every evaluation slice.
        baselines: protocol, window, RANKED_LISTS of the tuned baselines for the same users.
        config: k, draws and seed.
    """
    lists = pl.concat([*(_our_lists(one) for one in answered), baselines])
    targets = pl.concat([of_window(one.questions, one.questions.targets) for one in answered])
    per_user = _per_user(lists, targets)
    refitted = [one for one in answered if one.questions.protocol == REFITTED]
    tested = [one for one in refitted if one.questions.window == TEST]
    test_lists = lists.filter(protocol=REFITTED, window=TEST).drop("protocol", "window")
    bands = pl.concat([banded(of_window(one.questions, one.questions.targets), one.items) for one in refitted])
    target_fates = pl.concat([fates(one.stages, one.questions.targets, config.k) for one in tested])
    return EvalReport(
        per_user=per_user,
        summary=summarise(pooled(per_user), config),
        comparison=compare(pooled(per_user).filter(_is_compared()), OURS, COMPARED, config),
        fates=target_fates,
        funnel=funnel(target_fates),
        breadth=beyond_accuracy(test_lists, _audience(tested), config.k),
        user_slices=metric_by_segment(per_user.filter(protocol=REFITTED), _user_segments(refitted), HEADLINE, config),
        item_slices=recall_by_item_band(lists.filter(protocol=REFITTED), bands, (config.k, LONG)),
    )


def pooled(per_user: pl.DataFrame) -> pl.DataFrame:
    """`per_user` of each window, and again under the names of the pools that the window belongs to."""
    windows = per_user["window"].unique(maintain_order=True).to_list()
    everything = per_user.with_columns(window=pl.lit(ALL_WINDOWS))
    is_development = pl.col("window").is_in(development_windows(windows))
    tuned_on = per_user.filter(is_development).with_columns(window=pl.lit(DEVELOPMENT))
    return pl.concat([everything, tuned_on, per_user])


def _is_compared() -> pl.Expr:
    """Rows that get intervals of differences: pools and the test; for other protocols, the pool of all windows."""
    is_pool = pl.col("window").is_in([ALL_WINDOWS, DEVELOPMENT, TEST])
    return pl.when(pl.col("protocol") == REFITTED).then(is_pool).otherwise(pl.col("window") == ALL_WINDOWS)


def _our_lists(one: Answered) -> pl.DataFrame:
    stages = one.stages
    tables = [
        lists_table(name, stages.users.user_ids, listed, stages.catalogue)
        for name, listed in ((OURS, stages.ranked), (RETRIEVAL_ONLY, stages.found))
    ]
    return of_window(one.questions, pl.concat(tables))


def _per_user(lists: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """protocol, window, then `per_user_metrics`; in the order of the windows."""
    tables, listed = [], lists.partition_by("protocol", "window", as_dict=True)
    for (protocol, window), own in targets.group_by("protocol", "window", maintain_order=True):
        table = per_user_metrics(listed.get((protocol, window), lists.clear()), own)
        tables.append(table.select(pl.lit(protocol).alias("protocol"), pl.lit(window).alias("window"), *table.columns))
    return pl.concat(tables)


def _user_segments(answered: Sequence[Answered]) -> pl.DataFrame:
    return pl.concat(
        [
            user_segments(one.stages.users, one.trained_users).select(
                pl.lit(one.questions.window).alias("window"), pl.all()
            )
            for one in answered
        ]
    )


def _audience(answered: Sequence[Answered]) -> Audience:
    """All users of some slices, in the numbers of all their items as of the last slice that has them."""
    last = answered[-1]
    items = pl.concat([one.items for one in answered]).unique("item_id", keep="last").sort("item_id")
    catalogue = Catalogue(item_ids=items["item_id"].to_numpy())
    known = pl.concat([one.questions.known for one in answered])
    user_ids = np.sort(np.concatenate([one.stages.users.user_ids for one in answered]))
    return Audience(
        users=histories_of(known, catalogue, user_ids),
        catalogue=catalogue,
        items=items,
        n_trained_users=len(last.trained_users),
    )
