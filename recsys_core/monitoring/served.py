"""Answered requests and their slots: from the event log, or asked of a release about the past."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.arrays import Float32s
from recsys_core.features.assembler import UInt8s
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.feedback.deduplication import rows_until
from recsys_core.feedback.log import EventLog
from recsys_core.feedback.parsing import read_history
from recsys_core.feedback.quarantine import without_requests
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE, has_features, unpack_features
from recsys_core.feedback.values import FRESH, MISSING, STALE
from recsys_core.monitoring.clustered_sample import ClusteredSample, scored_sample
from recsys_core.serving.bundle import Bundle
from recsys_core.serving.logging import LoggedSession
from recsys_core.serving.recommender import Recommender
from recsys_core.serving.requests import Rated, Request
from recsys_core.tables import load_tables, save_tables


@dataclass(frozen=True, kw_only=True)
class Served:
    """Answered requests and what they showed.

    Attributes:
        requests: REQUESTS.
        impressions: IMPRESSIONS of these requests.
    """

    requests: pl.DataFrame
    impressions: pl.DataFrame

    def save(self, folder: Path) -> None:
        """Write both tables."""
        save_tables(self, folder)

    @classmethod
    def load(cls, folder: Path) -> "Served":
        """Read both tables."""
        return load_tables(cls, folder)

    def of_release(self, release: str) -> "Served":
        """The requests that one release answered, and their slots that name the same release.

        Two writers may use one request id: the request that counts may then come from one, and slots from the other.
        Slots that do not fit the feature table are left out.
        """
        requests = self.requests.filter(release=release)
        slots = self.impressions.filter(_is_readable(), release=release)
        return Served(requests=requests, impressions=slots.join(requests, on="request_id", how="semi"))

    def of_feature_set(self, version: str) -> "Served":
        """The requests answered with one version of the features: only their columns mean the same.

        Slots that do not fit the feature table are left out.
        """
        impressions = self.impressions.filter(_is_readable(), feature_set=version)
        return Served(requests=self.requests.join(impressions, on="request_id", how="semi"), impressions=impressions)

    def with_unique_ids(self) -> "Served":
        """The requests with a unique id, and their slots. The slots of requests that share an id are ambiguous."""
        requests = self.requests.filter(pl.col("request_id").is_unique())
        return Served(requests=requests, impressions=self.impressions.join(requests, on="request_id", how="semi"))

    def without(self, request_ids: Collection[str]) -> "Served":
        """All requests but these, and their slots."""
        return Served(
            requests=without_requests(self.requests, request_ids),
            impressions=without_requests(self.impressions, request_ids),
        )

    def among(self, other: "Served") -> "Served":
        """The requests whose ids `other` holds too, and their slots."""
        requests = self.requests.join(other.requests, on="request_id", how="semi")
        return Served(requests=requests, impressions=self.impressions.join(requests, on="request_id", how="semi"))

    def between(self, since: int, until: int) -> "Served":
        """Requests from one second on and before another, by `asked_at`, and their slots."""
        requests = self.requests.filter(asked_at().is_between(since, until, closed="left"))
        return Served(requests=requests, impressions=self.impressions.join(requests, on="request_id", how="semi"))

    @property
    def last_asked_at(self) -> int:
        """The second of the latest request, by `asked_at`; there must be at least one request."""
        return int(self.requests.select(asked_at().max()).item())

    def last_asked(self, n: int) -> list[Request]:
        """The latest n requests as they were asked, oldest first."""
        latest = self.requests.sort("requested_at", "request_id").tail(n)
        return [
            Request(
                request_id=row["request_id"],
                user_id=row["user_id"],
                history=tuple(
                    Rated(item_id=item, rating=stars, timestamp=at)
                    for item, stars, at in read_history(row["history"] or "[]")
                ),
                requested_at=row["requested_at"],
                k=row["k"],
            )
            for row in latest.iter_rows(named=True)
        ]

    def and_also(self, other: "Served") -> "Served":
        """The rows of both."""
        requests = pl.concat([self.requests, other.requests])
        return Served(requests=requests, impressions=pl.concat([self.impressions, other.impressions]))

    @property
    def n_users(self) -> int:
        """Number of distinct users; each request without a user counts as one."""
        return len(np.unique(self._clusters()))

    def features(self) -> Float32s:
        """(n_impressions, n_features) the values that the ranker read, bit for bit."""
        if self.impressions.is_empty():
            return np.empty((0, len(FEATURE_NAMES)), dtype=np.float32)
        return unpack_features(self.impressions["features"].to_list())

    def states(self) -> UInt8s:
        """(n_impressions, n_features) FRESH, MISSING or STALE."""
        states = np.frombuffer(b"".join(self.impressions["feature_states"].to_list()), dtype=np.uint8)
        return states.reshape(-1, len(FEATURE_NAMES))

    def degraded_shares(self) -> pl.DataFrame:
        """feature, missing_share, stale_share: how often a default replaced a value, worst first, for all features."""
        states = self.states()
        n = max(len(states), 1)
        shares = {
            "missing_share": (states == MISSING).sum(axis=0) / n,
            "stale_share": (states == STALE).sum(axis=0) / n,
        }
        worst = pl.col("missing_share") + pl.col("stale_share")
        return pl.DataFrame({"feature": FEATURE_NAMES} | shares).sort(worst, descending=True, maintain_order=True)

    def sample(self) -> ClusteredSample:
        """Features and scores for a drift report; values that were replaced by a default count as missing.

        A cluster is a user; each request without a user is a cluster of its own.
        """
        values = self.features()
        values[self.states() != FRESH] = np.nan
        return scored_sample(values, self.impressions["score"].to_numpy().astype(np.float32), self._clusters())

    def _clusters(self) -> npt.NDArray[np.int64]:
        who = pl.coalesce(pl.col("user_id").cast(pl.String), pl.concat_str(pl.lit("request "), "request_id"))
        return self.impressions.select(who.rank("dense").cast(pl.Int64)).to_series().to_numpy()


def asked_at() -> pl.Expr:
    """The second that a request or a slot counts for: the earlier of `requested_at` and the second of its answer.

    A request may ask as of a future time, which must not move the end of every window there. A request as of the past
    is answered later than it asks for.
    """
    return pl.min_horizontal("requested_at", pl.col("served_at") // 1_000_000)


def served_until(log: EventLog, last_day: str) -> Served:
    """All requests and slots of the event log up to and including a day (YYYY-MM-DD).

    Of a row that was delivered twice, the first arrival counts.
    """
    requests = rows_until(log, REQUESTS_TABLE, last_day)
    impressions = rows_until(log, IMPRESSIONS_TABLE, last_day)
    return Served(requests=requests, impressions=impressions.join(requests, on="request_id", how="semi"))


def historical_requests(bundle: Bundle, k: int, max_requests: int) -> Served:
    """Requests like real ones before there are any: a release asked just before each of the latest ratings.

    The ratings are replayed in the order of time. The user of a rating asks before it; then the release observes the
    slots that it showed, and the rating. User states are thus updated rating by rating, as in a service. There are no
    clicks, and no impressions of the event log. The models have learned from these very ratings, so the answers show
    how answers are computed, not how good they are.

    Args:
        bundle: the release.
        k: slots per answer.
        max_requests: number of ratings that are replayed.
    """
    ordered = bundle.ratings.sort("timestamp", maintain_order=True)
    before, played = ordered.head(-max_requests), ordered.tail(max_requests)
    session = LoggedSession(recommender=Recommender(bundle=replace(bundle, ratings=before)))
    rows = played.select("user_id", "item_id", "rating", "timestamp")
    for n, (user_id, item_id, stars, timestamp) in enumerate(rows.iter_rows()):
        session.answer(Request(request_id=f"past-{n:07}", user_id=user_id, requested_at=timestamp, k=k))
        session.recommender.observe(user_id, Rated(item_id=item_id, rating=stars, timestamp=timestamp))
    return served_in(session)


def served_in(session: LoggedSession) -> Served:
    """All that a session has logged so far."""
    return Served(
        requests=REQUESTS_TABLE.frame(session.requests), impressions=IMPRESSIONS_TABLE.frame(session.impressions)
    )


def _is_readable() -> pl.Expr:
    """Whether a slot fits the table of features and scores. The log accepts and keeps other slots too."""
    return has_features(len(FEATURE_NAMES)) & (pl.col("score").abs() <= float(np.finfo(np.float32).max))
