"""Settings of the ranking stage."""

from pydantic import BaseModel, Field


class RankerConfig(BaseModel, frozen=True, extra="forbid"):
    """XGBoost LambdaMART: how its trees are grown."""

    n_rounds: int = Field(200, ge=1, le=5000, description="Trees; with this step size NDCG is flat from about 150 on.")
    learning_rate: float = Field(0.05, gt=0, le=1, description="Step size: smaller with more trees moved nothing.")
    max_depth: int = Field(4, ge=1, le=12, description="Depth of a tree: a few hundred users cannot feed deeper ones.")
    min_child_weight: float = Field(20.0, ge=0, description="Least weight of a leaf: guards against one user's habits.")
    row_share: float = Field(0.7, gt=0, le=1, description="Share of rows that each tree sees.")
    column_share: float = Field(0.5, gt=0, le=1, description="Share of features that each tree sees.")
    top_candidates: int = Field(
        80,
        ge=1,
        le=2000,
        description="First candidates by retrieval, which all teach: the top matters most.",
    )
    tail_step: int = Field(
        4,
        ge=1,
        le=100,
        description="Of the candidates after those, every so-many-th teaches, so that the ranker knows what it will "
        "meet there. With 80 and 4 half of the time is saved, and no figure moves beyond chance.",
    )
    l2: float = Field(10.0, ge=0, description="Ridge penalty on leaf values.")
    n_pairs: int = Field(20, ge=1, le=200, description="Top places whose order the loss cares about: what users see.")
    seed: int = Field(17, ge=0, description="Seed of the row and column samples.")
    n_threads: int = Field(
        1,
        ge=1,
        le=64,
        description="Threads of XGBoost for each of the two rankers, which are trained side by side: on two cores one "
        "for each is as fast as two for one after the other, and two take four times as long where something else "
        "wants a core. Another count has given the same bytes so far, but that is not promised.",
    )


class ListRulesConfig(BaseModel, frozen=True, extra="forbid"):
    """Rules over a whole list, applied after the ranker's order; with the defaults all are off."""

    rewatch_after_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="Days after which a liked movie may be recommended again; null: what was rated never is. In data "
        "with one rating per user and movie a second liking cannot be seen, so no figure can speak for it.",
    )
    most_per_franchise: int | None = Field(
        None,
        ge=1,
        le=200,
        description="Movies of one franchise that a list holds as long as there are others; null: any number. Off as a "
        "matter of taste: on the validation slice 2 cost nothing, and change 6 % of the lists.",
    )
    diversity: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Weight of being unlike the movies above, against the ranker's score (MMR); 0: the ranker's order. "
        "Off as a matter of taste: on the validation slice up to 0.5 moved no NDCG beyond chance.",
    )


NO_RULES = ListRulesConfig()
"""Lists as the ranker orders them."""
