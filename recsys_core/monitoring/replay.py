"""The offline path to an answer: replay logged requests from the raw log, many at a time.

Histories, impressions and clicks are cut from the raw log. Item features are recounted from the raw ratings, user
features come from running totals, and all requests of a batch are answered together. The online path shares only the
functions of the registry and the order of a list.
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
"""Requests replayed together. Bounds the memory at 2 x 1,024 blocks of features, because two batches run at a time."""


SHOWN_UNCLICKED = FEATURE_NAMES.index("pair_shown_unclicked")

NOT_SHOWN = NOTHING = -1
"""No such place in a list; ids of items are never negative."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """The expected slots, and the recomputed values of each logged slot; rows are those of a `Served`.

    Attributes:
        n_offered: (n_requests,) slots that the answer should have.
        item_ids: (n_slots,) the item that belongs at the slot's position; NOTHING where the list has no such position.
        ranks: (n_slots,) place of the slot's own item among the candidates, from 1; 0 where it is no candidate.
        scores: (n_slots,) of the ranker for this item; undefined where it is no candidate.
        features: (n_slots, n_features) that the ranker reads for it; undefined likewise.
        probabilities: (n_slots,) of a like; undefined likewise; None where the ranker is not calibrated.
    """

    n_offered: Int64s
    item_ids: Int64s
    ranks: Int64s
    scores: Float32s
    features: Float32s
    probabilities: Float64s | None = None

    def and_also(self, other: "Replayed") -> "Replayed":
        """The rows of both, which must be of one release."""
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
        """Arrays to be filled."""
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
    """The offline path to the answers of one release."""

    items: pl.DataFrame  # item_features, recounted
    generator: CandidateGenerator
    ranker: Ranker
    listed: ListedItems

    def answer(
        self, served: Served, ratings: pl.DataFrame, exposed: Exposed | None = None, *, as_arrived: bool = False
    ) -> Replayed:
        """Answer the requests again.

        Args:
            served: requests, and their slots.
            ratings: RATINGS columns and received_at, as `with_arrivals` gives them.
            exposed: all impressions and clicks of the users; None: the slots of these requests, and no clicks.
            as_arrived: use only events that had arrived before the second in which a request was answered; otherwise
                all events that happened before the request.
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
    """The release, with its item features recounted from the raw ratings as of its cut-off."""
    model = bundle.generator.model
    # As in the pipeline: of each user and item, the latest rating before the cut-off.
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
    """(n_requests, n_candidates) places among the candidates, in the order of the list; NOT_SHOWN after its end.

    These are the last steps of `Recommender.answer`.

    Args:
        scores: (n_requests, n_candidates) of the ranker, in the order of retrieval; -inf where there is no candidate.
        k: (n_requests,) requested slots.
        item_idx: (n_requests, n_candidates); -1 where there is no candidate.
        shown_unclicked: (n_requests, n_candidates) of `pair_shown_unclicked`.
        listed: the item data of the list rules.
        rules: the settings of the list rules.
    """
    places = np.full(scores.shape, NOT_SHOWN, dtype=np.int64)
    for row, own in enumerate(item_idx):
        present = np.flatnonzero(own >= 0)
        tired = shown_unclicked[row, present]
        final = apply_rules(own[present], scores[row, present], listed, rules, int(k[row]), tired)
        places[row, : len(final.places)] = present[final.places]
    return places


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
    # A rating that the data set holds as well was known from the start.
    is_logged_alone = pl.len().over(row) <= pl.col("n_logged")
    return found.select(*row, received_at=pl.when(is_logged_alone).then("received_at"))


