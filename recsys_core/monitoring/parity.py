"""Did the ranker read online what training would have computed? Proven by computing it again, bit for bit.

Each logged request is asked anew as of its time, by the other road: histories cut from the raw log, item features
counted again from the raw ratings, user features from running totals, all requests of a batch together. Nothing of the
online path takes part but the functions of the registry. Whatever differs in one bit is a skew: the ranker learned from
one number and reads another.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import JsonValue

from recsys_core.data.histories import Chronicle, chronicle_of
from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.features.registry import FEATURE_NAMES, names_of
from recsys_core.features.tables import item_features, user_features
from recsys_core.feedback.impressions import read_history
from recsys_core.monitoring.sample import SCORE, Float32s
from recsys_core.monitoring.schemas import PARITY_ABOUT, PARITY_COLUMNS
from recsys_core.monitoring.served import Served
from recsys_core.ranking.inputs import Proposer, RankingInputs, candidate_features, proposer_of
from recsys_core.retrieval.candidates import seen_at
from recsys_core.retrieval.encoding import user_vectors
from recsys_core.serving.bundle import Bundle
from recsys_core.side_by_side import Check, side_by_side
from recsys_core.tables import load_tables, save_tables

BATCH = 1_024
"""Requests replayed together: bounds the memory at so many blocks of features, twice, for two batches run at a time."""

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]

COLUMNS = (*FEATURE_NAMES, SCORE)

COLUMNS_SCHEMA = pl.Schema(
    {
        "column": pl.String,
        "n_compared": pl.Int64,
        "n_mismatches": pl.Int64,
        "largest_difference": pl.Float64,
        "request_id": pl.String,
        "item_id": pl.Int64,
        "logged": pl.Float64,
        "replayed": pl.Float64,
    }
)


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """What was compared and what differed.

    Attributes:
        columns: a row per feature and one for the score: column, n_compared, n_mismatches, largest_difference (NaN
            where one side is missing), and the first slot that differs: request_id, item_id, logged, replayed (null
            where none does).
        about: one row: n_requests, n_slots, n_absent (slots whose item the replay does not propose at all),
            n_of_other_releases (requests that this release did not answer, which are left out), n_left_out (slots that
            it says it showed, and that cannot be compared: another release answered their request, or they hold
            another number of features, or a score beyond float32).
    """

    columns: pl.DataFrame
    about: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write both tables."""
        save_tables(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "ParityReport":
        """Read both tables."""
        return load_tables(cls, folder)

    def at_fault(self) -> list[str]:
        """The columns that differ anywhere, the most often differing first."""
        differing = self.columns.filter(pl.col("n_mismatches") > 0)
        return differing.sort("n_mismatches", descending=True)["column"].to_list()

    def is_clean(self) -> bool:
        """Whether anything was compared at all, and nothing differed."""
        about = self.about.row(0, named=True)
        return bool(about["n_slots"]) and not about["n_absent"] and not self.at_fault()

    def headline(self) -> dict[str, JsonValue]:
        """The figures worth following."""
        return {
            **self.about.row(0, named=True),
            "n_mismatches": int(self.columns["n_mismatches"].sum()),
            "n_columns_at_fault": len(self.at_fault()),
        }


def parity_report(served: Served, bundle: Bundle) -> ParityReport:
    """Replay what a release has served, and compare.

    Args:
        served: requests of any release; those of another are counted and left out.
        bundle: the release, with every rating known by now.
    """
    own = served.of_release(bundle.release)
    requests = own.requests.sort("requested_at", "request_id")
    slots = own.impressions.sort("request_id", "position")
    replayed, found = _replayed(requests, slots, bundle)
    logged = np.column_stack([Served(requests=requests, impressions=slots).features(), slots["score"].to_numpy()])
    about = {
        "n_requests": requests.height,
        "n_slots": slots.height,
        "n_absent": int((~found).sum()),
        "n_of_other_releases": served.requests.height - requests.height,
        "n_left_out": served.impressions.filter(release=bundle.release).height - slots.height,
    }
    return ParityReport(
        columns=_compared(slots.filter(found), logged.astype(np.float32)[found], replayed[found]),
        about=PARITY_ABOUT.validate(pl.DataFrame(about)),
    )


def _compared(slots: pl.DataFrame, logged: Float32s, replayed: Float32s) -> pl.DataFrame:
    """COLUMNS_SCHEMA; bits are compared, and two missing values are alike."""
    differs = (logged.view(np.uint32) != replayed.view(np.uint32)) & ~(np.isnan(logged) & np.isnan(replayed))
    rows = []
    for name, differing, ours, theirs in zip(COLUMNS, differs.T, logged.T, replayed.T, strict=True):
        row = {"column": name, "n_compared": len(ours), "n_mismatches": int(differing.sum()), "largest_difference": 0.0}
        if differing.any():
            first = int(differing.argmax())
            row |= {"logged": float(ours[first]), "replayed": float(theirs[first])}
            row |= slots.select("request_id", "item_id").row(first, named=True)
            row["largest_difference"] = float(np.abs(ours - theirs)[differing].max())
        rows.append(row)
    return PARITY_COLUMNS.validate(pl.DataFrame(rows, schema=COLUMNS_SCHEMA))


def _replayed(requests: pl.DataFrame, slots: pl.DataFrame, bundle: Bundle) -> tuple[Float32s, Bools]:
    """(n_slots, n_features + 1) features and score of each slot, counted again; (n_slots,) whether it was proposed."""
    replay = _replay_of(requests, bundle)
    numbered = slots.join(
        replay.asked.with_row_index("row").select("request_id", "row"), on="request_id", maintain_order="left"
    )
    rows, item_idx = numbered["row"].to_numpy(), replay.proposer.tower.catalogue.idx_of(slots["item_id"].to_numpy())
    values = np.full((slots.height, len(FEATURE_NAMES) + 1), np.nan, dtype=np.float32)
    found = np.zeros(slots.height, dtype=np.bool_)

    def fill(start: int, check: Check) -> None:
        check()
        own = np.flatnonzero((rows >= start) & (rows < start + BATCH))
        values[own, :-1], found[own] = replay.features(start, rows[own], item_idx[own])

    side_by_side([partial(fill, start) for start in range(0, requests.height, BATCH)], at_once=2)
    if len(values):
        values[:, -1] = bundle.ranker.score(values[:, :-1])
    return values, found


@dataclass(frozen=True, kw_only=True)
class _Replay:
    """The other road to an answer, with what all requests share."""

    proposer: Proposer
    known: Chronicle
    asked: pl.DataFrame  # (n_requests,) REQUESTS and `who`
    user_values: Float32s  # (n_requests, n_user_features)
    n_candidates: int
    rewatch_after_days: int | None

    def features(self, start: int, rows: Int64s, item_idx: Int64s) -> tuple[Float32s, Bools]:
        """(n, n_features) features of slots, from a batch of requests; (n,) whether the item was proposed at all.

        Args:
            start: where the batch begins among the requests.
            rows: (n,) the request of each slot, within the batch.
            item_idx: (n,) what it showed.
        """
        inputs = self._inputs(slice(start, start + BATCH))
        block = candidate_features(inputs)  # (n_requests, n_candidates, n_features)
        of_request = rows - start
        # (n, n_candidates); an unknown item and a place without a candidate are both -1, and not the same.
        is_item = (inputs.candidates.item_idx[of_request] == item_idx[:, None]) & (item_idx[:, None] >= 0)
        return block[of_request, is_item.argmax(axis=1)], is_item.any(axis=1)

    def _inputs(self, batch: slice) -> RankingInputs:
        """The requests of a batch, as evaluation would make them."""
        asked, tower = self.asked[batch], self.proposer.tower
        times = asked["requested_at"].to_numpy()
        users = self.known.before(asked["who"].to_numpy(), times)
        vectors, seen = user_vectors(tower, users), seen_at(users, times, self.rewatch_after_days)
        return RankingInputs(
            proposer=self.proposer,
            users=users,
            requested_at=times,
            user_vectors=vectors,
            candidates=self.proposer.candidates(vectors, seen, self.n_candidates),
            user_values=self.user_values[batch],
        )


def _replay_of(requests: pl.DataFrame, bundle: Bundle) -> _Replay:
    """Item features counted again, and the features of all who ask."""
    asked, ratings = _with_own_histories(requests, bundle.ratings)
    items, tower = _counted_again(bundle), bundle.proposer.tower
    users = user_features(ratings, items, asked["who"].to_numpy(), asked["requested_at"].to_numpy())
    return _Replay(
        proposer=proposer_of(tower, items, bundle.proposer.index),
        known=chronicle_of(ratings, tower.catalogue),
        asked=asked,
        user_values=users.select(names_of("user")).to_numpy(),
        n_candidates=bundle.ranker.n_candidates,
        rewatch_after_days=bundle.ranker.list_rules.rewatch_after_days,
    )


def _counted_again(bundle: Bundle) -> pl.DataFrame:
    """`item_features` as of the release's cut-off, from the raw ratings."""
    # As the pipeline merges them: of a user and item the latest rating alone, also where it came after the cut-off.
    merged = bundle.ratings.unique(["user_id", "item_id"], keep="last", maintain_order=True)
    return item_features(merged, bundle.movies, bundle.proposer.tower.fit_end)


def _with_own_histories(requests: pl.DataFrame, ratings: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The requests with `who`, and all ratings by `who`.

    A history that came with a request is nobody else's: it becomes, with the ratings of the user it came for, the
    history of a user made up for this request.
    """
    is_own = pl.col("user_id").is_null() | pl.col("history").is_not_null()
    # From -2 down: ids of people are 0 at least, and may be the greatest that there is; -1 stands for nobody.
    numbered = requests.with_columns(who=pl.when(is_own).then(-2 - pl.int_range(pl.len())).otherwise("user_id"))
    tables = [ratings]
    for user_id, history, who in numbered.filter(is_own).select("user_id", "history", "who").iter_rows():
        of_user = ratings.filter(pl.col("user_id") == (-1 if user_id is None else user_id))
        given = [(who, *rated) for rated in read_history(history or "[]")]
        tables += [
            of_user.with_columns(user_id=pl.lit(who, pl.Int64)),
            pl.DataFrame(given, schema=RATINGS_COLUMNS, orient="row"),
        ]
    return numbered, pl.concat(tables).sort("timestamp", maintain_order=True)
