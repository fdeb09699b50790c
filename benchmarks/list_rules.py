"""What do list rules cost, and what do they give?

Usage:
    python -m benchmarks.list_rules

Each row reorders the same ranked candidates of the last development window, by models that had not seen it; nothing is
trained, and the last two windows are not read. NDCG@10, the genre diversity of the first ten (mean Jaccard
distance of two of them) and how unlike their vectors are (mean of 1 - cosine), the first two with the paired difference
to the ranker's order and its 95 % bootstrap interval over users; then the share of first tens that hold more than two
movies of one franchise. Diversity is judged by genres where it was made by vectors, and the other way round. Below the
table: the time of one list.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import numpy.typing as npt

from benchmarks.degraded import Exam
from recsys_assets.resources import lake_root
from recsys_core.evaluation.accuracy import per_user_metrics
from recsys_core.evaluation.lists import lists_table
from recsys_core.evaluation.rendering import markdown_table
from recsys_core.features.content import genre_matrix
from recsys_core.lake.store import Lake
from recsys_core.metrics.beyond_accuracy import intra_list_diversity
from recsys_core.metrics.relevance import PerUser
from recsys_core.metrics.uncertainty import paired_difference
from recsys_core.ranking.config import NO_RULES, ListRulesConfig
from recsys_core.ranking.inputs import RankingInputs, propose, proposer_of
from recsys_core.ranking.list_rules import ListedItems, listed_items, rule_all, ruled_list
from recsys_core.ranking.lists import rank
from recsys_core.retrieval.candidates import Candidates
from recsys_core.seeding import child

K = 10
RULES: Sequence[ListRulesConfig] = (
    NO_RULES,
    *(ListRulesConfig(diversity=weight) for weight in (0.1, 0.2, 0.3, 0.5)),
    *(ListRulesConfig(most_per_franchise=most) for most in (2, 1)),
    ListRulesConfig(diversity=0.2, most_per_franchise=2),
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Of each user's first ten."""

    ndcg: PerUser
    genre_diversity: PerUser
    vector_diversity: PerUser
    crowded: PerUser  # 1 where more than two are of one franchise


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The window's ranked candidates, and what lists are judged by."""

    exam: Exam
    inputs: RankingInputs
    ranked: Candidates
    items: ListedItems
    genres: npt.NDArray[np.float32]  # (n_items, n_genres)

    @classmethod
    def read(cls, lake: Lake) -> "Judge":
        """Of the current artifacts."""
        exam = Exam.read(lake)
        proposer = proposer_of(exam.tower, exam.items)
        inputs = propose(proposer, exam.known, exam.questions.requests, n_candidates=exam.ranker.n_candidates)
        return cls(
            exam=exam,
            inputs=inputs,
            ranked=rank(exam.ranker, inputs),
            items=listed_items(proposer, exam.movies),
            genres=genre_matrix(exam.items["genres"]),
        )

    def judged(self, rules: ListRulesConfig, items: ListedItems) -> Judged:
        """The lists under some rules, whose likeness is that of `items`."""
        item_idx = rule_all(self.ranked, items, rules).item_idx
        lists = lists_table("ours", self.inputs.users.user_ids, item_idx, self.exam.tower.catalogue)
        metrics = per_user_metrics(lists, self.exam.questions.targets).sort("user_id")
        first = item_idx[:, :K]
        vectors = self.items.vectors[first]
        n_pairs = K * (K - 1)
        return Judged(
            ndcg=metrics["ndcg@10"].to_numpy(),
            genre_diversity=intra_list_diversity(first, self.genres),
            vector_diversity=1 - ((vectors @ vectors.transpose(0, 2, 1)).sum(axis=(1, 2)) - K) / n_pairs,
            crowded=np.array([np.bincount(self.items.franchises[own]).max() > 2 for own in first], dtype=np.float64),
        )


def table(judge: Judge) -> str:
    """A row per setting, by vectors and, for diversity, by genres."""
    length = np.linalg.norm(judge.genres, axis=1, keepdims=True)
    by_genres = replace(judge.items, vectors=(judge.genres / np.maximum(length, 1)).astype(np.float32))
    plain = judge.judged(NO_RULES, judge.items)
    rows = [_row(_label(rules, "vectors"), judge.judged(rules, judge.items), plain) for rules in RULES]
    of_genres = [rules for rules in RULES if rules.diversity and rules.most_per_franchise is None]
    rows += [_row(_label(rules, "genres"), judge.judged(rules, by_genres), plain) for rules in of_genres]
    header = ["rules", "NDCG@10", "difference", "genre diversity", "difference", "1 - cosine", "more than 2 of one"]
    return markdown_table(header, rows)


def _label(rules: ListRulesConfig, likeness: str) -> str:
    said = [f"diversity {rules.diversity:g} by {likeness}"] if rules.diversity else []
    said += [f"at most {rules.most_per_franchise} of a franchise"] if rules.most_per_franchise is not None else []
    return ", ".join(said) or "none"


def _row(label: str, own: Judged, plain: Judged) -> list[str]:
    is_plain = label == "none"
    return [
        label,
        f"{own.ndcg.mean():.4f}",
        "" if is_plain else _difference(own.ndcg, plain.ndcg),
        f"{np.nanmean(own.genre_diversity):.3f}",
        "" if is_plain else _difference(own.genre_diversity, plain.genre_diversity),
        f"{own.vector_diversity.mean():.3f}",
        f"{own.crowded.mean():.1%}",
    ]


def _difference(ours: PerUser, theirs: PerUser) -> str:
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    moved = paired_difference(ours[both], theirs[both], child(17, "bootstrap"))
    return f"{moved.mean:+.4f} [{moved.low:+.4f}, {moved.high:+.4f}]"


def microseconds(judge: Judge, rules: ListRulesConfig) -> float:
    """Median time of one list of ten out of all candidates."""
    taken = []
    for own, scores in zip(judge.inputs.candidates.item_idx, judge.ranked.scores, strict=True):
        began = perf_counter_ns()
        ruled_list(own, scores, judge.items, rules, K)
        taken.append((perf_counter_ns() - began) / 1_000)
    return float(np.median(taken))


def main(root: Path) -> int:
    """Print the table and the times; returns the exit status."""
    judge = Judge.read(Lake(root))
    print(f"{judge.inputs.users.n_users} users of {judge.exam.questions.window}\n")
    print(table(judge))
    for rules in (NO_RULES, RULES[2], RULES[5], RULES[7]):
        print(f"{_label(rules, 'vectors')}: {microseconds(judge, rules):.0f} microseconds")
    return 0


if __name__ == "__main__":
    sys.exit(main(lake_root()))
