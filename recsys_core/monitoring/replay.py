"""The offline road to an answer: every request asked again from the raw log, many at a time.

Histories are cut from the raw log, and so is what users were shown and clicked; item features are counted again from
the raw ratings, user features come from running totals, and all requests of a batch are answered together. Nothing of
the online path takes part but the functions of the registry and the order of a list.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl

from recsys_core.arrays import Bools, Float32s, Float64s, Int64s
from recsys_core.data.histories import RatingLog, rating_log_of
from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.features.exposures import ExposureLog, exposure_log
from recsys_core.features.registry import FEATURE_NAMES, names_of
from recsys_core.features.tables import item_features, user_features
from recsys_core.feedback.exposures import Exposed, shown_slots
from recsys_core.feedback.parsing import read_history
from recsys_core.monitoring.served import Served
from recsys_core.parallel import StopCheck, run_in_parallel
from recsys_core.ranking.config import ListRulesConfig
from recsys_core.ranking.inputs import (
    CandidateGenerator,
    RankingInputs,
    candidate_features,
    generate_candidates_for,
    generator_of,
)
from recsys_core.ranking.lists import ListedItems, apply_rules, listed_items
from recsys_core.ranking.ranker import Ranker
from recsys_core.serving.bundle import Bundle

REQUESTS_PER_BATCH = 1_024
"""Requests replayed together: bounds the memory at so many blocks of features, twice, for two batches run at a time."""


SHOWN_UNCLICKED = FEATURE_NAMES.index("pair_shown_unclicked")

NOT_SHOWN = NOTHING = -1
"""Where a list has no such place; ids of items are 0 at least."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What should have been shown, and what is computed again of each slot that was; rows are those of a `Served`.

    Attributes:
        n_offered: (n_requests,) slots that the answer should have.
        item_ids: (n_slots,) the item that belongs at the slot's position; NOTHING where the list has no such position.
        ranks: (n_slots,) place of the slot's own item among the candidates, from 1; 0 where it is no candidate.
        scores: (n_slots,) of the ranker for this item; without meaning where it is no candidate.
        features: (n_slots, n_features) what the ranker reads for it; likewise.
        probabilities: (n_slots,) of a like; likewise; None where the ranker is not calibrated.
    """

    n_offered: Int64s
    item_ids: Int64s
    ranks: Int64s
    scores: Float32s
    features: Float32s
    probabilities: Float64s | None = None

    def and_also(self, other: "Replayed") -> "Replayed":
        """Both together, of one release."""
        probabilities = None
        if self.probabilities is not None and other.probabilities is not None:
            probabilities = np.concatenate([self.probabilities, other.probabilities])
        return Replayed(
            n_offered=np.concatenate([self.n_offered, other.n_offered]),
            item_ids=np.concatenate([self.item_ids, other.item_ids]),
            ranks=np.concatenate([self.ranks, other.ranks]),
            scores=np.concatenate([self.scores, other.scores]),
            features=np.concatenate([self.features, other.features]),
            probabilities=probabilities,
        )

    @classmethod
    def empty(cls, n_requests: int, n_slots: int) -> "Replayed":
        """Room for so many rows."""
        return cls(
            n_offered=np.zeros(n_requests, dtype=np.int64),
            item_ids=np.full(n_slots, NOTHING, dtype=np.int64),
            ranks=np.zeros(n_slots, dtype=np.int64),
            scores=np.full(n_slots, np.nan, dtype=np.float32),
            features=np.full((n_slots, len(FEATURE_NAMES)), np.nan, dtype=np.float32),
        )

    def only(self, requests: Bools, slots: Bools) -> "Replayed":
        """Some of the rows."""
        return Replayed(
            n_offered=self.n_offered[requests],
            item_ids=self.item_ids[slots],
            ranks=self.ranks[slots],
            scores=self.scores[slots],
            features=self.features[slots],
            probabilities=None if self.probabilities is None else self.probabilities[slots],
        )


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The other road to an answer of one release."""

    items: pl.DataFrame  # item_features, counted again
    generator: CandidateGenerator
    ranker: Ranker
    listed: ListedItems

    def answer(
        self, served: Served, ratings: pl.DataFrame, exposed: Exposed | None = None, *, as_arrived: bool = False
    ) -> Replayed:
        """Ask again.

        Args:
            served: requests, and their slots.
            ratings: RATINGS columns and received_at, as `with_arrivals` gives them.
            exposed: all that the users were shown and clicked; None: what these requests showed, and no click.
            as_arrived: each request knows only what had arrived before the second in which it was answered; otherwise
                whatever happened before it, as everybody knows by now.
        """
        asked, known = _with_own_histories(served.requests, ratings, as_arrived=as_arrived)
        times = asked["requested_at"].to_numpy()
        users = user_features(known, self.items, asked["who"].to_numpy(), times)
        exposed = exposed or replace(Exposed.nothing(), shown=shown_slots(served.impressions))
        batches = _Batches(
            replay=self,
            known=rating_log_of(known, self.generator.model.catalogue),
            asked=asked,
            user_values=users.select(names_of("user")).to_numpy(),
            slots=_Slots.of(served, self.generator),
            exposed=exposure_log(exposed.shown, exposed.clicks, self.generator.model.catalogue),
            as_arrived=as_arrived,
        )
        return batches.answered()


