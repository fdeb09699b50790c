"""Settings of the data stage: where the time cut-offs lie, and what is held out for the ranker."""

from pydantic import BaseModel, Field


class HoldoutsConfig(BaseModel, frozen=True, extra="forbid"):
    """Which likes of the past the ranker learns from."""

    holdout_share: float = Field(
        0.15,
        gt=0,
        le=0.3,
        description="Share of each user's likes, the latest, in the smallest hold-out: the ranker's labels.",
    )
    n_holdouts: int = Field(
        3,
        ge=1,
        le=3,
        description="Hold-outs of one, two, three such shares: the next likes and those after them; each costs a tower.",
    )
    holdout_likes: int = Field(
        5, ge=2, description="Least likes of a user who is held out: of fewer, too little would be left to ask with."
    )


class SplitsConfig(HoldoutsConfig, frozen=True, extra="forbid"):
    """Shares of all ratings, in order of time, that each part of the protocol gets."""

    test_share: float = Field(
        0.1,
        gt=0,
        lt=0.5,
        description="Latest ratings, read once, by the evaluation report: a tenth is the field's habit.",
    )
    validation_share: float = Field(
        0.1, gt=0, lt=0.5, description="Ratings before the test period, on which every setting and baseline is tuned."
    )
