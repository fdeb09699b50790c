"""The settings of this stage."""

from pydantic import BaseModel, ConfigDict, Field


class InteractionsConfig(BaseModel):
    """Limits on a day's log, and the time at which a day is closed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    future_tolerance_s: int = Field(
        default=300,
        ge=0,
        le=86_400,
        description="Seconds by which an event may be dated later than its arrival. Users' clocks are some "
        "minutes fast; a larger difference is a fault, and would put training data into the future.",
    )
    max_bad_share: float = Field(
        default=1.0,
        ge=0.0,
        le=1.0,
        description="Largest share of rejected events of a day; above it the day is refused. By default no day "
        "is: ignoring one client's invalid events is better than blocking a whole day.",
    )
    grace_s: int = Field(
        default=3_600,
        ge=0,
        le=604_800,
        description="Seconds after its end (UTC) for which a day stays open. An event gets its time of arrival "
        "before it is on the disk, and a slow disk or queue may delay it; a day that is read too "
        "early is read twice.",
    )


class OutcomesConfig(BaseModel):
    """The time at which the label of an impression is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer_s: int = Field(
        default=86_400,
        ge=60,
        le=86_400,
        description="Seconds after an answer within which a click or a rating counts for it; an impression "
        "without one by then is a negative. One day: most clicks come at once, and waiting longer "
        "would delay every label.",
    )


class ImplicitConfig(BaseModel):
    """Weights of clicks as targets of the towers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    click_weight: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="Weight of a clicked, unrated item as a target, where a like has 1: half the weight of a "
        "rating below a like, since the user has not watched the movie yet. Chosen, not measured: "
        "MovieLens has no clicks.",
    )
    position_exponent: float = Field(
        default=0.0,
        ge=0.0,
        le=2.0,
        description="Exponent of the position correction: a click at position k counts k^exponent times. 0 is no "
        "correction: in simulation the correction raised no reward.",
    )
    most_clicks: float = Field(
        default=10.0,
        ge=1.0,
        le=1000.0,
        description="Largest number of clicks that one click at the end of a list may count for: bounds the variance.",
    )