def replay_of(bundle: Bundle) -> Replay:
    """The release with its item features counted again, as of its cut-off, from the raw ratings."""
    model = bundle.generator.model
    # As the pipeline reads them: of a user and item the latest rating before the cut-off.
    known = bundle.ratings.filter(pl.col("timestamp") < model.fit_end)
    merged = known.unique(["user_id", "item_id"], keep="last", maintain_order=True)
    items = item_features(merged, bundle.movies, model.fit_end)
    generator = generator_of(model, items, bundle.generator.retriever.index)
    listed = listed_items(generator, bundle.movies)
    return Replay(items=items, generator=generator, ranker=bundle.ranker, listed=listed)


def shown_places(
    scores: Float32s,
    k: Int64s,
    item_idx: Int64s,
    shown_unclicked: Float32s,
    listed: ListedItems,
    rules: ListRulesConfig,
) -> Int64s:
    """(n_requests, n_candidates) places among the candidates, as they are to be shown; NOT_SHOWN behind a list's end.

    The last steps of `Recommender.answer`.

    Args:
        scores: (n_requests, n_candidates) of the ranker, in the order of retrieval; -inf where there is no candidate.
        k: (n_requests,) slots that were asked for.
        item_idx: (n_requests, n_candidates); -1 where there is no candidate.
        shown_unclicked: (n_requests, n_candidates) of `pair_shown_unclicked`.
        listed: what the list rules read of the items.
        rules: which of them are on.
    """
    shown = np.full(scores.shape, NOT_SHOWN, dtype=np.int64)
    for row, own in enumerate(item_idx):
        present = np.flatnonzero(own >= 0)
        tired = shown_unclicked[row, present]
        final = apply_rules(own[present], scores[row, present], listed, rules, int(k[row]), tired)
        shown[row, : len(final.places)] = present[final.places]
    return shown


def with_arrivals(ratings: pl.DataFrame, logged: pl.DataFrame | None) -> pl.DataFrame:
    """RATINGS columns and received_at: the second in which a rating arrived, null where it was known from the start.

    Args:
        ratings: RATINGS columns of every rating known.
        logged: RATINGS columns and received_at of those that came through the log; None where none did.
    """
    row = list(RATINGS_COLUMNS)
    if logged is None:
        return ratings.select(*row, received_at=pl.lit(None, pl.Int64))
    arrived = logged.group_by(row).agg(pl.col("received_at").min(), n_logged=pl.len())
    found = ratings.select(row).join(arrived, on=row, how="left", maintain_order="left")
    # Where the data set holds the same rating as the log, it was known from the start.
    is_logged_alone = pl.len().over(row) <= pl.col("n_logged")
    return found.select(*row, received_at=pl.when(is_logged_alone).then("received_at"))


