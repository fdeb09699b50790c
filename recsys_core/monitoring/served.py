"""What was served, as two tables, and as a drift report reads it."""

from collections.abc import Collection
from dataclasses import dataclass
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
from recsys_core.feedback.records import IMPRESSIONS_TABLE, REQUESTS_TABLE, has_features, unpack_features
from recsys_core.feedback.set_aside import without
from recsys_core.feedback.values import FRESH, MISSING, STALE
from recsys_core.monitoring.sample import Sample, scored_sample
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
        """What one release has answered, and of these requests the slots that it says it showed.

        Two writers may use one request id: the request that counts is then of one, and slots may be of the other.
        Slots that fit into no table of our features are left out.
        """
        requests = self.requests.filter(release=release)
        slots = self.impressions.filter(_is_readable(), release=release)
        return Served(requests=requests, impressions=slots.join(requests, on="request_id", how="semi"))

    def of_feature_set(self, version: str) -> "Served":
        """What was answered with one version of the features: the only rows whose columns mean the same.

        Slots that fit into no table of our features are left out.
        """
        impressions = self.impressions.filter(_is_readable(), feature_set=version)
        return Served(requests=self.requests.join(impressions, on="request_id", how="semi"), impressions=impressions)

    def with_unique_ids(self) -> "Served":
        """The requests whose id no other request has, and their slots: those of two requests cannot be told apart."""
        requests = self.requests.filter(pl.col("request_id").is_unique())
        return Served(requests=requests, impressions=self.impressions.join(requests, on="request_id", how="semi"))

    def without(self, request_ids: Collection[str]) -> "Served":
        """All but some requests and their slots."""
        return Served(requests=without(self.requests, request_ids), impressions=without(self.impressions, request_ids))

    def among(self, other: "Served") -> "Served":
        """The requests that are among those of another, by their ids, and their slots."""
        requests = self.requests.join(other.requests, on="request_id", how="semi")
        return Served(requests=requests, impressions=self.impressions.join(requests, on="request_id", how="semi"))

    def between(self, since: int, until: int) -> "Served":
        """What was asked for from one second on and before another, by `asked_at`."""
        requests = self.requests.filter(asked_at().is_between(since, until, closed="left"))
        return Served(requests=requests, impressions=self.impressions.join(requests, on="request_id", how="semi"))

    @property
    def last_asked_at(self) -> int:
        """The second of the latest request, by `asked_at`; there must be one."""
        return int(self.requests.select(asked_at().max()).item())

    def last_asked(self, n: int) -> list[Request]:
        """The latest n requests, as they were asked, oldest first."""
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
        """Both together."""
        requests = pl.concat([self.requests, other.requests])
        return Served(requests=requests, impressions=pl.concat([self.impressions, other.impressions]))

    @property
    def n_users(self) -> int:
        """Different users, everybody unnamed being one of their own."""
        return len(np.unique(self._clusters()))

    def features(self) -> Float32s:
        """(n_impressions, n_features) what the ranker read, bit for bit."""
        if self.impressions.is_empty():
            return np.empty((0, len(FEATURE_NAMES)), dtype=np.float32)
        return unpack_features(self.impressions["features"].to_list())

    def states(self) -> UInt8s:
        """(n_impressions, n_features) FRESH, MISSING or STALE."""
        states = np.frombuffer(b"".join(self.impressions["feature_states"].to_list()), dtype=np.uint8)
        return states.reshape(-1, len(FEATURE_NAMES))

    def degraded_shares(self) -> pl.DataFrame:
        """feature, missing_share, stale_share: how often a default stood in for a value, worst first; none left out."""
        states = self.states()
        n = max(len(states), 1)
        shares = {
            "missing_share": (states == MISSING).sum(axis=0) / n,
            "stale_share": (states == STALE).sum(axis=0) / n,
        }
        worst = pl.col("missing_share") + pl.col("stale_share")
        return pl.DataFrame({"feature": FEATURE_NAMES} | shares).sort(worst, descending=True, maintain_order=True)

    def sample(self) -> Sample:
        """What the ranker read and said, for a drift report: a value that a default stood in for counts as missing.

        A cluster is a user; whoever is unnamed is a cluster of their own.
        """
        values = self.features()
        values[self.states() != FRESH] = np.nan
        return scored_sample(values, self.impressions["score"].to_numpy().astype(np.float32), self._clusters())

    def _clusters(self) -> npt.NDArray[np.int64]:
        who = pl.coalesce(pl.col("user_id").cast(pl.String), pl.concat_str(pl.lit("request "), "request_id"))
        return self.impressions.select(who.rank("dense").cast(pl.Int64)).to_series().to_numpy()


def asked_at() -> pl.Expr:
    """The second that a request, or a slot, counts for: as of which it was asked, or in which it was answered.

    The earlier of them. One request as of a later time than it was would else end every window there; one as of the
    past is answered later.
    """
    return pl.min_horizontal("requested_at", pl.col("served_at") // 1_000_000)


def served_until(log: EventLog, last_day: str) -> Served:
    """All that was served up to and with a day (YYYY-MM-DD), as the event log says.

    Of a row that was delivered twice, the first arrival counts.
    """
    requests = rows_until(log, REQUESTS_TABLE, last_day)
    impressions = rows_until(log, IMPRESSIONS_TABLE, last_day)
    return Served(requests=requests, impressions=impressions.join(requests, on="request_id", how="semi"))


def _is_readable() -> pl.Expr:
    """Whether a slot fits into a table of what rankers read and said: the log takes in others, and keeps them."""
    return has_features(len(FEATURE_NAMES)) & (pl.col("score").abs() <= float(np.finfo(np.float32).max))
