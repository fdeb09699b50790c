"""Settings of the retrieval stage."""

from pydantic import BaseModel, Field


class TwoTowerConfig(BaseModel, frozen=True, extra="forbid"):
    """How the two towers are shaped and trained."""

    dim: int = Field(
        64, ge=4, le=512, description="Length of the vectors; 32 loses recall, 128 gains none on this data."
    )
    n_epochs: int = Field(
        60, ge=1, le=1000, description="Epochs of the first tower of a chain; 80 are slightly better."
    )
    refit_epochs: int = Field(
        8,
        ge=1,
        le=1000,
        description="Epochs of each later tower, which starts from the weights of the one before: as good as 60 "
        "epochs from random weights, in a sixth of the time.",
    )
    refit_learning_rate: float = Field(
        0.005, gt=0, le=1, description="Adam's initial step of such a refit; it falls linearly to zero."
    )
    batch_users: int = Field(
        256, ge=1, le=8192, description="Users per step; the full softmax needs users x items floats."
    )
    learning_rate: float = Field(0.01, gt=0, le=1, description="Adam's initial step; it falls linearly to zero.")
    temporal_share: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Share of batches that predict what came next; the others predict a part that is hidden at random.",
    )
    history_dropout: float = Field(
        0.3, ge=0, lt=1, description="Share of history items hidden in training: without it the towers overfit."
    )
    vector_dropout: float = Field(0.3, ge=0, lt=1, description="Share of the user vector zeroed in training.")
    other_weight: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Weight of a rating below a like as a target: weak evidence of interest.",
    )
    full_softmax_until: int = Field(
        20_000,
        ge=0,
        description="Largest catalogue with a full softmax; above it, time and memory require a sampled one.",
    )
    n_negatives: int = Field(
        2048,
        ge=2,
        le=100_000,
        description="Items drawn per step above that size: 512 to 4,096 differ only by chance.",
    )
    closed_form_dim: int = Field(
        128, ge=1, le=1024, description="Factors of EASE: 64 lose a little recall, 256 gain none."
    )
    closed_form_l2: float = Field(
        200.0, gt=0, le=100_000, description="Ridge penalty of EASE: good on a few hundred users, and robust."
    )
    closed_form_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Weight of EASE, where the towers have 1; 0.5 to 1.5 are equal, 0 loses a sixth of NDCG@10.",
    )
    closed_form_recency: float = Field(
        0.6, ge=0, le=5, description="Recency exponent r of EASE: the rating p places back counts (1 + p)^-r."
    )
    trend_weight: float = Field(
        0.5,
        ge=0,
        le=10,
        description="Weight of the popularity around the time of the query; it matters if the popularity of "
        "movies changes.",
    )
    recent_weight: float = Field(
        0.75,
        ge=0,
        le=10,
        description="Weight of recent likes, as log(1 + likes).",
    )
    recent_share: float = Field(
        0.2, gt=0, le=1, description="Share of all ratings so far, the latest, that counts as recent."
    )
    rating_dim: int = Field(
        32, ge=1, le=1024, description="Factors of the rating model, whose predicted stars are a feature of the ranker."
    )
    rating_l2: float = Field(50.0, gt=0, le=100_000, description="Ridge penalty of these factors.")
    new_item_share: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Share of a request's candidates that is reserved for new movies without ratings.",
    )
    seed: int = Field(17, ge=0, description="Seed of all random draws of this stage.")
    n_threads: int = Field(
        1, ge=1, le=64, description="Threads of torch. Sums depend on their order, so another number gives other bytes."
    )


class IndexConfig(BaseModel, frozen=True, extra="forbid"):
    """How the item vectors are searched."""

    flat_until: int = Field(
        50_000,
        ge=0,
        description="Largest catalogue with exact search, which takes under half a millisecond up to there.",
    )
    n_probe: int = Field(32, ge=1, le=4096, description="Cells visited per query above that size: recall against time.")
    seed: int = Field(17, ge=0, description="Seed of the clustering of an inverted-file index.")


class CandidatesConfig(BaseModel, frozen=True, extra="forbid"):
    """What retrieval hands to ranking."""

    n_candidates: int = Field(
        200, ge=10, le=2000, description="Candidates per request: the ranker's cost is linear in it, its gain is not."
    )