def with_late_events(requests: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The requests about whose user something was not yet known when they were answered, though it had happened.

    Args:
        requests: REQUESTS.
        events: user_id, timestamp, received_at: as `with_arrivals` gives ratings, or what `happened`.
    """
    arrived = events.filter(pl.col("received_at").is_not_null()).select("user_id", "timestamp", "received_at")
    met = requests.select("request_id", "user_id", "requested_at", "served_at").join(arrived, on="user_id")
    late = met.filter(pl.col("timestamp") < pl.col("requested_at"), ~_had_arrived())
    return requests.join(late, on="request_id", how="semi", maintain_order="left")


def happened(ratings: pl.DataFrame, exposed: Exposed) -> pl.DataFrame:
    """user_id, timestamp, received_at of everything that an answer may rest on; null where it was known from the start.

    Args:
        ratings: as `with_arrivals` gives them.
        exposed: what users were shown and clicked; a slot arrives in the second in which it is shown.
    """
    shown = exposed.shown.select("user_id", timestamp="shown_at", received_at="shown_at")
    others = (one.select("user_id", "timestamp", "received_at") for one in (ratings, exposed.clicks))
    return pl.concat([*others, shown])


def _had_arrived() -> pl.Expr:
    """Whether an event had arrived before the second in which a request was answered."""
    return pl.col("received_at").is_null() | (pl.col("received_at") < pl.col("served_at") // 1_000_000)


@dataclass(frozen=True, kw_only=True)
class _Slots:
    """What was shown, as numbers; (n_slots,) each."""

    rows: Int64s  # the request
    item_idx: Int64s  # -1: outside the catalogue
    places: Int64s  # position - 1

    @classmethod
    def of(cls, served: Served, generator: CandidateGenerator) -> "_Slots":
        numbered = served.requests.select("request_id").with_row_index("row")
        shown = served.impressions.select("request_id", "item_id", "position")
        slots = shown.join(numbered, on="request_id", how="left", maintain_order="left")
        return cls(
            rows=slots["row"].cast(pl.Int64).to_numpy(),
            item_idx=generator.model.catalogue.idx_of(slots["item_id"].to_numpy()),
            places=slots["position"].to_numpy() - 1,
        )


@dataclass(frozen=True, kw_only=True)
class _Batches:
    """Requests with what they share, answered a batch at a time."""

    replay: Replay
    known: RatingLog
    asked: pl.DataFrame  # (n_requests,) REQUESTS and `who`
    user_values: Float32s  # (n_requests, n_user_features)
    slots: _Slots
    exposed: ExposureLog
    as_arrived: bool

    def answered(self) -> Replayed:
        n_requests = self.asked.height
        found = Replayed.empty(n_requests, len(self.slots.rows))

        def fill(start: int, check: StopCheck) -> None:
            check()
            self._fill(found, slice(start, min(start + REQUESTS_PER_BATCH, n_requests)))

        run_in_parallel([partial(fill, start) for start in range(0, n_requests, REQUESTS_PER_BATCH)], at_once=2)
        return replace(found, probabilities=self.replay.ranker.probability(found.scores))

    def _fill(self, found: Replayed, batch: slice) -> None:
        """Write a batch of requests, and their slots, into the rows that are theirs."""
        inputs = self._inputs(batch)
        item_idx, block = inputs.candidates.item_idx, candidate_features(inputs)
        scores = np.full(item_idx.shape, -np.inf, dtype=np.float32)
        scores[item_idx >= 0] = self.replay.ranker.score(block[item_idx >= 0])
        k, rules = self.asked["k"][batch].to_numpy(), self.replay.ranker.list_rules
        shown = shown_places(scores, k, item_idx, block[..., SHOWN_UNCLICKED], self.replay.listed, rules)
        found.n_offered[batch] = (shown >= 0).sum(axis=1)
        own = np.flatnonzero((self.slots.rows >= batch.start) & (self.slots.rows < batch.stop))
        rows = self.slots.rows[own] - batch.start
        found.item_ids[own] = self._expected(np.take_along_axis(item_idx, shown, axis=1), shown, rows, own)
        # (n, n_candidates); an unknown item and a place without a candidate are both -1, and not the same.
        logged = self.slots.item_idx[own][:, None]
        is_item = (item_idx[rows] == logged) & (logged >= 0)
        at = is_item.argmax(axis=1)
        found.ranks[own] = np.where(is_item.any(axis=1), at + 1, 0)
        found.scores[own], found.features[own] = scores[rows, at], block[rows, at]

    def _expected(self, listed: Int64s, shown: Int64s, rows: Int64s, own: Int64s) -> Int64s:
        """(n,) the id of the item that belongs at the position of each slot.

        Args:
            listed: (n_requests, n_candidates) row numbers of the items in the order in which they are to be shown.
            shown: the same shape; NOT_SHOWN behind a list's end.
            rows: (n,) the request of each slot, within the batch.
            own: (n,) the slot, among all.
        """
        places = np.minimum(self.slots.places[own], shown.shape[1] - 1)
        belongs = (shown[rows, places] != NOT_SHOWN) & (places == self.slots.places[own])
        item_ids = self.replay.generator.model.catalogue.item_ids
        return np.where(belongs, item_ids[listed[rows, places]], NOTHING)

    def _inputs(self, batch: slice) -> RankingInputs:
        """The requests of a batch, as evaluation would make them."""
        asked, replay = self.asked[batch], self.replay
        times = asked["requested_at"].to_numpy()
        # A history that came with a request is one of ratings: whatever the user was shown counts all the same.
        user_ids = asked["user_id"].fill_null(-1).to_numpy()
        arrived_before = (asked["served_at"] // 1_000_000).to_numpy() if self.as_arrived else None
        inputs = generate_candidates_for(
            replay.generator,
            self.known.before(asked["who"].to_numpy(), times),
            times,
            user_values=self.user_values[batch],
            n_candidates=replay.ranker.n_candidates,
            rewatch_after_days=replay.ranker.list_rules.rewatch_after_days,
        )
        return replace(inputs, exposures=self.exposed.before(user_ids, times, arrived_before))


def _with_own_histories(
    requests: pl.DataFrame, ratings: pl.DataFrame, *, as_arrived: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The requests with `who`, and RATINGS columns of all ratings by `who`.

    A history that came with a request is nobody else's: it becomes, with the ratings of the user it came for, the
    history of a user made up for this request. So does what had arrived when a request was answered.
    """
    is_own = pl.lit(as_arrived) | pl.col("user_id").is_null() | pl.col("history").is_not_null()
    # From -2 down: ids of people are 0 at least, and may be the greatest that there is; -1 stands for nobody.
    numbered = requests.with_columns(who=pl.when(is_own).then(-2 - pl.int_range(pl.len())).otherwise("user_id"))
    own = numbered.filter(is_own)
    known = own.join(ratings, on="user_id", maintain_order="left_right")
    known = known.filter(_had_arrived()) if as_arrived else known
    given = [
        (who, *rated)
        for who, history in own.filter(pl.col("history").is_not_null()).select("who", "history").iter_rows()
        for rated in read_history(history)
    ]
    tables = [
        ratings.select(*RATINGS_COLUMNS),
        known.select(pl.col("who").alias("user_id"), "item_id", "rating", "timestamp"),
        pl.DataFrame(given, schema=RATINGS_COLUMNS, orient="row"),
    ]
    return numbered, pl.concat(tables).sort("timestamp", maintain_order=True)
