"""Settings of the retrieval stage."""

from pydantic import BaseModel, Field


class TwoTowerConfig(BaseModel, frozen=True, extra="forbid"):
    """How the two towers are shaped and trained."""

    dim: int = Field(
        64, ge=4, le=512, description="Length of the vectors; 32 loses recall, 128 gains none on this data."
    )
    n_epochs: int = Field(
        60, ge=1, le=1000, description="Passes over the users of the first tower of a chain; 80 find a little more."
    )
    refit_epochs: int = Field(
        8,
        ge=1,
        le=1000,
        description="Passes of each later tower, which starts from the weights of the one before it: as good as 60 "
        "passes from nothing, in a sixth of the time.",
    )
    refit_learning_rate: float = Field(
        0.005, gt=0, le=1, description="Adam's step at the start of such a refit; it falls linearly to zero."
    )
    batch_users: int = Field(
        256, ge=1, le=8192, description="Users per step; the full softmax needs users x items floats."
    )
    learning_rate: float = Field(0.01, gt=0, le=1, description="Adam's step at the start; it falls linearly to zero.")
    temporal_share: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Share of batches that ask for what came next; the others ask for a hidden part at random.",
    )
    history_dropout: float = Field(
        0.3, ge=0, lt=1, description="Share of history items hidden in training: without it the towers memorise."
    )
    vector_dropout: float = Field(0.3, ge=0, lt=1, description="Share of the user vector zeroed in training.")
    other_weight: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Weight of a rating below a like as a target: watched is weak evidence of interest.",
    )
    full_softmax_until: int = Field(
        20_000,
        ge=0,
        description="Largest catalogue compared as a whole in each step; above it, time and memory want a sample.",
    )
    n_negatives: int = Field(
        2048,
        ge=2,
        le=100_000,
        description="Items drawn per step above that size: 512 to 4,096 differ by chance alone.",
    )
    closed_form_dim: int = Field(
        128, ge=1, le=1024, description="Factors of the closed form: 64 lose a little recall, 256 gain none."
    )
    closed_form_l2: float = Field(
        200.0, gt=0, le=100_000, description="Its ridge penalty: what EASE wants on a few hundred users, and robust."
    )
    closed_form_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Its weight beside the trained half; 0.5 to 1.5 are alike, 0 loses a sixth of NDCG@10.",
    )
    closed_form_recency: float = Field(
        0.6, ge=0, le=5, description="How fast the past fades in it: the rating p places back counts (1 + p)^-this."
    )
    trend_weight: float = Field(
        0.5,
        ge=0,
        le=10,
        description="Weight of what was watched at the time beside both halves; counts where movies come and go.",
    )
    recent_weight: float = Field(
        0.75,
        ge=0,
        le=10,
        description="Weight of what was liked lately, as log(1 + likes), beside all of these.",
    )
    recent_share: float = Field(
        0.2, gt=0, le=1, description="Share of all ratings so far, the latest, that counts as lately."
    )
    rating_dim: int = Field(
        32, ge=1, le=1024, description="Factors of the rating model, by which the ranker sees predicted stars."
    )
    rating_l2: float = Field(50.0, gt=0, le=100_000, description="Ridge penalty of these factors.")
    new_item_share: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Share of a request's candidates that is kept for new movies which nobody has rated.",
    )
    seed: int = Field(17, ge=0, description="Seed of every draw of this stage.")
    n_threads: int = Field(
        1, ge=1, le=64, description="Threads of torch. Sums depend on their order, so another count gives other bytes."
    )


class IndexConfig(BaseModel, frozen=True, extra="forbid"):
    """How the item vectors are searched."""

    flat_until: int = Field(
        50_000, ge=0, description="Largest catalogue searched exactly: up to there it takes under half a millisecond."
    )
    n_probe: int = Field(32, ge=1, le=4096, description="Cells visited per query above that size: recall against time.")
    seed: int = Field(17, ge=0, description="Seed of the clustering of an inverted-file index.")


class CandidatesConfig(BaseModel, frozen=True, extra="forbid"):
    """What retrieval hands to ranking."""

    n_candidates: int = Field(
        200, ge=10, le=2000, description="Candidates per request: the ranker's cost is linear in it, its gain is not."
    )
