"""Parity of serving and training: replay each logged request, and compare the lists bit for bit.

Each logged request is answered again as of its time, by the offline path of `replay`, and the whole answer is compared:
the items in their order, and the features, scores and probability of each. A difference in one bit is a fault of the
service, unless a rating or a click that arrived late explains it: the replay then uses an event that was not available
when the request was answered.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import JsonValue

from recsys_core.arrays import Bools, Float32s
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.feedback.exposures import Exposed, shown_slots
from recsys_core.monitoring.clustered_sample import SCORE
from recsys_core.monitoring.replay import (
    NOTHING,
    Replay,
    Replayed,
    happened,
    replay_of,
    with_arrivals,
    with_late_events,
)
from recsys_core.monitoring.schemas import PARITY_ABOUT, PARITY_COLUMNS, PARITY_LISTS
from recsys_core.monitoring.served import Served
from recsys_core.serving.bundle import Bundle
from recsys_core.tables import load_tables, save_tables

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]

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

N_SLOTS, PLACE, ABSENT = "number of slots", "another item at this place", "item that is no candidate"
OF_SLOTS = ("retrieval rank", "retrieval score", "score", "probability")
LIST_FAULTS = (N_SLOTS, PLACE, ABSENT, *OF_SLOTS)
"""Possible faults of a list; the last four are compared item by item, whatever the item's position."""

FAULTS_SCHEMA = pl.Schema(
    {"fault": pl.String, "request_id": pl.String, "position": pl.Int64, "logged": pl.String, "replayed": pl.String}
)

