"""The settings of this stage."""

from pydantic import BaseModel, ConfigDict, Field


class InteractionsConfig(BaseModel):
    """How strictly a day's log is read, and when a day is closed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    future_tolerance_s: int = Field(
        default=300,
        ge=0,
        le=86_400,
        description="Seconds by which an event may be dated later than its arrival. Users' clocks run some minutes "
        "fast; more is a fault, and such an event would be training data from the future.",
    )
    max_bad_share: float = Field(
        default=1.0,
        ge=0.0,
        le=1.0,
        description="Share of a day's events that may be rejected; above it the day is refused. By default none is: a "
        "day that one client's rubbish can block would be worse than a day whose rubbish is counted.",
    )
    grace_s: int = Field(
        default=3_600,
        ge=0,
        le=604_800,
        description="Seconds after its end (UTC) for which a day stays open. An event is stamped with its arrival "
        "before it is on the disk, and a slow disk or queue lies between; who reads too early reads twice.",
    )
