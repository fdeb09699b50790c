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
        description="Share of a day's events that may be rejected; above it the day is refused. By default none is: it "
        "is better to count one client's bad events than to let them block a whole day.",
    )
    grace_s: int = Field(
        default=3_600,
        ge=0,
        le=604_800,
        description="Seconds after its end (UTC) for which a day stays open. An event is stamped with its arrival "
        "before it is on the disk, and a slow disk or queue may delay it; a day that is read too early is read twice.",
    )


class OutcomesConfig(BaseModel):
    """When the outcome of a shown item is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer_s: int = Field(
        default=86_400,
        ge=60,
        le=86_400,
        description="Seconds after an answer within which a click or a rating belongs to it; one that was not clicked "
        "by then is a negative. A day: most clicks come at once, and a longer wait would delay every label.",
    )


class ImplicitConfig(BaseModel):
    """What a click is worth to the towers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    click_weight: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="Weight of a clicked, unrated item as a target, beside 1 for a like: half of what a rating below a "
        "like has, since a user who clicks has not watched yet. Chosen, not measured: MovieLens has no clicks.",
    )
    position_exponent: float = Field(
        default=0.0,
        ge=0.0,
        le=2.0,
        description="How fast people stop looking down a list; a click at position k counts k^this times. 0 corrects "
        "nothing: in simulation the correction raised no reward.",
    )
    most_clicks: float = Field(
        default=10.0,
        ge=1.0,
        le=1000.0,
        description="The most clicks that one click at the end of a list can stand for: bounds the variance.",
    )
