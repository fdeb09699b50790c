"""The final list of a user: the ranker's order, then rules over the whole list.

A ranker scores each candidate alone. The rules shape the list as a whole: repeated impressions move a movie back,
diversity spreads similar movies, and a franchise holds a limited number of places. With all rules off the list is the
ranker's order, to the bit. Each rule reorders all candidates, so that a list of k is the beginning of every longer one,
and no rule leaves a place empty. Seen items are removed earlier: `retrieval.candidates.seen_at`.

The data sets name no franchise, so it is read from the spelling of titles: `FRANCHISE_RULES`, applied in order, turn a
title into the key of its franchise. They miss series that the spelling does not show ("Aliens", "Terminator Salvation",
"X2: X-Men United", "Ocean's Twelve"). They join remakes ("Batman" of 1966 and of 1989) and a few unrelated movies whose
key is one common word ("Super" and "Super 8"; "Henry V" and "Henry: Portrait of a Serial Killer").
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from recsys_core.arrays import Float32s, Int64s
from recsys_core.ranking.config import ListRulesConfig
from recsys_core.ranking.inputs import CandidateGenerator, RankingInputs, candidate_features
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.candidates import Candidates


def rank(ranker: Ranker, inputs: RankingInputs) -> Candidates:
    """The candidates of each user by the ranker's score, best first; ties keep the order of retrieval."""
    return rank_by_features(ranker, inputs.candidates, candidate_features(inputs))


def rank_by_features(ranker: Ranker, candidates: Candidates, features: Float32s) -> Candidates:
    """`rank` with features that are computed already, (n_users, n_candidates, n_features)."""
    item_idx, scores = candidates.item_idx, np.full_like(candidates.scores, -np.inf)
    present = item_idx >= 0
    scores[present] = ranker.score(features[present])
    order = order_of(scores)
    return Candidates(
        item_idx=np.take_along_axis(item_idx, order, axis=1), scores=np.take_along_axis(scores, order, axis=1)
    )


def order_of(scores: Float32s) -> Int64s:
    """Positions of the scores along the last axis, the best first; ties keep their order."""
    order: Int64s = np.argsort(-scores, axis=-1, kind="stable")
    return order


POOL = 50
"""First candidates by score that diversity may reorder: later ones have lower scores, and a place on the first page
would cost more relevance than the diversity is worth."""

FATIGUE, DIVERSITY, FRANCHISE = "fatigue", "diversity", "franchise"


@dataclass(frozen=True, kw_only=True)
class ListedItems:
    """The item inputs of the rules; row i is the item with `item_idx` i.

    Attributes:
        vectors: (n_items, d) of length one: the dot product of two rows is their similarity.
        titles: (n_items,) without the year; "" where unknown.
    """

    vectors: Float32s
    titles: Sequence[str]

    @cached_property
    def franchises(self) -> Int64s:
        """(n_items,) a number per item, the same within a franchise."""
        return franchise_numbers(self.titles)


def listed_items(generator: CandidateGenerator, movies: pl.DataFrame) -> ListedItems:
    """The items of a generator's catalogue; an item without a row in MOVIES has no title."""
    item_ids = pl.DataFrame({"item_id": generator.model.catalogue.item_ids})
    titles = item_ids.join(movies.select("item_id", "title"), on="item_id", how="left", maintain_order="left")["title"]
    return ListedItems(vectors=generator.items.unit_vectors, titles=titles.fill_null("").to_list())


@dataclass(frozen=True, kw_only=True)
class RuledList:
    """One request's final list, best first.

    Attributes:
        places: (n,) position of each listed item among the given candidates.
        ranker_ranks: (n,) its place by score alone, from 1.
        moved_by: (n,) the last rule that moved it, FATIGUE, DIVERSITY or FRANCHISE; "" where it keeps the ranker's
            place.
    """

    places: Int64s
    ranker_ranks: Int64s
    moved_by: tuple[str, ...]


