"""Settings of the evaluation stage."""

from pydantic import BaseModel, Field


class EvaluationConfig(BaseModel, frozen=True, extra="forbid"):
    """Settings of the evaluation report."""

    k: int = Field(10, ge=1, le=100, description="Length of the list that a user sees: headline, funnel and segments.")
    n_draws: int = Field(2000, ge=100, le=100_000, description="Bootstrap draws: 2,000 determine the third digit.")
    n_slice_users: int = Field(10, ge=2, description="Fewest users of a segment; a smaller one is shown as too small.")
    seed: int = Field(17, ge=0, description="Seed of the bootstrap.")
