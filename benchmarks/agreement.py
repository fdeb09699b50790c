"""Do two blocks of results agree, within what another processor may change?

Another processor sums floats in another order, and the ranker's trees amplify that as another seed would. So figures
are compared within a tolerance. Conclusions are compared as well: if the difference is above the tolerance, an interval
must exclude "no difference" on the same side in both blocks, and models must be in the same order. Counts of users, and
all text between the tables, must be equal.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

TOLERANCE = 0.02
"""For pooled means and bounds of intervals: a little above 0.016, the largest measured difference of processors."""

WIDER = {"hit@10": 0.05, "ratio": 0.15, "window": 0.03, "share": 0.03}
"""Larger tolerances: one position in a list decides a hit, a ratio is relative, a window has few users."""

UNCOMPARED = {"likes"}
"""Columns that are not compared, because the share beside them is."""

Key = tuple[str, str, str]
"""First cell of a table's header, first cell of the row, column."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A printed figure; the bounds are None if it has no interval."""

    mean: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def read(cls, cell: str) -> "Figure":
        """`0.153 [0.114, 0.192]`, `80`, or `12.9%`, which is read as 0.129.

        Raises:
            ValueError: the cell holds no figure.
        """
        numbers = [float(number.replace(",", "")) for number in re.findall(r"[+-]?[\d,]*\d(?:\.\d+)?", cell)]
        if len(numbers) not in {1, 3}:
            raise ValueError(f"expected a figure, with or without an interval, found {cell!r}")
        scale = 0.01 if cell.endswith("%") else 1.0
        mean, *bounds = (number * scale for number in numbers)
        return cls(mean=mean, low=bounds[0], high=bounds[1]) if bounds else cls(mean=mean)

    def beyond(self, nothing: float) -> float:
        """How far the interval is above `nothing` (positive) or below it (negative); 0 if it contains `nothing`."""
        assert self.low is not None
        assert self.high is not None
        return max(0.0, self.low - nothing) + min(0.0, self.high - nothing)


def figures(block: str) -> dict[Key, Figure]:
    """Every figure of every table of a block."""
    found = {}
    for header, rows in _tables(block):
        for row in rows:
            for column, cell in zip(header[1:], row[1:], strict=True):
                found[header[0], row[0], column] = Figure.read(cell)
    return found


def disagreements(published: str, measured: str) -> list[str]:
    """The differences between two blocks of results, as sentences; empty if they agree.

    Args:
        published: the block in a document.
        measured: the block from the report of this machine.
    """
    if _prose(published) != _prose(measured):
        return ["the text between the tables differs"]
    ours, theirs = figures(published), figures(measured)
    if ours.keys() != theirs.keys():
        return [f"only one of the two has {sorted(ours.keys() ^ theirs.keys())}"]
    found = [f"{' / '.join(key)}: {ours[key]} against {theirs[key]}" for key in ours if not _near(key, ours, theirs)]
    found += [
        f"{' / '.join(key)}: beyond chance in only one of the two, or on different sides"
        for key in ours
        if key[0] == "against" and not _same_side(key, ours[key], theirs[key])
    ]
    return found + list(_other_orders(ours, theirs))


def tolerance_of(key: Key) -> float:
    """The largest allowed distance of two figures."""
    table, _, column = key
    return WIDER.get(table) or WIDER.get(column.partition(" ")[0]) or TOLERANCE


def _near(key: Key, ours: dict[Key, Figure], theirs: dict[Key, Figure]) -> bool:
    column, one, other = key[2], ours[key], theirs[key]
    if column in UNCOMPARED:
        return True
    if column == "users":
        return one == other
    for a, b in ((one.mean, other.mean), (one.low, other.low), (one.high, other.high)):
        if a is None or b is None:
            if a is not b:
                return False
        elif abs(a - b) > tolerance_of(key) * (max(1.0, abs(b)) if column.startswith("ratio") else 1.0) + 1e-9:
            return False
    return True


def _same_side(key: Key, one: Figure, other: Figure) -> bool:
    nothing = 1.0 if key[2].startswith("ratio") else 0.0
    sides = [one.beyond(nothing), other.beyond(nothing)]
    is_same = (sides[0] > 0) == (sides[1] > 0) and (sides[0] < 0) == (sides[1] < 0)
    return is_same or max(abs(side) for side in sides) <= tolerance_of(key)


def _other_orders(ours: dict[Key, Figure], theirs: dict[Key, Figure]) -> Iterator[str]:
    """Pairs of models that the two blocks order differently."""
    for metric in dict.fromkeys(column for table, _, column in ours if table == "model"):
        keys = [key for key in ours if key[0] == "model" and key[2] == metric]
        for a, b in combinations(keys, 2):
            published, measured = ours[a].mean - ours[b].mean, theirs[a].mean - theirs[b].mean
            if published * measured < 0 and max(abs(published), abs(measured)) > tolerance_of(a):
                yield f"{metric}: {a[1]} and {b[1]} are in another order"


def _prose(block: str) -> list[str]:
    return [line for line in block.splitlines() if not line.startswith("|")]


def _tables(block: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Header and rows of every table."""
    for part in block.split("\n\n"):
        if part.startswith("|"):
            header, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines())
            yield header, rows
