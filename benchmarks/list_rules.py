"""What do list rules cost in accuracy, and what do they give in diversity?

Usage:
    python -m benchmarks.list_rules

Each row reorders the same ranked candidates of the development windows, by rankers that had not seen them; nothing is
trained, and the last two windows are not read. The columns are NDCG@10; genre diversity of the first ten (mean Jaccard
distance of two of them); vector diversity (mean of 1 - cosine); and the share of first tens with more than two movies
of one franchise. The first two come with the paired difference to the ranker's order and its 95 % bootstrap interval
over users. Diversity that was made by vectors is judged by genres, and the other way round. The time of one list is
below the table.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.development import DevelopmentSlice, chance_note, difference, signed
from recsys_assets.resources import lake_root
from recsys_core.evaluation.accuracy import per_user_metrics
from recsys_core.evaluation.protocols import lists_table
from recsys_core.features.item_inputs import genre_matrix
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.metrics.beyond_accuracy import intra_list_diversity
from recsys_core.ranking.config import NO_RULES, ListRulesConfig
from recsys_core.ranking.inputs import RankingInputs, generate_candidates, generator_of
from recsys_core.ranking.lists import ListedItems, apply_rules, apply_rules_to_all, listed_items, rank
from recsys_core.retrieval.candidates import Candidates

K = 10
RULES: Sequence[ListRulesConfig] = (
    NO_RULES,
    *(ListRulesConfig(diversity=weight) for weight in (0.1, 0.2, 0.3, 0.5)),
    *(ListRulesConfig(most_per_franchise=most) for most in (2, 1)),
    ListRulesConfig(diversity=0.2, most_per_franchise=2),
)
BY_GENRES = [rules for rules in RULES if rules.diversity and rules.most_per_franchise is None]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The ranked candidates of one slice's queries, and the item data by which lists are judged."""

    case: DevelopmentSlice
    inputs: RankingInputs
    ranked: Candidates
    items: ListedItems
    genres: npt.NDArray[np.float32]  # (n_items, n_genres)

    @classmethod
    def of(cls, case: DevelopmentSlice) -> "Judge":
        """The judge of the queries of one slice."""
        generator = generator_of(case.model, case.items)
        asked = case.questions
        inputs = generate_candidates(generator, asked.known, asked.requests, n_candidates=case.ranker.n_candidates)
        return cls(
            case=case,
            inputs=inputs,
            ranked=rank(case.ranker, inputs),
            items=listed_items(generator, case.movies),
            genres=genre_matrix(case.items["genres"]),
        )

    def judged(self, rules: ListRulesConfig, *, by_genres: bool) -> pl.DataFrame:
        """window, user_id, and the properties of each user's first ten under some rules.

        Columns: ndcg, genre_diversity, vector_diversity, crowded (1 if more than two are of one franchise).

        Args:
            rules: over the list.
            by_genres: whether the rule compares two movies by their genres, rather than by their vectors.
        """
        items = replace(self.items, vectors=_units(self.genres)) if by_genres else self.items
        item_idx = apply_rules_to_all(self.ranked, items, rules).item_idx
        lists = lists_table("ours", self.inputs.users.user_ids, item_idx, self.case.model.catalogue)
        metrics = per_user_metrics(lists, self.case.questions.targets).sort("user_id")
        first = item_idx[:, :K]
        vectors = self.items.vectors[first]
        n_pairs = K * (K - 1)
        return metrics.select(
            pl.lit(self.case.questions.window).alias("window"),
            "user_id",
            ndcg="ndcg@10",
            genre_diversity=pl.Series(intra_list_diversity(first, self.genres)),
            vector_diversity=pl.Series(1 - ((vectors @ vectors.transpose(0, 2, 1)).sum(axis=(1, 2)) - K) / n_pairs),
            crowded=pl.Series([float(np.bincount(self.items.franchises[own]).max() > 2) for own in first]),
        )


def _units(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    units: npt.NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)
    return units.astype(np.float32)


def judged(judges: Sequence[Judge], rules: ListRulesConfig, *, by_genres: bool = False) -> pl.DataFrame:
    """`Judge.judged` for all slices."""
    return pl.concat([judge.judged(rules, by_genres=by_genres) for judge in judges])


def table(judges: Sequence[Judge]) -> str:
    """A row per setting: by vectors and, for diversity, by genres."""
    plain = judged(judges, NO_RULES)
    rows = [_row(_label(rules, "vectors"), judged(judges, rules), plain) for rules in RULES]
    rows += [_row(_label(rules, "genres"), judged(judges, rules, by_genres=True), plain) for rules in BY_GENRES]
    header = [
        "rules",
        "NDCG@10",
        "difference",
        "genre diversity",
        "difference",
        "1 - cosine",
        "more than 2 of a franchise",
    ]
    return markdown_table(header, rows)


def _label(rules: ListRulesConfig, likeness: str) -> str:
    said = [f"diversity {rules.diversity:g} by {likeness}"] if rules.diversity else []
    said += [f"at most {rules.most_per_franchise} of a franchise"] if rules.most_per_franchise is not None else []
    return ", ".join(said) or "none"


def _row(label: str, own: pl.DataFrame, plain: pl.DataFrame) -> list[str]:
    is_plain = label == "none"
    return [
        label,
        f"{own['ndcg'].to_numpy().mean():.4f}",
        "" if is_plain else signed(difference(own, plain, "ndcg")),
        f"{np.nanmean(own['genre_diversity'].to_numpy()):.3f}",
        "" if is_plain else signed(difference(own, plain, "genre_diversity")),
        f"{own['vector_diversity'].to_numpy().mean():.3f}",
        f"{own['crowded'].to_numpy().mean():.1%}",
    ]


def microseconds(judges: Sequence[Judge], rules: ListRulesConfig) -> float:
    """Median time of making one list of ten from all candidates."""
    taken = []
    for judge in judges:
        for own, scores in zip(judge.inputs.candidates.item_idx, judge.ranked.scores, strict=True):
            began = perf_counter_ns()
            apply_rules(own, scores, judge.items, rules, K)
            taken.append((perf_counter_ns() - began) / 1_000)
    return float(np.median(taken))


def main(root: Path) -> int:
    """Print the table and the times; returns the exit status."""
    judges = [Judge.of(case) for case in DevelopmentSlice.read(Lake(root))]
    print(f"{sum(judge.inputs.users.n_users for judge in judges)} answers in the development windows\n")
    print(f"{table(judges)}\n")
    print(chance_note(len(RULES) - 1 + len(BY_GENRES)))
    for rules in (NO_RULES, RULES[2], RULES[5], RULES[7]):
        print(f"{_label(rules, 'vectors')}: {microseconds(judges, rules):.0f} microseconds")
    return 0


if __name__ == "__main__":
    sys.exit(main(lake_root()))
