"""What do missing and stale features cost?

Usage:
    python -m benchmarks.degraded

Each row asks the questions of the development windows again with something taken away, of the models of their step and
of the rankers that had not seen them: NDCG@10 and recall@100 over all answers, and the paired difference of NDCG@10 to
the whole system with its 95 % bootstrap interval over users. Nothing is trained. Where a default stands for what is
gone, the last rows show what the alternatives would do: leave a gap, or go on with the old value.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.development import Exam, difference, luck, signed
from recsys_assets.resources import lake_root
from recsys_core.arrays import Float32s
from recsys_core.evaluation.accuracy import per_user_metrics
from recsys_core.evaluation.protocols import lists_table, of_window
from recsys_core.features.registry import names_of
from recsys_core.features.tables import item_features
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.ranking.inputs import CandidateGenerator, candidate_features, generate_candidates, generator_of
from recsys_core.ranking.lists import rank_by_features
from recsys_core.seeding import child

YEAR = 365 * 86_400
ITEM_FEATURES = slice(0, len(names_of("item")))


def asked(
    exam: Exam,
    *,
    items: pl.DataFrame | None = None,
    known: pl.DataFrame | None = None,
    edit: Callable[[Float32s], None] | None = None,
    as_of: int | None = None,
) -> pl.DataFrame:
    """Every user's metrics, with other items, other histories, edited features, or items of another date."""
    generator: CandidateGenerator = generator_of(exam.model, exam.items if items is None else items)
    if as_of is not None:
        generator = replace(generator, items=replace(generator.items, as_of=as_of))
    inputs = generate_candidates(
        generator,
        exam.questions.known if known is None else known,
        exam.questions.requests,
        n_candidates=exam.ranker.n_candidates,
    )
    features = candidate_features(inputs)
    if edit is not None:
        edit(features)
    ranked = rank_by_features(exam.ranker, inputs.candidates, features)
    lists = lists_table("ours", inputs.users.user_ids, ranked.item_idx, exam.model.catalogue)
    return of_window(exam.questions, per_user_metrics(lists, exam.questions.targets))


def conditions(exam: Exam) -> dict[str, pl.DataFrame]:
    """Each row of the table: what was taken away, and every user's metrics then."""
    known = exam.questions.known
    seen = exam.ratings.filter(pl.col("timestamp") < exam.fit_end)
    unknown = child(17, "benchmarks", "degraded").random(exam.items.height) < 0.2
    long_ago = {years: item_features(seen, exam.movies, exam.fit_end - years * YEAR) for years in (1, 3)}
    return {
        "whole": asked(exam),
        "unknown user: empty history": asked(exam, known=known.head(0)),
        "the user's latest 5 ratings not yet known": asked(exam, known=_without_latest(known, 5)),
        "20 % of the items unknown": asked(exam, items=exam.items.filter(~pl.Series(unknown))),
        "all items unknown": asked(exam, items=exam.items.head(0)),
        "no years of release": asked(exam, items=exam.items.with_columns(year=None, item_age_years=None)),
        "no genres": asked(exam, items=exam.items.with_columns(genres=pl.lit([], dtype=pl.List(pl.String)))),
        "item features stale, defaults instead": asked(exam, as_of=exam.fit_end - 100 * YEAR),
        "item features stale, gaps instead": asked(exam, edit=_gaps),
        "item features a year older, used as they are": asked(exam, items=_aged(exam.items, long_ago[1])),
        "item features three years older, used as they are": asked(exam, items=_aged(exam.items, long_ago[3])),
    }


def _without_latest(known: pl.DataFrame, n: int) -> pl.DataFrame:
    from_end = pl.col("timestamp").rank("ordinal", descending=True).over("user_id")
    return known.filter(from_end > n)


def _aged(items: pl.DataFrame, older: pl.DataFrame) -> pl.DataFrame:
    """The older features; an item that came since is unknown, and keeps what is no feature."""
    features = [name for name in items.columns if name.startswith("item_") and name != "item_id"]
    kept = items.drop(features)
    return kept.join(older.select("item_id", *features), on="item_id", how="left", maintain_order="left")


def _gaps(features: Float32s) -> None:
    features[..., ITEM_FEATURES] = np.nan


def table(found: dict[str, pl.DataFrame]) -> str:
    """A row per condition."""
    whole = found["whole"]
    rows = []
    for name, metrics in found.items():
        lost = "" if name == "whole" else signed(difference(metrics, whole, "ndcg@10"))
        ndcg, recall = (f"{metrics[metric].to_numpy().mean():.4f}" for metric in ("ndcg@10", "recall@100"))
        rows.append([name, ndcg, lost, recall])
    return markdown_table(["taken away", "NDCG@10", "difference [95 %]", "recall@100"], rows)


def main(root: Path) -> None:
    """Print the table."""
    by_slice = [conditions(exam) for exam in Exam.read(Lake(root))]
    found = {name: pl.concat([one[name] for one in by_slice]) for name in by_slice[0]}
    whole = found["whole"]
    print(f"development windows, {whole.height} answers to {whole['user_id'].n_unique()} users\n")
    print(f"{table(found)}\n")
    print(luck(len(found) - 1))


if __name__ == "__main__":
    main(lake_root())
