"""Every feature that the ranker reads, declared once: name, entity, unit, range, meaning.

The order of the declarations is the order of the columns of the ranker's matrix. An undefined value (the mean rating of
an item that nobody rated) is NaN, which the ranker treats as "missing" and never as a number.
"""

from dataclasses import dataclass
from typing import Literal

Entity = Literal["item", "user", "pair"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """One declared number. `low` and `high` bound every defined value, inclusive; None means unbounded."""

    name: str
    entity: Entity
    unit: str
    description: str
    low: float | None = 0.0
    high: float | None = None
    may_be_missing: bool = False


CENTURY = 36_525.0
"""Days. A bound that no value in days reaches and nearly every value in seconds passes: it guards the unit."""

CENTURIES = 250.0
"""Years, for the same reason: from the first films to the last date that a rating may have."""

FEATURES: tuple[Feature, ...] = (
    Feature(
        name="item_popularity_share",
        entity="item",
        unit="share",
        high=1.0,
        description="Share of all ratings so far that went to the item; shares, not counts, so that slices compare.",
    ),
    Feature(
        name="item_recent_share",
        entity="item",
        unit="share",
        high=1.0,
        description="The same over the last 30 days: what people are watching now.",
    ),
    Feature(
        name="item_year_share",
        entity="item",
        unit="share",
        high=1.0,
        description="The same over the last 365 days.",
    ),
    Feature(
        name="item_like_share",
        entity="item",
        unit="share",
        high=1.0,
        description="Share of the item's ratings that are likes.",
    ),
    Feature(
        name="item_mean_rating",
        entity="item",
        unit="stars",
        low=0.5,
        high=5.0,
        description="Mean of the item's ratings.",
    ),
    Feature(
        name="item_days_known",
        entity="item",
        unit="days",
        high=CENTURY,
        description="Days since the item was first rated.",
    ),
    Feature(
        name="item_age_years",
        entity="item",
        unit="years",
        low=-1.0,
        high=CENTURIES,
        may_be_missing=True,
        description="Year of the request minus year of release; missing where the title names no year.",
    ),
    Feature(
        name="user_n_ratings",
        entity="user",
        unit="ratings",
        description="How many ratings the user gave so far: how much the other user features can be trusted.",
    ),
    Feature(
        name="user_like_share",
        entity="user",
        unit="share",
        high=1.0,
        may_be_missing=True,
        description="Share of the user's ratings that are likes.",
    ),
    Feature(
        name="user_mean_rating",
        entity="user",
        unit="stars",
        low=0.5,
        high=5.0,
        may_be_missing=True,
        description="Mean of the user's ratings: strict and generous users mean different things by 3.5 stars.",
    ),
    Feature(
        name="user_mean_popularity",
        entity="user",
        unit="share",
        high=1.0,
        may_be_missing=True,
        description="Mean popularity share of what the user rated: mainstream or niche taste.",
    ),
    Feature(
        name="user_mean_liked_year",
        entity="user",
        unit="years",
        low=1870.0,
        high=2100.0,
        may_be_missing=True,
        description="Mean year of release of the liked items.",
    ),
    Feature(
        name="pair_retrieval_score",
        entity="pair",
        unit="logit",
        low=None,
        description="The retrieval score: all parts of the retriever together.",
    ),
    Feature(
        name="pair_retrieval_rank",
        entity="pair",
        unit="rank",
        low=1.0,
        description="Place of the item among the user's candidates, from 1.",
    ),
    Feature(
        name="pair_retrieval_z",
        entity="pair",
        unit="standard deviations",
        low=None,
        description="The retrieval score, standardised over the user's candidates: comparable between users.",
    ),
    Feature(
        name="pair_closed_form_score",
        entity="pair",
        unit="standard deviations",
        low=None,
        description="The part of the retrieval score that the closed form gives: items that go together.",
    ),
    Feature(
        name="pair_trained_score",
        entity="pair",
        unit="logit",
        low=None,
        description="The part that the trained half gives: taste, time, genres and popularity.",
    ),
    Feature(
        name="pair_trend_score",
        entity="pair",
        unit="logit",
        low=None,
        description="The part that the trend gives: how much of the item's popularity falls to these months.",
    ),
    Feature(
        name="pair_genre_affinity",
        entity="pair",
        unit="share",
        high=1.0,
        may_be_missing=True,
        description="Mean share of the liked items' genres that the item's genres cover.",
    ),
    Feature(
        name="pair_recent_genre_affinity",
        entity="pair",
        unit="share",
        high=1.0,
        may_be_missing=True,
        description="The same over the five latest ratings, likes or not: what the session is about.",
    ),
    Feature(
        name="pair_recent_similarity_mean",
        entity="pair",
        unit="cosine",
        low=-1.0,
        high=1.0,
        may_be_missing=True,
        description="Mean cosine of the item's trained vector with those of the five latest ratings.",
    ),
    Feature(
        name="pair_recent_similarity_max",
        entity="pair",
        unit="cosine",
        low=-1.0,
        high=1.0,
        may_be_missing=True,
        description="The highest of these cosines: near to one recent item is enough.",
    ),
    Feature(
        name="pair_liked_association",
        entity="pair",
        unit="EASE weight",
        low=None,
        may_be_missing=True,
        description="Mean weight with which the liked items call for the item.",
    ),
    Feature(
        name="pair_strongest_association",
        entity="pair",
        unit="EASE weight",
        low=None,
        may_be_missing=True,
        description="The largest of these weights over the 50 latest likes: one good reason may be enough.",
    ),
    Feature(
        name="pair_disliked_association",
        entity="pair",
        unit="EASE weight",
        low=None,
        may_be_missing=True,
        description="Mean weight of the items rated 2.5 stars or less: what goes with a disappointment.",
    ),
    Feature(
        name="pair_recent_association",
        entity="pair",
        unit="EASE weight",
        low=None,
        may_be_missing=True,
        description="Mean weight of the five latest ratings.",
    ),
    Feature(
        name="pair_last_association",
        entity="pair",
        unit="EASE weight",
        low=None,
        may_be_missing=True,
        description="Weight of the latest rating.",
    ),
    Feature(
        name="pair_next_lift",
        entity="pair",
        unit="log(1 + lift)",
        may_be_missing=True,
        description="How much likelier people rate the item soon after the five latest ratings than at any time.",
    ),
    Feature(
        name="pair_before_lift",
        entity="pair",
        unit="log(1 + lift)",
        may_be_missing=True,
        description="The same for soon before them: neighbours in a session, whichever came first.",
    ),
    Feature(
        name="pair_year_distance",
        entity="pair",
        unit="years",
        high=CENTURIES,
        may_be_missing=True,
        description="Distance of the item's year of release from the mean year of the liked items.",
    ),
)
"""All features, in the order of the ranker's columns."""