_RETRIEVAL_SCORE = FEATURE_NAMES.index("pair_retrieval_score")


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """The compared values and their differences.

    Attributes:
        columns: a row per feature and one for the score: column, n_compared, n_mismatches, largest_difference (NaN
            where one side is missing), and the first slot that differs: request_id, item_id, logged, replayed (null
            where none differs).
        lists: a row per fault of `LIST_FAULTS`: fault, n_requests, and the first slot that has it: request_id,
            position (null for the number of slots), logged, replayed (as text; null without one).
        about: one row: n_requests, n_slots, n_absent (slots whose item the replay does not retrieve), n_wrong_lists
            (requests with any fault of `lists`), and the requests left out of both tables: n_late (they differ only
            because of late events), n_of_other_releases (another release answered them), n_repeated (they share their
            id with another request, so that their slots are ambiguous), n_excluded (they were imported, or have an
            imported slot, or were excluded). n_left_out counts the slots of this release that cannot be compared:
            another release answered their request, or their request is among n_repeated or n_excluded, or they hold
            another number of features, or a score beyond float32.
    """

    columns: pl.DataFrame
    lists: pl.DataFrame
    about: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write all tables."""
        save_tables(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "ParityReport":
        """Read all tables."""
        return load_tables(cls, folder)

    def at_fault(self) -> list[str]:
        """The columns with any mismatch, most mismatches first."""
        differing = self.columns.filter(pl.col("n_mismatches") > 0)
        return differing.sort("n_mismatches", descending=True)["column"].to_list()

    def list_faults(self) -> list[str]:
        """A sentence for each fault of the lists, with its first example."""
        return [
            f"{fault}: in {n:,} request{'' if n == 1 else 's'}, first {request_id}"
            f"{'' if position is None else f' at position {position}'}: "
            f"{logged or 'nothing'} logged, {replayed or 'nothing'} replayed"
            for fault, n, request_id, position, logged, replayed in self.lists.iter_rows()
            if n
        ]

    def is_clean(self) -> bool:
        """Whether at least one slot was compared, and nothing differed."""
        about = self.about.row(0, named=True)
        wrong = about["n_absent"] or about["n_wrong_lists"] or self.at_fault() or self.list_faults()
        return bool(about["n_slots"]) and not wrong

    def headline(self) -> dict[str, JsonValue]:
        """The figures to follow from report to report."""
        return {
            **self.about.row(0, named=True),
            "n_mismatches": int(self.columns["n_mismatches"].sum()),
            "n_columns_at_fault": len(self.at_fault()),
        }


def parity_report(
    served: Served,
    bundle: Bundle,
    logged: pl.DataFrame | None = None,
    clicks: pl.DataFrame | None = None,
    past: Served | None = None,
    excluded: Collection[str] = (),
) -> ParityReport:
    """Replay the requests that a release has answered, and compare.

    Args:
        served: all requests and impressions of their users. Requests of other releases are counted and left out, but
            their impressions count as shown.
        bundle: the release, with every rating known now.
        logged: LOGGED, the ratings among them that came through the log, with the second in which each arrived. None:
            all were known before any request.
        clicks: CLICKS, of the users of `served`. None: no clicks.
        past: `historical_requests`, with a history of their own: their users saw only these slots, and clicked nothing.
        excluded: ids of requests that are not compared, because they were imported or excluded. Their impressions still
            count as shown.
    """
    everything = served if past is None else served.and_also(past)
    answered = everything.of_release(bundle.release)
    unique = answered.with_unique_ids()
    own = unique.without(excluded)
    replay, ratings = replay_of(bundle), with_arrivals(bundle.ratings, logged)
    nothing = Exposed.nothing()
    exposed = Exposed(shown=shown_slots(served.impressions), clicks=nothing.clicks if clicks is None else clicks)
    judged, n_late = _judged(own.among(served), replay, ratings, exposed)
    if past is not None:
        exposed = Exposed(shown=shown_slots(past.impressions), clicks=nothing.clicks)
        also, n_also_late = _judged(own.among(past), replay, ratings, exposed)
        judged, n_late = judged.and_also(also), n_late + n_also_late
    faults = judged.list_faults()
    about = {
        "n_requests": own.requests.height,
        "n_slots": own.impressions.height,
        "n_absent": faults.filter(fault=ABSENT).height,
        "n_wrong_lists": faults["request_id"].n_unique(),
        "n_late": n_late,
        "n_of_other_releases": everything.requests.height - answered.requests.height,
        "n_repeated": answered.requests.height - unique.requests.height,
        "n_excluded": unique.requests.height - own.requests.height,
        "n_left_out": everything.impressions.filter(release=bundle.release).height - own.impressions.height,
    }
    return ParityReport(
        columns=judged.columns(), lists=_by_fault(faults), about=PARITY_ABOUT.validate(pl.DataFrame(about))
    )


def _judged(own: Served, replay: Replay, ratings: pl.DataFrame, exposed: Exposed) -> tuple["_Pair", int]:
    """The logged and replayed slots, without the requests that late events explain; and the number of these.

    Args:
        own: requests of this release, each id once, and their slots.
        replay: the release.
        ratings: as `with_arrivals` gives them.
        exposed: all impressions and clicks of the users of these requests.
    """
    ordered = Served(
        requests=own.requests.sort("requested_at", "request_id"),
        impressions=own.impressions.sort("request_id", "position"),
    )
    pair = _Pair(served=ordered, replayed=replay.answer(ordered, ratings, exposed))
    late = _explained_by_arrivals(pair, replay, ratings, exposed)
    return pair.without(late), late.height


def _explained_by_arrivals(pair: "_Pair", replay: Replay, ratings: pl.DataFrame, exposed: Exposed) -> pl.DataFrame:
    """request_id of requests that differ, but not when only the events that had arrived are used."""
    differing = pair.served.requests.join(pair.differing(), on="request_id", how="semi")
    doubtful = with_late_events(differing, happened(ratings, exposed))
    if doubtful.is_empty():
        return doubtful.select("request_id")
    served = Served(
        requests=doubtful,
        impressions=pair.served.impressions.join(doubtful, on="request_id", how="semi", maintain_order="left"),
    )
    again = _Pair(served=served, replayed=replay.answer(served, ratings, exposed, as_arrived=True))
    return doubtful.join(again.differing(), on="request_id", how="anti").select("request_id")


def _by_fault(faults: pl.DataFrame) -> pl.DataFrame:
    """PARITY_LISTS of FAULTS_SCHEMA: how many requests each fault has, and the first of its slots."""
    first = pl.col("request_id", "position", "logged", "replayed").first()
    ordered = faults.sort("request_id", "position", maintain_order=True)
    n_requests = pl.col("request_id").n_unique().cast(pl.Int64).alias("n_requests")
    counted = ordered.group_by("fault").agg(n_requests, first)
    rows = pl.DataFrame({"fault": LIST_FAULTS}).join(counted, on="fault", how="left", maintain_order="left")
    return PARITY_LISTS.validate(rows.with_columns(pl.col("n_requests").fill_null(0)))


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Logged requests and their replay."""

    served: Served
    replayed: Replayed

    def without(self, requests: pl.DataFrame) -> "_Pair":
        """All but some requests."""
        tables = (self.served.requests, self.served.impressions)
        kept = [~table["request_id"].is_in(requests["request_id"].implode()) for table in tables]
        asked, impressions = (table.filter(mask) for table, mask in zip(tables, kept, strict=True))
        return _Pair(
            served=Served(requests=asked, impressions=impressions),
            replayed=self.replayed.only(*(mask.to_numpy() for mask in kept)),
        )

    def and_also(self, other: "_Pair") -> "_Pair":
        """The rows of both."""
        return _Pair(served=self.served.and_also(other.served), replayed=self.replayed.and_also(other.replayed))

    def differing(self) -> pl.DataFrame:
        """request_id of the requests with any difference, each once."""
        slots, logged, replayed = self._read()
        differs = pl.Series(_other_bits(logged, replayed).any(axis=1), dtype=pl.Boolean)
        return pl.concat([table.select("request_id") for table in (slots.filter(differs), self.list_faults())]).unique()

    def columns(self) -> pl.DataFrame:
        """PARITY_COLUMNS, of the slots whose item is a candidate."""
        slots, logged, replayed = self._read()
        rows = []
        for name, ours, theirs in zip(COLUMNS, logged.T, replayed.T, strict=True):
            differs = _other_bits(ours, theirs)
            row = {"column": name, "n_compared": len(ours), "n_mismatches": int(differs.sum())}
            row["largest_difference"] = 0.0
            if differs.any():
                first = int(differs.argmax())
                row |= {"logged": float(ours[first]), "replayed": float(theirs[first])}
                row |= slots.select("request_id", "item_id").row(first, named=True)
                row["largest_difference"] = float(np.abs(ours - theirs)[differs].max())
            rows.append(row)
        return PARITY_COLUMNS.validate(pl.DataFrame(rows, schema=COLUMNS_SCHEMA))

    def list_faults(self) -> pl.DataFrame:
        """FAULTS_SCHEMA: a row per fault of `LIST_FAULTS` and request, or slot, that has it."""
        return pl.concat([self._wrong_lengths(), *self._wrong_slots()])

    def _read(self) -> tuple[pl.DataFrame, Float32s, Float32s]:
        """The n slots whose item is a candidate; (n, n_features + 1) features and score, logged and replayed."""
        slots, again = self.served.impressions, self.replayed
        logged = np.column_stack([self.served.features(), slots["score"].to_numpy()]).astype(np.float32)
        replayed = np.column_stack([again.features, again.scores])
        offered = again.ranks > 0
        return slots.filter(pl.Series(offered, dtype=pl.Boolean)), logged[offered], replayed[offered]

    def _wrong_lengths(self) -> pl.DataFrame:
        logged = self.served.impressions.group_by("request_id").agg(n_logged=pl.len())
        asked = self.served.requests.select("request_id", n_offered=pl.Series(self.replayed.n_offered))
        both = asked.join(logged, on="request_id", how="left", maintain_order="left")
        both = both.with_columns(pl.col("n_logged").fill_null(0).cast(pl.Int64))
        wrong = (both["n_logged"] != both["n_offered"]).to_numpy()
        nowhere = both.select("request_id", position=pl.lit(None, pl.Int64))
        return _faults(N_SLOTS, nowhere, wrong, both["n_logged"], both["n_offered"])

    def _wrong_slots(self) -> Iterator[pl.DataFrame]:
        slots, again = self.served.impressions, self.replayed
        expected = pl.Series(again.item_ids, dtype=pl.Int64).replace(NOTHING, None)
        yield _faults(PLACE, slots, slots["item_id"].ne_missing(expected).to_numpy(), slots["item_id"], expected)
        offered = again.ranks > 0
        nothing = pl.repeat(None, slots.height, dtype=pl.Int64, eager=True)
        yield _faults(ABSENT, slots, ~offered, slots["item_id"], nothing)
        for fault, (logged, replayed) in zip(OF_SLOTS, self._of_slots(), strict=True):
            yield _faults(fault, slots, offered & _differs(logged, replayed), logged, replayed)

    def _of_slots(self) -> Iterator[tuple[pl.Series, pl.Series]]:
        """Logged and replayed, as `OF_SLOTS` names them."""
        slots, again = self.served.impressions, self.replayed
        yield slots["retrieval_rank"], pl.Series(again.ranks, dtype=pl.Int64)
        for name, values in (
            ("retrieval_score", again.features[:, _RETRIEVAL_SCORE]),
            ("score", again.scores),
            ("probability", again.probabilities),
        ):
            missing = np.full(slots.height, None) if values is None else values
            yield slots[name], pl.Series(missing, dtype=pl.Float64, strict=False)


