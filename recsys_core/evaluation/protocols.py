"""Protocols: the users of a window, and the age of the models that answer them."""

from dataclasses import dataclass

import polars as pl

from recsys_core.data.splits import Splits, known_ratings, newcomers

REFITTED = "refitted"
"""Each user is answered by models of the step that the question falls into: what a system in use gives."""

FROZEN = "frozen"
"""Each user is answered by the models that were there when the window began."""

NEWCOMERS = "newcomers"
"""Users at their first second, without any history, answered by models of the step."""

PROTOCOLS = (REFITTED, FROZEN, NEWCOMERS)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """The questions of one protocol to the models of one slice.

    Attributes:
        protocol: one of PROTOCOLS.
        window: that examines.
        known: RATINGS columns: all that is known of each user when asked.
        requests: user_id, requested_at (seconds UTC), sorted by user_id.
        targets: RATINGS columns: liked items to be found.
    """

    protocol: str
    window: str
    known: pl.DataFrame
    requests: pl.DataFrame
    targets: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class Examination:
    """All windows that examine, with their users and newcomers."""

    ratings: pl.DataFrame  # RATINGS columns, every rating that was ever given
    splits: Splits
    new: Splits

    @classmethod
    def of(cls, ratings: pl.DataFrame, splits: Splits) -> "Examination":
        """The examination of a chain; it holds the targets that the splits were loaded with."""
        return cls(ratings=ratings, splits=splits, new=newcomers(ratings, splits))

    @property
    def slices(self) -> list[str]:
        """The slices whose models are examined, the earliest first."""
        return self.splits.evaluation_slices

    def questions(self, name: str) -> list[Questions]:
        """The questions to the models of a slice, by protocol; empty without any user."""
        steps = self.splits.slices_of(self.splits.window_of(name))
        asked = [
            self._asked(REFITTED, self.splits, [name]),
            self._asked(FROZEN, self.splits, steps if name == steps[0] else []),
            self._asked(NEWCOMERS, self.new, [name]),
        ]
        return [one for one in asked if one is not None]

    def _asked(self, protocol: str, splits: Splits, names: list[str]) -> Questions | None:
        asking = [name for name in names if name in splits.asking]
        if not asking:
            return None
        is_own = pl.col("slice").is_in(asking)
        return Questions(
            protocol=protocol,
            window=splits.window_of(asking[0]),
            known=pl.concat([known_ratings(self.ratings, splits, name) for name in asking]),
            requests=pl.concat([splits.requests(name) for name in asking]).sort("user_id"),
            targets=splits.targets.filter(is_own).drop("slice"),
        )