def with_late_events(requests: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """The requests whose user had an event before the request that arrived only after the answer.

    Args:
        requests: REQUESTS.
        events: user_id, timestamp, received_at: of `with_arrivals` or `happened`.
    """
    arrived = events.filter(pl.col("received_at").is_not_null()).select("user_id", "timestamp", "received_at")
    met = requests.select("request_id", "user_id", "requested_at", "served_at").join(arrived, on="user_id")
    late = met.filter(pl.col("timestamp") < pl.col("requested_at"), ~_had_arrived())
    return requests.join(late, on="request_id", how="semi", maintain_order="left")


def happened(ratings: pl.DataFrame, exposed: Exposed) -> pl.DataFrame:
    """user_id, timestamp, received_at of all events that an answer may use; null where known from the start.

    Args:
        ratings: as `with_arrivals` gives them.
        exposed: impressions and clicks; an impression arrives in the second in which it is shown.
    """
    impressions = exposed.shown.select("user_id", timestamp="shown_at", received_at="shown_at")
    others = (one.select("user_id", "timestamp", "received_at") for one in (ratings, exposed.clicks))
    return pl.concat([*others, impressions])


def _had_arrived() -> pl.Expr:
    """Whether an event had arrived before the second in which a request was answered."""
    return pl.col("received_at").is_null() | (pl.col("received_at") < pl.col("served_at") // 1_000_000)


@dataclass(frozen=True, kw_only=True)
class _Slots:
    """The logged slots, as numbers; (n_slots,) each."""

    rows: Int64s  # the request
    item_idx: Int64s  # -1: outside the catalogue
    places: Int64s  # position - 1

    @classmethod
    def of(cls, served: Served, generator: CandidateGenerator) -> "_Slots":
        numbered = served.requests.select("request_id").with_row_index("row")
        logged = served.impressions.select("request_id", "item_id", "position")
        slots = logged.join(numbered, on="request_id", how="left", maintain_order="left")
        return cls(
            rows=slots["row"].cast(pl.Int64).to_numpy(),
            item_idx=generator.model.catalogue.idx_of(slots["item_id"].to_numpy()),
            places=slots["position"].to_numpy() - 1,
        )


@dataclass(frozen=True, kw_only=True)
class _Batches:
    """Requests and the data that they share, answered a batch at a time."""

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
        """Answer a batch of requests, and write the results into its rows."""
        inputs = self._inputs(batch)
        item_idx, block = inputs.candidates.item_idx, candidate_features(inputs)
        scores = np.full(item_idx.shape, -np.inf, dtype=np.float32)
        scores[item_idx >= 0] = self.replay.ranker.score(block[item_idx >= 0])
        k, rules = self.asked["k"][batch].to_numpy(), self.replay.ranker.list_rules
        places = shown_places(scores, k, item_idx, block[..., SHOWN_UNCLICKED], self.replay.listed, rules)
        found.n_offered[batch] = (places >= 0).sum(axis=1)
        own = np.flatnonzero((self.slots.rows >= batch.start) & (self.slots.rows < batch.stop))
        rows = self.slots.rows[own] - batch.start
        found.item_ids[own] = self._expected(np.take_along_axis(item_idx, places, axis=1), places, rows, own)
        # (n, n_candidates); an unknown item and a place without a candidate are both -1, but must not match.
        logged = self.slots.item_idx[own][:, None]
        is_item = (item_idx[rows] == logged) & (logged >= 0)
        at = is_item.argmax(axis=1)
        found.ranks[own] = np.where(is_item.any(axis=1), at + 1, 0)
        found.scores[own], found.features[own] = scores[rows, at], block[rows, at]

    def _expected(self, listed: Int64s, places: Int64s, rows: Int64s, own: Int64s) -> Int64s:
        """(n,) the id of the item that belongs at the position of each slot.

        Args:
            listed: (n_requests, n_candidates) item_idx in the order of the list.
            places: the same shape, of `shown_places`.
            rows: (n,) the request of each slot, within the batch.
            own: (n,) the slot, among all.
        """
        at = np.minimum(self.slots.places[own], places.shape[1] - 1)
        belongs = (places[rows, at] != NOT_SHOWN) & (at == self.slots.places[own])
        item_ids = self.replay.generator.model.catalogue.item_ids
        return np.where(belongs, item_ids[listed[rows, at]], NOTHING)

    def _inputs(self, batch: slice) -> RankingInputs:
        """The ranker's inputs for a batch, made as in evaluation."""
        asked, replay = self.asked[batch], self.replay
        times = asked["requested_at"].to_numpy()
        # A history in the request holds ratings alone: the impressions of its user count as well.
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

    A request with its own history gets an artificial user, who has that history and the logged ratings of the request's
    user. So does every request where only the events that had arrived count (`as_arrived`).
    """
    is_own = pl.lit(as_arrived) | pl.col("user_id").is_null() | pl.col("history").is_not_null()
    # From -2 down: ids of users are from 0 to the greatest integer, and -1 means no user.
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