def _faults(fault: str, rows: pl.DataFrame, wrong: Bools, logged: pl.Series, replayed: pl.Series) -> pl.DataFrame:
    """FAULTS_SCHEMA of the rows that are wrong.

    Args:
        fault: one of LIST_FAULTS.
        rows: request_id and position; (n_rows,), as all that follows.
        wrong: marks the rows that have the fault.
        logged: the logged values.
        replayed: the expected values.
    """
    table = rows.select(
        pl.lit(fault).alias("fault"),
        "request_id",
        "position",
        logged=logged.cast(pl.String),
        replayed=replayed.cast(pl.String),
    )
    return table.filter(pl.Series(wrong, dtype=pl.Boolean))


def _differs(logged: pl.Series, replayed: pl.Series) -> Bools:
    """(n,) whether two columns differ in any bit, or one alone is null."""
    if not logged.dtype.is_float():
        return logged.ne_missing(replayed).to_numpy()
    one_is_null = (logged.is_null() != replayed.is_null()).to_numpy()
    bits: Bools = one_is_null | _other_bits(logged.to_numpy(), replayed.to_numpy())
    return bits


def _other_bits(logged: Floats, replayed: Floats) -> Bools:
    """Where the bits differ; two missing values are equal, whatever their bits."""
    bits = np.uint32 if logged.dtype == np.float32 else np.uint64
    differs: Bools = (logged.view(bits) != replayed.view(bits)) & ~(np.isnan(logged) & np.isnan(replayed))
    return differs
