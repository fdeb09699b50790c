"""Settings of the data stage: where the time cut-offs lie."""

from pydantic import BaseModel, Field


class SplitsConfig(BaseModel, frozen=True, extra="forbid"):
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
    training_slice_share: float = Field(
        0.1, gt=0, lt=0.3, description="Width of each earlier slice whose outcomes the ranker learns from."
    )
    n_training_slices: int = Field(
        4, ge=1, le=8, description="Earlier slices: one gives the ranker too few users, many start from little history."
    )
