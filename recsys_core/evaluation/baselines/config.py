"""Settings of the baselines; each default is what tuning on the validation period of the shipped data chose."""

from typing import Literal

from pydantic import BaseModel, Field

Input = Literal["likes", "all", "rating"]
"""The input of a model: 1 per like, 1 per rating, or rating / 5."""

SelectionMetric = Literal["ndcg_at_10", "recall_at_100"]


class BaselinesConfig(BaseModel, frozen=True, extra="forbid"):
    """Budget of the search and settings of each baseline; `tuning` replaces the latter by the best of each grid."""

    n_trials: int = Field(
        4,
        ge=1,
        le=8,
        description="Settings tried per model, the same number for all: an untuned baseline is easily beaten. "
        "Each grid begins with the best of a wider search.",
    )
    n_tuning_windows: int = Field(2, ge=1, le=50, description="Development windows for tuning, the latest ones.")
    selection_metric: SelectionMetric = Field(
        "ndcg_at_10", description="Metric that decides between trials: the user sees ten items."
    )
    popularity_input: Literal["likes", "all"] = Field(
        "likes", description="Ratings that count: the targets are likes, so likes."
    )
    popularity_user_power: float = Field(
        0.0,
        ge=0,
        le=1,
        description="A rating has the weight 1 / (ratings of its user)^power: 0 gives all the same weight.",
    )
    recent_input: Literal["likes", "all"] = Field("likes", description="Ratings that count in the window.")
    recent_window_days: int = Field(
        1460,
        ge=1,
        le=10_000,
        description="Width of the window before fit_end: shorter and longer ones gave a lower validation NDCG@10.",
    )
    item_knn_input: Input = Field("likes", description="Input of the model: likes gave a higher NDCG@10 than all.")
    item_knn_neighbours: int = Field(
        200,
        ge=1,
        le=2000,
        description="Most similar items kept per item: 50 and 400 gave a lower validation NDCG@10.",
    )
    item_knn_shrinkage: float = Field(
        20.0, ge=0, le=1000, description="Shrinks the cosine of rarely rated pairs, which is high by chance."
    )
    ease_input: Input = Field(
        "likes", description="Input of the model: likes gave a higher NDCG@10 than rating / 5 at every penalty."
    )
    ease_l2: float = Field(
        200.0, gt=0, le=100_000, description="Ridge penalty: 100, 400 and 800 gave a lower validation NDCG@10."
    )
    ials_input: Input = Field(
        "likes", description="Input of the model: likes gave a higher NDCG@10 than all and than rating / 5."
    )
    ials_dim: int = Field(
        64,
        ge=1,
        le=1024,
        description="Length of the vectors: 16 to 48 and 128 gave a lower NDCG@10, 96 the same.",
    )
    ials_unobserved_weight: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Weight of every pair as a zero, where a like has 1: 0.3 and 4 gave a lower NDCG@10.",
    )
    ials_l2: float = Field(
        0.005,
        gt=0,
        le=100,
        description="Ridge penalty, multiplied by the number of ratings of a user or item: 0.003 and 0.007 gave a "
        "lower NDCG@10.",
    )
    ials_n_sweeps: int = Field(
        8, ge=1, le=256, description="Alternations between users and items: 16, the paper's number, gain nothing."
    )
    seed: int = Field(
        17, ge=0, description="Seed of the initial item vectors of iALS; no other baseline draws random numbers."
    )
