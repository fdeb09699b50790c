"""What is each setting of the towers and of the ranker worth?

Usage:
    python -m benchmarks.ablations [tower|ranker] [SEED ...]

Each row changes one setting from its default. All figures are of the development windows, answered by models that had
not seen them; the last two windows are not read. Each row is compared with the defaults, paired by answer. Differences
below the spread over seeds mean nothing, and among many rows some look good by chance, so the number of rows is
printed.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from benchmarks.development import KEYS, chance_note, development_questions, difference, signed, until_development_ends
from benchmarks.seeds import Tables
from recsys_assets.resources import lake_root
from recsys_core.evaluation.accuracy import per_user_metrics
from recsys_core.evaluation.protocols import lists_table, of_window
from recsys_core.features.tables import of_slice
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.metrics.uncertainty import seed_spread
from recsys_core.ranking.config import NO_RULES, RankerConfig
from recsys_core.ranking.diagnostics import validate_ranker
from recsys_core.ranking.inputs import generate_candidates, generator_of
from recsys_core.ranking.ranker import Ranker
from recsys_core.ranking.rankers import fit_rankers, scored_window
from recsys_core.ranking.training_rows import RankingExamples
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.training import fit_retrieval_models

Setting = Mapping[str, float]

CLOSED_FORM_ALONE = 100.0
"""The largest allowed weight; with it, the trained half only decides ties."""

TOWER: Sequence[Setting] = (
    {},
    {"closed_form_weight": 0.0},
    {"closed_form_weight": CLOSED_FORM_ALONE},
    {"closed_form_weight": 0.5},
    {"closed_form_weight": 2.0},
    {"closed_form_dim": 64},
    {"closed_form_dim": 256},
    {"closed_form_recency": 0.0},
    {"closed_form_recency": 0.3},
    {"recent_weight": 0.0},
    {"recent_weight": 1.5},
    {"dim": 32},
    {"dim": 128},
    {"n_epochs": 30},
    {"n_epochs": 100},
    {"refit_epochs": 4},
    {"refit_epochs": 16},
    {"refit_learning_rate": 0.0025},
    {"refit_learning_rate": 0.01},
    {"temporal_share": 0.0},
    {"temporal_share": 0.5},
    {"temporal_share": 1.0},
    {"trend_weight": 0.0},
    {"trend_weight": 1.0},
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
    {"max_depth": 5},
    {"min_child_weight": 1},
    {"row_share": 1.0},
    {"column_share": 1.0},
    {"l2": 1},
    {"n_pairs": 10},
    {"n_pairs": 50},
)


def tower_answers(tables: Tables, setting: Setting) -> pl.DataFrame:
    """window, user_id, NDCG@10 and recall@100 of retrieval alone, all parts together."""
    splits, items = until_development_ends(tables.splits), tables.features.items
    models = fit_retrieval_models(tables.ratings, items, splits, TwoTowerConfig.model_validate(setting))
    answered = []
    for name, asked in development_questions(tables.ratings, tables.splits):
        generator = generator_of(models[name], of_slice(items, name))
        inputs = generate_candidates(generator, asked.known, asked.requests, n_candidates=100)
        found, catalogue = inputs.candidates.item_idx, models[name].catalogue
        lists = lists_table("retrieval", inputs.users.user_ids, found, catalogue)
        answered.append(of_window(asked, per_user_metrics(lists, asked.targets)).select(*KEYS, "ndcg@10", "recall@100"))
    return pl.concat(answered)


def ranker_answers(examples: RankingExamples, setting: Setting) -> pl.DataFrame:
    """window, user_id, NDCG@10, MAP@10, recall@100 of each window's ranker, over the candidates that the lake holds."""
    rankers = fit_rankers(examples, RankerConfig.model_validate(setting), NO_RULES)
    return pl.concat([_ranked(rankers.window_rankers[window], examples, window) for window in examples.development])


def _ranked(ranker: Ranker, examples: RankingExamples, window: str) -> pl.DataFrame:
    first = scored_window(ranker, examples, window).sort("score", descending=True, maintain_order=True)
    likes = first.group_by("user_id").head(100).group_by("user_id").agg(n_found=pl.col("label").sum())
    recall = examples.targets_of(window).join(likes, on="user_id", how="left").select(
        "user_id", (pl.col("n_found").fill_null(0) / pl.col("n_targets")).alias("recall@100")
    )  # fmt: skip
    ordered = validate_ranker(ranker, examples, window).filter(order="ranking")
    named = ordered.select(pl.lit(window).alias("window"), "user_id", pl.col("ndcg", "map").name.suffix("@10"))
    return named.join(recall, on="user_id")


def table(settings: Sequence[Setting], seeds: Sequence[int], measure: Callable[[Setting], pl.DataFrame]) -> str:
    """A row per setting: mean and standard deviation over the seeds of each figure, and what it moves NDCG@10 by.

    The difference is that of each answer's mean over the seeds, to the first setting, with its interval over users.
    """
    rows, names = [], ["setting"]
    first: pl.DataFrame | None = None
    for setting in settings:
        by_seed = [measure({**setting, "seed": seed}) for seed in seeds]
        figures = [name for name in by_seed[0].columns if name not in KEYS]
        spreads = {name: seed_spread([one[name].to_numpy().mean() for one in by_seed]) for name in figures}
        own = pl.concat(by_seed).group_by(*KEYS).agg(pl.col(figures).mean())
        moved = "" if first is None else signed(difference(own, first, "ndcg@10"))
        first = own if first is None else first
        label = ", ".join(f"{name} {value:g}" for name, value in setting.items()) or "defaults"
        rows.append([label, *(f"{one.mean:.4f} ± {one.sd:.4f}" for one in spreads.values()), moved])
        names = ["setting", *spreads, "difference of NDCG@10 [95 %]"]
    return f"{markdown_table(names, rows)}\n\n{chance_note(len(settings) - 1)}"


def main(arguments: list[str]) -> None:
    """Print the requested table; both tables without an argument."""
    wanted = [one for one in arguments if not one.isdigit()] or ["tower", "ranker"]
    seeds = [int(one) for one in arguments if one.isdigit()] or [17, 18, 19]
    if "tower" in wanted:
        tables = Tables.load(lake_root())
        print(table(TOWER, seeds, lambda setting: tower_answers(tables, setting)))
    if "ranker" in wanted:
        examples = RankingExamples.load(Lake(lake_root()).open("ranking_examples"))
        print(table(RANKER, seeds, lambda setting: ranker_answers(examples, setting)))


if __name__ == "__main__":
    main(sys.argv[1:])