def apply_rules(
    item_idx: Int64s,
    scores: Float32s,
    items: ListedItems,
    rules: ListRulesConfig,
    k: int,
    shown_unclicked: Float32s | None = None,
) -> RuledList:
    """The final list of one request: min(k, n) candidates in their final order.

    Args:
        item_idx: (n,) candidates, each once.
        scores: (n,) of the ranker; ties keep their order.
        items: inputs of the rules.
        rules: settings of the rules.
        k: length of the list.
        shown_unclicked: (n,) the feature `pair_shown_unclicked`; None: the user has no impressions.
    """
    by_score = order_of(scores)
    n_shown = min(k, len(by_score))
    if not rules.reorders:
        return RuledList(places=by_score[:n_shown], ranker_ranks=np.arange(1, n_shown + 1), moved_by=("",) * n_shown)
    ranked, order, n_fresh = item_idx[by_score], _Order.of(len(by_score)), len(by_score)
    if rules.tired_after is not None and shown_unclicked is not None:
        # The first rule, and its movies stay behind those that other rules move back: they fill no franchise's places.
        is_tired = shown_unclicked[by_score] >= rules.tired_after
        order.move(FATIGUE, np.argsort(is_tired, kind="stable"))
        n_fresh -= int(is_tired.sum())
    if rules.diversity:
        pool = order.places[: min(POOL, n_fresh)]
        similarity = items.vectors[ranked[pool]]
        order.move(DIVERSITY, diverse_order(scores[by_score[pool]], similarity, rules.diversity))
    if rules.most_per_franchise is not None:
        franchises = items.franchises[ranked[order.places[:n_fresh]]]
        order.move(FRANCHISE, _cap_per_franchise(franchises, rules.most_per_franchise))
    shown = order.places[:n_shown]
    return RuledList(places=by_score[shown], ranker_ranks=shown + 1, moved_by=order.moved_by(n_shown))


@dataclass(kw_only=True)
class _Order:
    """Candidates in the current order, by their places in the ranker's order, and the last rule that moved each."""

    places: Int64s  # (n,)
    rules: list[str]  # (n,) by place in the ranker's order

    @classmethod
    def of(cls, n: int) -> "_Order":
        """The ranker's order."""
        return cls(places=np.arange(n), rules=[""] * n)

    def move(self, rule: str, first: Int64s) -> None:
        """Reorder the first m candidates by (m,) of their current positions."""
        chosen = self.places[first]
        for place in chosen[first != np.arange(len(first))].tolist():
            self.rules[place] = rule
        self.places[: len(first)] = chosen

    def moved_by(self, n: int) -> tuple[str, ...]:
        """(n,) of the first n; a movie that one rule moved and another moved back counts as not moved."""
        return tuple("" if place == at else self.rules[place] for at, place in enumerate(self.places[:n].tolist()))


def apply_rules_to_all(ranked: Candidates, items: ListedItems, rules: ListRulesConfig) -> Candidates:
    """The lists of many users, (n_users, n) in the ranker's order, with the rules applied to each.

    Without impressions, as in the windows of the past, so the rule on fatigue does nothing.
    """
    if not rules.reorders:
        return ranked
    item_idx, scores = ranked.item_idx.copy(), ranked.scores.copy()
    for row, own in enumerate(ranked.item_idx):
        present = np.flatnonzero(own >= 0)
        n = len(present)
        places = present[apply_rules(own[present], ranked.scores[row, present], items, rules, n).places]
        item_idx[row, present], scores[row, present] = own[places], ranked.scores[row, places]
    return Candidates(item_idx=item_idx, scores=scores)


def diverse_order(scores: Float32s, vectors: Float32s, weight: float) -> Int64s:
    """(n,) candidates by maximal marginal relevance, chosen one by one.

    Each place goes to the candidate with the highest (1 - weight) relevance - weight similarity. Relevance is the score
    rescaled to [0, 1] among these candidates; similarity is the cosine to the nearest candidate chosen before.

    Args:
        scores: (n,) in descending order.
        vectors: (n, d) of length one.
        weight: in [0, 1); with 0 the order stays.

    Source: Carbonell & Goldstein (1998), doi:10.1145/290941.291025.
    """
    n = len(scores)
    order = np.empty(n, dtype=np.int64)
    if not n:
        return order
    span = float(scores[0] - scores[-1])
    gain = (1 - weight) * ((scores - scores[-1]).astype(np.float64) / (span or 1.0))
    similarity = weight * (vectors @ vectors.T).astype(np.float64)
    nearest = np.full(n, -np.inf)
    value = gain.copy()  # nothing is chosen yet, so the best score comes first
    for place in range(n):
        chosen = int(value.argmax())
        order[place] = chosen
        gain[chosen] = -np.inf
        np.maximum(nearest, similarity[chosen], out=nearest)
        np.subtract(gain, nearest, out=value)
    return order


