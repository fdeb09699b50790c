"""What is each setting of the towers and of the ranker worth?

Usage:
    python -m benchmarks.ablations [tower|ranker] [SEED ...]

One setting at a time is moved from its default, the rest stay. Towers are judged on the last slice of each development
window, each trained from nothing, and rankers on all development windows, each by the ranker of that window; the last
two windows are not read. Differences below the spread over seeds mean nothing, so look at it first.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from benchmarks.seeds import Tables
from recsys_assets.resources import lake_root
from recsys_core.data.histories import histories_of
from recsys_core.data.splits import fit_ratings, known_ratings, relevant_items
from recsys_core.evaluation.rendering import markdown_table
from recsys_core.features.slices import of_slice
from recsys_core.lake.store import Lake
from recsys_core.metrics.ranking import ndcg_at_k, recall_at_k
from recsys_core.metrics.relevance import Counts, Hits, PerUser, hits_of
from recsys_core.metrics.uncertainty import seed_spread
from recsys_core.ranking.config import NO_RULES, RankerConfig
from recsys_core.ranking.examples import RankingExamples
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.rankers import fit_rankers, scored_window
from recsys_core.ranking.validation import validate_ranker
from recsys_core.retrieval.candidates import exact_candidates
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.encoding import item_vectors, user_vectors
from recsys_core.retrieval.training import fit_two_tower

Setting = Mapping[str, float]
Figures = dict[str, float]

CLOSED_FORM_ALONE = 100.0
"""The largest weight that the settings allow: beside it the trained half decides ties alone."""

TOWER: Sequence[Setting] = (
    {},
    {"closed_form_weight": 0.0},
    {"closed_form_weight": CLOSED_FORM_ALONE},
    {"closed_form_weight": 0.5},
    {"closed_form_weight": 2.0},
    {"closed_form_dim": 64},
    {"closed_form_dim": 256},
    {"closed_form_recency": 0.0},
    {"closed_form_recency": 0.4},
    {"dim": 32},
    {"dim": 128},
    {"n_epochs": 30},
    {"n_epochs": 80},
    {"temporal_share": 0.0},
    {"temporal_share": 0.5},
    {"temporal_share": 1.0},
    {"trend_weight": 0.0},
    {"trend_weight": 1.0},
    {"recent_weight": 0.0},
    {"recent_weight": 1.5},
    {"recent_share": 0.1},
    {"history_dropout": 0.0, "vector_dropout": 0.0},
    {"history_dropout": 0.5, "vector_dropout": 0.5},
    {"other_weight": 0.0},
    {"other_weight": 1.0},
    {"learning_rate": 0.005},
    {"full_softmax_until": 0},
    {"full_softmax_until": 0, "n_negatives": 512},
)

RANKER: Sequence[Setting] = (
    {},
    {"tail_step": 1},
    {"tail_step": 100},
    {"top_candidates": 40, "tail_step": 100},
    {"n_rounds": 50},
    {"n_rounds": 200},
    {"learning_rate": 0.02, "n_rounds": 250},
    {"max_depth": 2},
    {"max_depth": 4},
    {"min_child_weight": 20},
    {"half_life_days": 1461},
    {"half_life_days": 3652},
    {"row_share": 1.0},
    {"column_share": 1.0},
    {"l2": 1},
    {"n_pairs": 10},
    {"n_pairs": 50},
)


def tower_figures(tables: Tables, setting: Setting) -> Figures:
    """NDCG@10 and recall@100 of retrieval alone, all parts together, over the users of some slices."""
    config = TwoTowerConfig.model_validate(setting)
    ndcg, recall = [], []
    for window in tables.splits.development:
        name = [one for one in tables.splits.slices_of(window) if one in tables.splits.asking][-1]
        hits, counts = _found(tables, name, config)
        ndcg.append(ndcg_at_k(hits[:, :10], counts))
        recall.append(recall_at_k(hits, counts))
    return {"ndcg@10": float(np.concatenate(ndcg).mean()), "recall@100": float(np.concatenate(recall).mean())}


def _found(tables: Tables, name: str, config: TwoTowerConfig) -> tuple[Hits, Counts]:
    """Which of the first hundred are hits, and how many were to be found, of the users of a slice."""
    splits = tables.splits
    seen = fit_ratings(tables.ratings, splits, name)
    tower = fit_two_tower(seen, of_slice(tables.items, name), splits.fit_end(name), config)
    users = histories_of(known_ratings(tables.ratings, splits, name), tower.catalogue, splits.users_of(name))
    found = exact_candidates(item_vectors(tower), user_vectors(tower, users), users, 100).item_idx
    relevant = relevant_items(splits.targets.filter(slice=name), users.user_ids)
    return hits_of(np.where(found >= 0, tower.catalogue.item_ids[found], -1), relevant), relevant.counts


def ranker_figures(examples: RankingExamples, setting: Setting) -> Figures:
    """NDCG@10, MAP@10 and recall@100 over the development windows, over the candidates that the lake holds."""
    examined = fit_rankers(examples, RankerConfig.model_validate(setting), NO_RULES).examined
    windows = examples.development
    per_user = pl.concat([validate_ranker(examined[one], examples, one).filter(order="ranking") for one in windows])
    return {
        "ndcg@10": float(per_user["ndcg"].to_numpy().mean()),
        "map@10": float(per_user["map"].to_numpy().mean()),
        "recall@100": float(np.concatenate([_recall_at_100(examined[one], examples, one) for one in windows]).mean()),
    }


def _recall_at_100(ranker: Ranker, examples: RankingExamples, window: str) -> PerUser:
    scored = scored_window(ranker, examples, window)
    found = scored.sort("score", descending=True, maintain_order=True).group_by("user_id").head(100)
    likes = found.group_by("user_id").agg(n_found=pl.col("label").sum())
    targets = examples.targets_of(window).join(likes, on="user_id", how="left")
    return (targets["n_found"].fill_null(0) / targets["n_targets"]).to_numpy()


def table(settings: Sequence[Setting], seeds: Sequence[int], measure: Callable[[Setting], Figures]) -> str:
    """A row per setting: mean and standard deviation over the seeds of each figure."""
    rows, names = [], ["setting"]
    for setting in settings:
        by_seed = [measure({**setting, "seed": seed}) for seed in seeds]
        spreads = {name: seed_spread([one[name] for one in by_seed]) for name in by_seed[0]}
        label = ", ".join(f"{name} {value:g}" for name, value in setting.items()) or "defaults"
        rows.append([label, *(f"{one.mean:.4f} ± {one.sd:.4f}" for one in spreads.values())])
        names = ["setting", *spreads]
    return markdown_table(names, rows)


def main(arguments: list[str]) -> None:
    """Print the table of what was asked for; both without an argument."""
    wanted = [one for one in arguments if not one.isdigit()] or ["tower", "ranker"]
    seeds = [int(one) for one in arguments if one.isdigit()] or [17, 18, 19]
    if "tower" in wanted:
        tables = Tables.load(lake_root())
        print(table(TOWER, seeds, lambda setting: tower_figures(tables, setting)))
    if "ranker" in wanted:
        examples = RankingExamples.load(Lake(lake_root()).open("ranking_examples"))
        print(table(RANKER, seeds, lambda setting: ranker_figures(examples, setting)))


if __name__ == "__main__":
    main(sys.argv[1:])
