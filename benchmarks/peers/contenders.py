"""The peers, and the settings that are tried: the same number for each.

A peer's `space` has a few values per setting. If it has as many combinations as there are trials, all are tried; if it
has more, they are drawn so that each value is tried about equally often. The draw depends on the seed, the number of
trials and the peer alone, never on data, so every comparison tries the same settings.
"""

import importlib.util
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.peers.als import AlsConfig, fit_als
from benchmarks.peers.splits import Known
from benchmarks.peers.vae import VaeConfig, fit_vae
from recsys_core.errors import DataError
from recsys_core.evaluation.baselines.config import BaselinesConfig
from recsys_core.evaluation.baselines.scorer import Scorer
from recsys_core.evaluation.baselines.tuning import BASELINES, Baseline, Settings
from recsys_core.seeding import child, child_seed

N_TRIALS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A model and its settings.

    Attributes: name: in every table. fit: (known, settings, seed) -> a scorer, which reads histories of unknown users
    too. space: values per setting; all other settings keep their default. library: the library of the extra `peers`
    that it needs; '' for none.
    """

    name: str
    fit: Callable[[Known, Settings, int], Scorer]
    space: Mapping[str, Sequence[str | float]]
    library: str = ""


SPACES: Mapping[str, Mapping[str, Sequence[str | float]]] = {
    "popularity": {"popularity_user_power": (0.0, 0.1, 0.25, 0.5, 0.75, 1.0), "popularity_input": ("likes", "all")},
    "recent_popularity": {"recent_window_days": (14, 60, 240, 730, 1460, 2920), "recent_input": ("likes", "all")},
    "item_knn": {"item_knn_neighbours": (50, 100, 200, 400), "item_knn_shrinkage": (5.0, 20.0, 80.0)},
    "ease": {"ease_l2": (50.0, 100.0, 200.0, 400.0, 800.0, 1600.0), "ease_input": ("likes", "rating")},
}
"""Settings of the project's baselines: wider than their own grids, since some data sets span months and others twenty
years. iALS is left out because the ALS of `implicit` takes part."""

ALS_SPACE: Mapping[str, Sequence[str | float]] = {
    "factors": (32, 64, 128),
    "l2": (5.0, 10.0, 20.0, 40.0),
    "alpha": (1.0, 2.0, 5.0, 10.0),
}

VAE_SPACE: Mapping[str, Sequence[str | float]] = {
    "hidden": (100, 200, 400),
    "latent": (25, 50, 100),
    "beta": (0.1, 0.3, 1.0),
    "epochs": (15, 30, 60, 120),
}


def _of_project(baseline: Baseline) -> Peer:
    def fit(known: Known, settings: Settings, _: int) -> Scorer:
        return baseline.fit(known.train, BaselinesConfig.model_validate(settings), known.fit_end)

    return Peer(name=baseline.name, fit=fit, space=SPACES[baseline.name])


BUILT_IN = tuple(_of_project(baseline) for baseline in BASELINES if baseline.name in SPACES)
"""The baselines of `recsys_core` that take part; they need no other library."""

FROM_LIBRARIES = (
    Peer(
        name="als",
        fit=lambda known, settings, seed: fit_als(known.train, AlsConfig.model_validate(settings), seed),
        space=ALS_SPACE,
        library="implicit",
    ),
    Peer(
        name="vae",
        fit=lambda known, settings, seed: fit_vae(known.train, VaeConfig.model_validate(settings), seed),
        space=VAE_SPACE,
        library="cornac",
    ),
)

PEERS = BUILT_IN + FROM_LIBRARIES
"""Every peer; a table must have all of them."""


def settings_to_try(peer: Peer, n_trials: int, seed: int) -> list[Settings]:
    """`n_trials` different settings of a peer.

    Raises:
        DataError: its space has fewer, so the number of trials could not be the same for all.
    """
    combinations = [dict(zip(peer.space, values, strict=True)) for values in itertools.product(*peer.space.values())]
    if n_trials > len(combinations):
        raise DataError(f"{peer.name} has {len(combinations)} settings, not {n_trials}: all peers get the same number")
    if n_trials == len(combinations):
        return [*combinations]
    rng = child(seed, "peers", peer.name, "settings")
    drawn: list[Settings] = []
    while len(drawn) < n_trials:  # a round may repeat a setting; the next round supplies the missing ones
        columns = {name: _evenly(values, n_trials, rng) for name, values in peer.space.items()}
        for values in zip(*columns.values(), strict=True):
            setting = dict(zip(columns, values, strict=True))
            if setting not in drawn:
                drawn.append(setting)
    return drawn[:n_trials]


def seed_of(peer: Peer, seed: int) -> int:
    """The seed of a peer's fits: the same in every trial and in the final fit; below 2**31, as libraries require."""
    return child_seed(seed, "peers", peer.name, "fit") % 2**31


def check_libraries(peers: Sequence[Peer]) -> None:
    """Check before the first fit that all libraries are installed.

    Raises:
        DataError: a library of the extra `peers` is missing.
    """
    missing = sorted({peer.library for peer in peers if peer.library and not importlib.util.find_spec(peer.library)})
    if missing:
        raise DataError(f"{' and '.join(missing)} not installed, but every table needs all peers: run `make peers`")


def _evenly(values: Sequence[str | float], n: int, rng: np.random.Generator) -> list[str | float]:
    """`n` values in random order, all equally often, up to one."""
    turns = np.concatenate([rng.permutation(len(values)) for _ in range(-(-n // len(values)))])[:n]
    return [values[turn] for turn in rng.permutation(turns)]
