"""What do list rules cost, and what do they give?

Usage:
    python -m benchmarks.list_rules

Each row reorders the same ranked candidates of the development windows, of the rankers that had not seen them; nothing
is trained, and the last two windows are not read. NDCG@10, the genre diversity of the first ten (mean Jaccard distance
of two of them) and how unlike their vectors are (mean of 1 - cosine), the first two with the paired difference to the
ranker's order and its 95 % bootstrap interval over users; then the share of first tens that hold more than two movies
of one franchise. Diversity is judged by genres where it was made by vectors, and the other way round. Below the table:
the time of one list.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.development import Exam, difference, luck, signed
from recsys_assets.resources import lake_root
from recsys_core.evaluation.accuracy import per_user_metrics
from recsys_core.evaluation.protocols import lists_table
from recsys_core.features.content import genre_matrix
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.metrics.beyond_accuracy import intra_list_diversity
from recsys_core.ranking.config import NO_RULES, ListRulesConfig
from recsys_core.ranking.inputs import RankingInputs, generate_candidates, generator_of
from recsys_core.ranking.list_rules import ListedItems, apply_rules, apply_rules_to_all, listed_items
from recsys_core.ranking.lists import rank
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
    """The ranked candidates of one slice's questions, and what lists are judged by."""

    exam: Exam
    inputs: RankingInputs
    ranked: Candidates
    items: ListedItems
    genres: npt.NDArray[np.float32]  # (n_items, n_genres)

    @classmethod
    def of(cls, exam: Exam) -> "Judge":
        """Of the questions of one slice."""
        generator = generator_of(exam.model, exam.items)
        asked = exam.questions
        inputs = generate_candidates(generator, asked.known, asked.requests, n_candidates=exam.ranker.n_candidates)
        return cls(
            exam=exam,
            inputs=inputs,
            ranked=rank(exam.ranker, inputs),
            items=listed_items(generator, exam.movies),
            genres=genre_matrix(exam.items["genres"]),
        )

    def judged(self, rules: ListRulesConfig, *, by_genres: bool) -> pl.DataFrame:
        """window, user_id, and what each user's first ten are like under some rules.

        Columns: ndcg, genre_diversity, vector_diversity, crowded (1 where more than two are of one franchise).

        Args:
            rules: over the list.
            by_genres: whether two movies are alike by their genres, rather than by their vectors.
        """
        items = replace(self.items, vectors=_units(self.genres)) if by_genres else self.items
        item_idx = apply_rules_to_all(self.ranked, items, rules).item_idx
        lists = lists_table("ours", self.inputs.users.user_ids, item_idx, self.exam.model.catalogue)
        metrics = per_user_metrics(lists, self.exam.questions.targets).sort("user_id")
        first = item_idx[:, :K]
        vectors = self.items.vectors[first]
        n_pairs = K * (K - 1)
        return metrics.select(
            pl.lit(self.exam.questions.window).alias("window"),
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
    """`Judge.judged` of all."""
    return pl.concat([judge.judged(rules, by_genres=by_genres) for judge in judges])


def table(judges: Sequence[Judge]) -> str:
    """A row per setting, by vectors and, for diversity, by genres."""
    plain = judged(judges, NO_RULES)
    rows = [_row(_label(rules, "vectors"), judged(judges, rules), plain) for rules in RULES]
    rows += [_row(_label(rules, "genres"), judged(judges, rules, by_genres=True), plain) for rules in BY_GENRES]
    header = ["rules", "NDCG@10", "difference", "genre diversity", "difference", "1 - cosine", "more than 2 of one"]
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
    """Median time of one list of ten out of all candidates."""
    taken = []
    for judge in judges:
        for own, scores in zip(judge.inputs.candidates.item_idx, judge.ranked.scores, strict=True):
            began = perf_counter_ns()
            apply_rules(own, scores, judge.items, rules, K)
            taken.append((perf_counter_ns() - began) / 1_000)
    return float(np.median(taken))


def main(root: Path) -> int:
    """Print the table and the times; returns the exit status."""
    judges = [Judge.of(exam) for exam in Exam.read(Lake(root))]
    print(f"{sum(judge.inputs.users.n_users for judge in judges)} answers in the development windows\n")
    print(f"{table(judges)}\n")
    print(luck(len(RULES) - 1 + len(BY_GENRES)))
    for rules in (NO_RULES, RULES[2], RULES[5], RULES[7]):
        print(f"{_label(rules, 'vectors')}: {microseconds(judges, rules):.0f} microseconds")
    return 0


if __name__ == "__main__":
    sys.exit(main(lake_root()))
