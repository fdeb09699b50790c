"""Settings of the monitoring stage: how a release is asked about the past, and when a window has drifted."""

from pydantic import BaseModel, Field


class PastConfig(BaseModel, frozen=True, extra="forbid"):
    """How a release is asked about the past."""

    k: int = Field(10, ge=1, le=200, description="Slots per answer: as many as people are shown.")
    max_requests: int = Field(
        2_000,
        ge=1,
        le=10_000_000,
        description="Latest ratings that are played back: each costs some two milliseconds. Enough to meet every way "
        "in which an answer is computed.",
    )


class DriftConfig(BaseModel, frozen=True, extra="forbid"):
    """When a window is said to have drifted."""

    alpha: float = Field(
        0.05, gt=0, le=0.5, description="Chance that a report on a window without drift raises any alarm at all."
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
        description="First places of each list of an examined window: as many as people are shown.",
    )
    n_bins: int = Field(
        50,
        ge=10,
        le=200,
        description="Bins of equal share per column, fitted to the reference: a shift within a fiftieth of the rows "
        "goes unseen, and changes no decision.",
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
        description="Clusters of either side that are looked at, drawn at random above that: more would only call ever "
        "smaller shifts significant.",
    )
    n_psi_bins: int = Field(
        10, ge=2, le=50, description="Bins of the population stability index: ten, as its rules of thumb assume."
    )
    seed: int = Field(17, ge=0, description="Seed of the dealings and of those draws.")
