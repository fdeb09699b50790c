"""Settings of the data stage: how files are read, how time is cut into windows, what is held out of a user's likes."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recsys_core.data.schemas import EARLIEST_TIMESTAMP, LATEST_TIMESTAMP


class ReadingConfig(BaseModel):
    """How strictly files from outside are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bad_share: float = Field(
        default=0.01,
        ge=0.0,
        le=1.0,
        description="Largest share of invalid lines of a file; above it the file is refused. 1 % tolerates single "
        "odd lines, while a shifted column or a wrong delimiter makes nearly all lines invalid.",
    )
    max_unknown_share: float = Field(
        default=0.01,
        ge=0.0,
        le=1.0,
        description="Largest share of ratings whose movie is not in the movie table; above it the two files do "
        "not belong together. GroupLens' own data sets have none.",
    )
    latest_timestamp: int = Field(
        default=LATEST_TIMESTAMP,
        ge=EARLIEST_TIMESTAMP,
        le=LATEST_TIMESTAMP,
        description="Later ratings (seconds UTC) are rejected as from the future. Core reads no clock, and the "
        "dates inside an archive say when it was packed; so the default is the year 2100, which "
        "catches milliseconds. A caller that knows the time passes it.",
    )
    encoding: Literal["layout", "utf-8", "latin-1"] = Field(
        default="layout",
        description="Text encoding; `layout` uses that of GroupLens for the layout: latin-1 for 100K and 1M, else "
        "UTF-8.",
    )


class RatingsReadingConfig(ReadingConfig):
    """How strictly ratings are read, and from when on they are left out."""

    hold_back_from: str | None = Field(
        default=None,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        description="Ratings from this day (UTC) on are left out, as if they had not happened yet; `recsys log "
        "demo` then replays them as a log, to try out the feedback loop. By default none are.",
    )


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
        description="Number of hold-outs, of one, two and three such shares: near and more distant likes. Each "
        "costs a tower.",
    )
    holdout_likes: int = Field(
        5, ge=2, description="Fewest likes of a held-out user: with fewer, the history would be too short."
    )


class SplitsConfig(BaseModel, frozen=True, extra="forbid"):
    """How the ratings, in order of time, are cut into windows; the last window is the test."""

    first_share: float = Field(
        0.1,
        gt=0,
        lt=0.9,
        description="Share of the ratings before the first window: the training data of the first models.",
    )
    n_windows: int = Field(
        9,
        ge=4,
        le=50,
        description="Windows with equal numbers of ratings after that. Nine windows of a tenth each have enough "
        "users to evaluate a model, and are enough windows to train a ranker.",
    )
    n_refits: int = Field(
        4,
        ge=1,
        le=12,
        description="Refits of all models within a window, as in a production system; each costs a tower.",
    )
    n_teaching: int = Field(
        2, ge=1, description="First windows that only provide training rows: no ranker can be fitted before them."
    )

    @model_validator(mode="after")
    def _leaves_windows_to_choose_on(self) -> Self:
        if self.n_windows - self.n_teaching < 3:
            raise ValueError(
                f"n_teaching is {self.n_teaching} of {self.n_windows} windows: at least 3 must remain, one to choose "
                "settings on, one to confirm them, and the test"
            )
        return self
