"""Settings of the data stage: where time is cut into windows, and what is held out of each user's likes."""

from typing import Self

from pydantic import BaseModel, Field, model_validator


class HoldoutsConfig(BaseModel, frozen=True, extra="forbid"):
    """Which of each user's likes the ranker learns from, where a judge asks about each user's own latest likes."""

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
        description="Hold-outs of one, two, three such shares: near and farther likes; each costs a tower.",
    )
    holdout_likes: int = Field(
        5, ge=2, description="Least likes of a user who is held out: of fewer, too little would be left to ask with."
    )


class SplitsConfig(BaseModel, frozen=True, extra="forbid"):
    """How the ratings, in order of time, are cut into windows; the last window is the test."""

    first_share: float = Field(
        0.1, gt=0, lt=0.9, description="Share of the ratings before the first window: what the first models learn from."
    )
    n_windows: int = Field(
        9,
        ge=4,
        le=50,
        description="Windows of equal numbers of ratings after that. Nine of a tenth each: enough users in each to "
        "judge a model, and enough windows for a ranker to learn from.",
    )
    n_refits: int = Field(
        4,
        ge=1,
        le=12,
        description="How often all models are fitted within a window, as a system in use is; each costs a tower.",
    )
    n_teaching: int = Field(
        2, ge=1, description="First windows that only teach: no ranker has learned anything before them."
    )

    @model_validator(mode="after")
    def _leaves_windows_to_choose_on(self) -> Self:
        if self.n_windows - self.n_teaching < 3:
            raise ValueError(
                f"of {self.n_windows} windows {self.n_teaching} only teach: at least 3 must be left, one to choose "
                "settings on, one to confirm them, and the test"
            )
        return self
