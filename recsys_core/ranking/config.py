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
        description="Latest requests of each user from which the ranker learns what was left alone: who asks most must "
        "not decide for all.",
    )


class RankerConfig(BaseModel, frozen=True, extra="forbid"):
    """XGBoost LambdaMART: how its trees are grown, and what its rows weigh."""

    n_rounds: int = Field(300, ge=1, le=5000, description="Trees at the most.")
    groups_per_tree: float = Field(
        6.0,
        gt=0,
        le=1000,
        description="Questions of the past for each tree, but 100 trees at the least: what two thousand questions can "
        "feed makes a few hundred be learned by heart.",
    )
    learning_rate: float = Field(0.05, gt=0, le=1, description="Step size: smaller with more trees moved nothing.")
    max_depth: int = Field(3, ge=1, le=12, description="Depth of a tree: a few hundred users cannot feed deeper ones.")
    min_child_weight: float = Field(50.0, ge=0, description="Least weight of a leaf: guards against one user's habits.")
    row_share: float = Field(0.7, gt=0, le=1, description="Share of rows that each tree sees.")
    column_share: float = Field(0.5, gt=0, le=1, description="Share of features that each tree sees.")
    top_candidates: int = Field(
        80,
        ge=1,
        le=2000,
        description="First candidates by retrieval, all of which the ranker learns from: the top matters most.",
    )
    tail_step: int = Field(
        4,
        ge=1,
        le=100,
        description="Keep every n-th candidate after those, so that the ranker knows what it will meet there. With 80 "
        "and 4 half of the time is saved, and no figure moves beyond chance.",
    )
    l2: float = Field(10.0, ge=0, description="Ridge penalty on leaf values.")
    n_pairs: int = Field(20, ge=1, le=200, description="Top places whose order the loss cares about: what users see.")
    half_life_days: float = Field(
        36_500.0,
        gt=0,
        le=100_000,
        description="Days after which a question weighs half. A century, so that all weigh alike: four and ten years "
        "ordered no better, and there are few questions to learn from.",
    )
    shown_weight: float = Field(
        0.5,
        ge=0,
        le=10,
        description="Weight of all that a user was shown, together, beside 1 for a question of a window: a log must "
        "not drown what ratings tell. Chosen, not measured: MovieLens has no impressions.",
    )
    seed: int = Field(17, ge=0, description="Seed of the row and column samples.")
    n_threads: int = Field(
        1,
        ge=1,
        le=64,
        description="Threads of XGBoost for each of two rankers, which are trained side by side: on two cores one for "
        "each is as fast as two for one after the other, and two take four times as long where something else wants a "
        "core. Another count has given the same bytes so far, but that is not promised.",
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
    tired_after: int | None = Field(
        None,
        ge=1,
        le=1_000,
        description="Requests of the last 30 days that showed a movie, without a click or rating since, after which it "
        "goes behind all others; null: none does. Off, since only clicks could tell what it costs: MovieLens has no "
        "impressions.",
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
