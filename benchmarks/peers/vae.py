"""Mult-VAE of `cornac` (there VAECF): a variational autoencoder that gives a history back as a multinomial.

The history's likes are encoded into a normal distribution over a few dimensions; its mean is decoded into one
probability per item. A stranger's history is encoded like any other: nothing is kept per user.

Source: Liang, Krishnan, Hoffman & Jebara (2018), doi:10.1145/3178876.3186150. Unlike the paper, the library neither
drops out inputs nor scales them to unit length, and holds beta fixed instead of raising it over time.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from pydantic import BaseModel, Field

from recsys_core.arrays import Float32s
from recsys_core.data.histories import Histories
from recsys_core.evaluation.baselines.scorer import PRIOR_WEIGHT, popularity_prior


class VaeConfig(BaseModel, frozen=True, extra="forbid"):
    """Settings of one fit."""

    hidden: int = Field(200, ge=1, le=4096, description="Width of the one layer on each side.")
    latent: int = Field(50, ge=1, le=4096, description="Dimensions of the code.")
    beta: float = Field(0.2, ge=0, le=10, description="Weight of the divergence from the prior: 0.2 is the paper's.")
    epochs: int = Field(100, ge=1, le=2000, description="Passes over all users; the library does not stop early.")
    learning_rate: float = Field(0.001, gt=0, le=1, description="Step of Adam: the library's and the paper's.")
    batch: int = Field(100, ge=1, le=10_000, description="Users per step: the library's default.")


class AutoEncoder(Protocol):
    """The part of `cornac`'s network that is used; the library has no types."""

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log-variance, (n_users, latent) each."""
        ...

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """(n_users, n_items) probabilities."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeScorer:
    """A trained network."""

    network: AutoEncoder
    prior: Float32s  # (n_items,)

    def score(self, histories: Histories) -> Float32s:
        """(n_users, n_items): log-probabilities, whose rounding does not tie the many items that are improbable."""
        likes = torch.from_numpy(histories.likes().toarray())
        with torch.inference_mode():
            mean, _ = self.network.encode(likes)
            probable: Float32s = self.network.decode(mean).numpy()
        personal: Float32s = np.log(np.maximum(probable, np.finfo(np.float32).tiny))
        return personal + PRIOR_WEIGHT * self.prior


def fit_vae(train: Histories, config: VaeConfig, seed: int) -> VaeScorer:
    """Train on the likes of all users who have any; seed and thread count are given back to the process afterwards."""
    from cornac.data import Dataset  # noqa: PLC0415  # of the `peers` extra: absent for most
    from cornac.models import VAECF  # noqa: PLC0415  # as above

    all_likes = train.likes()
    likes = all_likes[np.flatnonzero(np.diff(all_likes.indptr))].tocoo()  # an empty history has nothing to give back
    n_users, n_items = likes.shape
    # Rows and columns are numbered already, so that the library's own numbering, by first appearance, is passed by.
    users, items = {row: row for row in range(n_users)}, {column: column for column in range(n_items)}
    data = Dataset(n_users, n_items, users, items, (likes.row, likes.col, likes.data), seed=seed)
    model = VAECF(
        k=config.latent,
        autoencoder_structure=[config.hidden],
        likelihood="mult",
        n_epochs=config.epochs,
        batch_size=config.batch,
        learning_rate=config.learning_rate,
        beta=config.beta,
        seed=seed,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            model.fit(data)
    finally:
        torch.set_num_threads(threads)
    return VaeScorer(network=model.vae, prior=popularity_prior(train))