def _cap_per_franchise(franchises: Int64s, most: int) -> Int64s:
    """(n,) the order with the items beyond `most` of a franchise after all others.

    They fill the list if nothing else is left: a short list would be worse than a third sequel.
    """
    counts: dict[int, int] = {}
    is_one_too_many = []
    for franchise in franchises.tolist():
        n_above = counts.get(franchise, 0)
        is_one_too_many.append(n_above >= most)
        counts[franchise] = n_above + 1
    return np.argsort(np.array(is_one_too_many, dtype=np.bool_), kind="stable")


TitleRule = Callable[[str], str]

_ARTICLES = "The|An?|La|Le|Les|L'|Il|El|Los|Las|Das|Der|Die"
_ROMAN = "(?:X?(?:IX|IV|V?I{2,3}|VI?|X)|XI)"
"""2 to 20; a single "I" is usually the pronoun."""
_NUMBER = rf"(?:1?[0-9]|[0-9]+ [0-9]/[0-9]|{_ROMAN})"
"""Up to 19, or with a fraction: larger numbers are years or parts of names ("Airport 1975", "Code 46")."""
_WORDS = "One|Two|Three|Four|Five|Six"
_PART = rf"(?:Part|Vol\.?|Volume|Chapter|Episode)\s+(?:{_NUMBER}|I|{_WORDS})"


def _replaced(pattern: str, by: str = "") -> TitleRule:
    compiled = re.compile(pattern)
    return lambda title: compiled.sub(by, title)


FRANCHISE_RULES: tuple[TitleRule, ...] = (
    _replaced(r"(?<=.)\s*\(.*$"),  # another title or a translation: "Amelie (Fabuleux destin d'Amélie Poulain, Le)"
    _replaced(rf",\s+(?:{_ARTICLES})$"),  # "Godfather, The"
    _replaced(r"^(?:The|An?)\s+(?=\S)"),  # "The Hunger Games"
    # The subtitle: "Star Wars: Episode IV - A New Hope". "Mission: Impossible" is a name with a colon in it.
    _replaced(r"(?<=\w)(?::\s(?!Impossible\b)|\s-\s).*$"),
    _replaced(r"^([A-Z][\w.'-]*(?:\s[A-Z][\w.'-]*)+)\s+and the\s.*$", r"\1"),  # a name: "Harry Potter and the ..."
    _replaced(r"(?<=\w)\s+3-?D$"),  # "Saw VII 3D"
    _replaced(rf"(?<=\w),?\s+{_PART}$"),  # "Karate Kid, Part II", "Friday the 13th Part VIII"
    _replaced(rf"(?<=\w)\s+{_NUMBER}$"),  # "Toy Story 2", "Rocky IV", "Naked Gun 33 1/3"
)


def franchise_of(title: str) -> str:
    """The franchise of a title without its year, in lower case; the title itself if it shows no series.

    >>> [franchise_of(title) for title in ("Star Wars: Episode IV - A New Hope", "Godfather: Part II, The")]
    ['star wars', 'godfather']
    >>> [franchise_of(title) for title in ("Toy Story 2", "Harry Potter and the Goblet of Fire", "8 1/2")]
    ['toy story', 'harry potter', '8 1/2']
    """
    # NFKC makes a plain 3 of the raised one in "Alien³", which would then stick to the word.
    key = unicodedata.normalize("NFKC", re.sub("([²³])", r" \1", title)).strip()
    for rule in FRANCHISE_RULES:
        key = rule(key)
    return " ".join(key.casefold().split())


def franchise_numbers(titles: Iterable[str]) -> Int64s:
    """(n,) a number per title, equal within a franchise; a movie without a title is its own franchise.

    >>> franchise_numbers(["Alien", "Toy Story", "Alien: Resurrection", "", ""])
    array([0, 1, 0, 3, 4])
    """
    first: dict[str, int] = {}
    keys = [franchise_of(title) for title in titles]
    return np.array([first.setdefault(key, at) if key else at for at, key in enumerate(keys)], dtype=np.int64)
