"""How repeated measurements are summed up and shown; nothing here measures."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """The middle and the ends of some measurements: a mean would let one slow run speak for all."""

    median: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f}, n={self.n})"


def spread_of(values: Sequence[float]) -> Spread:
    """Median, least and greatest.

    Raises:
        statistics.StatisticsError: there are no values.

    >>> print(spread_of([3.0, 1.0, 2.0]))
    2.00 (1.00 to 3.00, n=3)
    """
    return Spread(median=statistics.median(values), low=min(values), high=max(values), n=len(values))
