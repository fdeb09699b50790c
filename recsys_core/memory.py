"""Estimate the memory of a build beforehand, and refuse data sets that do not fit.

The figures are lower bounds: the largest arrays of an asset, counted, times the copies that are alive at once. A build
that passes may still be slow.
"""

import os
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files with the memory limit of a container, in newer and older form; absent outside Linux."""

EASE_COPIES = 4
"""Simultaneous float64 matrices of an EASE fit: the Gram matrix, its factor, the identity and the inverse."""

EXAMPLE_COPIES = 2.7
"""Peak memory over size of the ranker's table of rows: estimate for MovieLens 25M (86 GB over 32), never measured."""

TOWER_FLOATS_PER_ITEM = 2 * 64 + 43 + 2 * 128 + 32 + 32 + 300
"""Both tables of the towers, content, both sides of EASE, trend, rating model, and co-visits with their lifts."""

SMALLER = "choose a smaller data set (`raw_data: dataset`)"


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a data set for a build.

    Attributes:
        n_users: users with ratings.
        n_items: rated items.
        n_questions: users asked, over all windows.
        n_slices: retrieval models that are fitted, and held until they are stored.
        n_candidates: rows of the ranker per question.
        n_features: columns of these rows.
    """

    n_users: int
    n_items: int
    n_questions: int
    n_slices: int
    n_candidates: int
    n_features: int


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Lower bound of one asset's memory: its name, bytes at the peak, and the remedy."""

    asset: str
    n_bytes: int
    remedy: str

    def sentence(self, available: int) -> str:
        """The message for a machine with fewer bytes than the asset needs."""
        needed, there = self.n_bytes / GIB, available / GIB
        return (
            f"{self.asset} would take {needed:.0f} GiB of memory, and this machine has {there:.0f}: {self.remedy}, or "
            "use a machine with more"
        )


def demands(size: Size) -> list[Demand]:
    """Lower bounds for the assets that need the most memory."""
    n_smaller = min(size.n_users, size.n_items)  # EASE is fitted over whichever side is smaller
    n_values = size.n_questions * size.n_candidates * size.n_features
    return [
        Demand(asset="baselines", n_bytes=EASE_COPIES * 8 * n_smaller**2, remedy=SMALLER),
        Demand(
            asset="two_tower",
            n_bytes=4 * size.n_slices * size.n_items * TOWER_FLOATS_PER_ITEM,
            remedy=f"lower `splits: n_refits`, or {SMALLER}",
        ),
        Demand(
            asset="ranking_examples",
            n_bytes=int(EXAMPLE_COPIES * 4 * n_values),
            remedy=f"lower `ranking_examples: n_candidates` (now {size.n_candidates}), or {SMALLER}",
        ),
    ]


def too_large(size: Size, available: int) -> list[str]:
    """A sentence for each asset that needs more than the available bytes, the largest first; empty where all fit."""
    beyond = [demand for demand in demands(size) if demand.n_bytes > available]
    return [demand.sentence(available) for demand in sorted(beyond, key=lambda demand: -demand.n_bytes)]


def memory_of_this_machine() -> int:
    """Bytes that this process may use: those of the machine, or the limit of its container."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *(_limit(path) for path in CGROUP_LIMITS)])


def _limit(path: Path) -> int:
    """A container's limit in bytes; the largest integer without a limit."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return 2**63 - 1
    return int(text) if text.isdigit() else 2**63 - 1
