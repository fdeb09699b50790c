"""Settings of the monitoring stage: the requests that replay the past, and when a window has drifted."""

from pydantic import BaseModel, Field


class PastConfig(BaseModel, frozen=True, extra="forbid"):
    """Requests that ask a release about the past."""

    k: int = Field(10, ge=1, le=200, description="Slots per answer: as many as people are shown.")
    max_requests: int = Field(
        2_000,
        ge=1,
        le=10_000_000,
        description="Latest ratings that are replayed, about two milliseconds each. Enough to exercise every path by "
        "which an answer is computed.",
    )


class DriftConfig(BaseModel, frozen=True, extra="forbid"):
    """When a window counts as drifted."""

    alpha: float = Field(
        0.05, gt=0, le=0.5, description="Probability that a report on a window without drift raises any alarm."
    )
    window_days: int = Field(
        28,
        ge=1,
        le=3650,
        description="Days of the event log on either side of the comparison: four whole weeks, so that each side holds "
        "every day of the week equally often.",
    )
    period_days: int = Field(7, ge=1, le=3650, description="Days of the event log in a point of the plot over time.")
    n_slots: int = Field(
        10,
        ge=1,
        le=200,
        description="First places of each list of an evaluation window: as many as people are shown.",
    )
    n_bins: int = Field(
        50,
        ge=10,
        le=200,
        description="Bins of equal share per column, fitted to the reference. A shift within a fiftieth of the rows "
        "goes unseen, and changes no decision.",
    )
    n_permutations: int = Field(
        5000,
        ge=100,
        le=100_000,
        description="Permutations; the smallest p-value is 1 / (n + 1). Holm requires of the smallest p-value alpha "
        "divided by the number of columns. With several times as many permutations as that needs, single draws no "
        "longer decide, and a report takes half a second.",
    )
    min_clusters: int = Field(
        50,
        ge=2,
        le=10_000,
        description="Fewest clusters on either side. With fewer, nothing is judged: the test would miss relevant "
        "shifts, and its silence would be read as no drift.",
    )
    max_clusters: int = Field(
        2000,
        ge=100,
        le=20_000,
        description="Most clusters of either side that are compared; above that, a random sample. More clusters would "
        "only make ever smaller shifts significant.",
    )
    n_psi_bins: int = Field(
        10, ge=2, le=50, description="Bins of the population stability index: ten, as its rules of thumb assume."
    )
    seed: int = Field(17, ge=0, description="Seed of the permutations and of the sample.")
