"""The evaluation report: every table of it, made once and kept, values per user included."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_core.evaluation.accuracy import HEADLINE, per_user_metrics
from recsys_core.evaluation.breadth import Audience, breadth
from recsys_core.evaluation.comparison import compare, summarise
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.funnel import Stages, fates, funnel
from recsys_core.evaluation.lists import lists_table
from recsys_core.evaluation.slices import metric_by_slice, recall_by_item_band, user_slices
from recsys_core.tables import load_tables, save_tables

OURS = "two-stage"
"""Our system in every table: retrieval, then ranking."""

POPULARITY = "popularity"
"""The baseline that every model must beat before anything else is said of it."""

RETRIEVAL_ONLY = "two-tower"
"""The order of retrieval alone: what ranking has to improve on."""


@dataclass(frozen=True, kw_only=True)
class EvalReport:
    """All tables of the report; the functions that make them document their columns."""

    per_user: pl.DataFrame  # accuracy.per_user_metrics
    summary: pl.DataFrame  # comparison.summarise
    comparison: pl.DataFrame  # comparison.compare: ours against each other model
    fates: pl.DataFrame  # funnel.fates
    funnel: pl.DataFrame  # funnel.funnel
    breadth: pl.DataFrame  # breadth.breadth
    user_slices: pl.DataFrame  # slices.metric_by_slice
    item_slices: pl.DataFrame  # slices.recall_by_item_band

    def save(self, folder: Path) -> None:
        """Write one Parquet file per table."""
        save_tables(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "EvalReport":
        """Read all tables."""
        return load_tables(cls, folder)

    def mean(self, model: str, metric: str = HEADLINE) -> float:
        """One headline figure."""
        return float(self.summary.filter(model=model, metric=metric)["mean"].item())

    def headline(self) -> dict[str, float | int]:
        """The figures worth following from run to run."""
        lead, low, high = self.lead_over(POPULARITY)
        means = {
            metric: self.mean(OURS, metric) for metric in ("ndcg@10", "recall@10", "recall@100", "map@10", "hit@10")
        }
        return {
            "n_users": int(self.summary["n"].max()),  # type: ignore[arg-type]  # a count, never null
            **means,
            "retrieval_ndcg@10": self.mean(RETRIEVAL_ONLY),
            "popularity_ndcg@10": self.mean(POPULARITY),
            "lead_over_popularity": lead,
            "lead_over_popularity_low": low,
            "lead_over_popularity_high": high,
        }

    def lead_over(self, other: str) -> tuple[float, float, float]:
        """(mean, low, high) of our headline metric minus theirs, paired by user."""
        row = self.comparison.filter(other=other, kind="difference").row(0, named=True)
        return row["mean"], row["low"], row["high"]


def evaluate(
    stages: Stages, baselines: pl.DataFrame, targets: pl.DataFrame, audience: Audience, trained_users: pl.Series,
    config: EvaluationConfig,
) -> EvalReport:  # fmt: skip
    """Judge our lists and the baselines' by one protocol.

    Args:
        stages: what each of our stages passed on, for the evaluated users.
        baselines: RANKED_LISTS of the tuned baselines for the same users.
        targets: user_id, item_id of every held-out like.
        audience: the users and items, for what goes beyond accuracy.
        trained_users: ids of users with ratings before the cut-off.
        config: k, draws and seed.
    """
    users, catalogue = stages.users, stages.catalogue
    ours = [
        lists_table(OURS, users.user_ids, stages.ranked, catalogue),
        lists_table(RETRIEVAL_ONLY, users.user_ids, stages.found, catalogue),
    ]
    lists = pl.concat([*ours, baselines])
    per_user = per_user_metrics(lists, targets)
    target_fates = fates(stages, targets, config.k)
    return EvalReport(
        per_user=per_user,
        summary=summarise(per_user, config),
        comparison=compare(per_user, OURS, HEADLINE, config),
        fates=target_fates,
        funnel=funnel(target_fates),
        breadth=breadth(lists, audience, config.k),
        user_slices=metric_by_slice(per_user, user_slices(users, trained_users), HEADLINE, config),
        item_slices=recall_by_item_band(lists, targets, audience.items, config.k),
    )
