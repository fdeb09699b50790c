"""Settings of the monitoring stage: of the reference, which is kept, and of the reports, which are made against it.

Two classes, because a reference must not become stale when an alarm is set differently.
"""

from pydantic import BaseModel, Field


class PastConfig(BaseModel, frozen=True, extra="forbid"):
    """How a release is asked about the past."""

    k: int = Field(10, ge=1, le=200, description="Slots per answer: as many as people are shown, and as the reference.")
    max_requests: int = Field(
        2_000,
        ge=1,
        le=10_000_000,
        description="Latest ratings that are played back: each costs some two milliseconds. Enough to meet every way "
        "in which an answer is computed.",
    )


class ReferenceConfig(BaseModel, frozen=True, extra="forbid"):
    """How finely, and of how many clusters, is kept what a model learned from."""

    n_slots: int = Field(10, ge=1, le=200, description="First places of each list: as many as people are shown.")
    n_bins: int = Field(
        50,
        ge=10,
        le=200,
        description="Bins of equal share per column, fixed for the life of the reference: a shift within a fiftieth of "
        "the rows goes unseen, and changes no decision.",
    )
    max_clusters: int = Field(
        2000,
        ge=100,
        le=20_000,
        description="Clusters kept, drawn at random above that: more would only call ever smaller shifts significant.",
    )
    seed: int = Field(17, ge=0, description="Seed of that draw.")


class DriftConfig(BaseModel, frozen=True, extra="forbid"):
    """When a window is said to have drifted."""

    alpha: float = Field(
        0.05, gt=0, le=0.5, description="Chance that a report on a window without drift raises any alarm at all."
    )
    window_days: int = Field(
        365,
        ge=1,
        le=3650,
        description="Days before the latest request that make the window. A year, because the shipped data has eighty "
        "users in fifteen months; with real traffic a week or less.",
    )
    period_days: int = Field(
        91, ge=1, le=3650, description="Days of a point in the plot over time: a quarter, for the same reason."
    )
    n_permutations: int = Field(
        5000,
        ge=100,
        le=100_000,
        description="Dealings behind a p-value, whose least is 1 / (1 + this). Holm asks the least of all for alpha "
        "divided by the number of columns; with several times as many dealings as that takes, the luck of single ones "
        "no longer decides, and a report takes half a second.",
    )
    min_clusters: int = Field(
        50,
        ge=2,
        le=10_000,
        description="Least clusters on either side: fewer are not judged at all, because they would miss what matters, "
        "and silence would be read as no drift.",
    )
    max_clusters: int = Field(
        2000,
        ge=100,
        le=20_000,
        description="Clusters of a window that are looked at, drawn at random above that: as for the reference.",
    )
    n_psi_bins: int = Field(
        10, ge=2, le=50, description="Bins of the population stability index: ten, as its rules of thumb assume."
    )
    seed: int = Field(17, ge=0, description="Seed of the dealings and of that draw.")
