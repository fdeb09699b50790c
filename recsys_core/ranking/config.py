"""Settings of the ranking stage."""

from typing import Self

from pydantic import BaseModel, Field

from recsys_core.retrieval.config import CandidatesConfig


class ShownConfig(CandidatesConfig, frozen=True, extra="forbid"):
    """What the ranker learns from: how many candidates of each question, and how much of what was shown."""

    most_shown_per_user: int = Field(
        20,
        ge=0,
        le=10_000,
        description="Latest requests of each user whose impressions train the ranker: frequent users must not "
        "dominate.",
    )


class RankerConfig(BaseModel, frozen=True, extra="forbid"):
    """XGBoost LambdaMART: how its trees are grown, and what its rows weigh."""

    n_rounds: int = Field(300, ge=1, le=5000, description="Largest number of trees.")
    groups_per_tree: float = Field(
        6.0,
        gt=0,
        le=1000,
        description="Training queries per tree, with at least 100 trees: a number of trees that suits two "
        "thousand queries overfits a few hundred.",
    )
    learning_rate: float = Field(
        0.05, gt=0, le=1, description="Step size: smaller steps with more trees changed nothing."
    )
    max_depth: int = Field(
        3, ge=1, le=12, description="Depth of a tree: a few hundred users are too few for deeper ones."
    )
    min_child_weight: float = Field(
        50.0, ge=0, description="Smallest weight of a leaf: guards against one user's habits."
    )
    row_share: float = Field(0.7, gt=0, le=1, description="Share of rows that each tree sees.")
    column_share: float = Field(0.5, gt=0, le=1, description="Share of features that each tree sees.")
    top_candidates: int = Field(
        80,
        ge=1,
        le=2000,
        description="First candidates by retrieval, all of which are training rows: the top matters most.",
    )
    tail_step: int = Field(
        4,
        ge=1,
        le=100,
        description="Keep every n-th candidate after `top_candidates`, so that the ranker is trained on the tail "
        "as well. With 80 and 4 training takes half the time, and no metric changes beyond chance.",
    )
    l2: float = Field(10.0, ge=0, description="Ridge penalty on leaf values.")
    n_pairs: int = Field(
        20, ge=1, le=200, description="Top places whose order the loss optimises: those that users see."
    )
    half_life_days: float = Field(
        36_500.0,
        gt=0,
        le=100_000,
        description="Days after which the weight of a query halves. A century, so that all weights are equal: "
        "four and ten years ordered no better, and there are few training queries.",
    )
    shown_weight: float = Field(
        0.5,
        ge=0,
        le=10,
        description="Total weight of a user's impressions, where a query of a window has 1: a log must not "
        "outweigh the ratings. Chosen, not measured: MovieLens has no impressions.",
    )
    seed: int = Field(17, ge=0, description="Seed of the row and column samples.")
    n_threads: int = Field(
        1,
        ge=1,
        le=64,
        description="Threads of XGBoost for each of two rankers, which are trained in parallel. On two idle cores "
        "one thread each is as fast as two threads in sequence; if another process needs a core, two "
        "threads take four times as long. Other numbers have given the same bytes so far, without a "
        "guarantee.",
    )


class ListRulesConfig(BaseModel, frozen=True, extra="forbid"):
    """Rules over a whole list, applied after the ranker's order; with the defaults all are off."""

    rewatch_after_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="Days after which a liked movie may be recommended again; null: rated movies never are. With "
        "one rating per user and movie a second like is invisible, so no metric can support a "
        "default.",
    )
    tired_after: int | None = Field(
        None,
        ge=1,
        le=1_000,
        description="Requests of the last 30 days that showed a movie, without a click or rating since, after "
        "which it is moved behind all others; null: no movie is. Off, since only clicks could measure "
        "the cost: MovieLens has no impressions.",
    )
    most_per_franchise: int | None = Field(
        None,
        ge=1,
        le=200,
        description="Most movies of one franchise in a list, as long as there are others; null: any number. Off "
        "as a matter of taste: on the validation slice 2 cost nothing, and change 6 % of the lists.",
    )
    diversity: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Weight of dissimilarity to the movies above, against the ranker's score (MMR); 0: the "
        "ranker's order. Off as a matter of taste: on the validation slice up to 0.5 changed no NDCG "
        "beyond chance.",
    )

    @property
    def reorders(self) -> bool:
        """Whether any rule may move an item of a list."""
        return bool(self.diversity) or self.most_per_franchise is not None or self.tired_after is not None

    @classmethod
    def among(cls, settings: BaseModel) -> Self:
        """The rules among other settings."""
        return cls(**settings.model_dump(include=set(cls.model_fields)))


NO_RULES = ListRulesConfig()
"""Lists as the ranker orders them."""
