"""Choosing the settings of every peer: the same number of trials, one metric, and tuning data only."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import polars as pl
from pydantic import BaseModel, Field, ValidationError, model_validator
from threadpoolctl import threadpool_limits

from benchmarks.peers.contenders import PEERS, Peer, check_libraries, seed_of, settings_to_try
from benchmarks.peers.splits import TUNING, Known, known_of, targets_of, tuning_data
from recsys_core.errors import DataError
from recsys_core.evaluation.accuracy import HEADLINE, per_user_metrics
from recsys_core.evaluation.baselines.scorer import recommend
from recsys_core.evaluation.protocols import lists_table
from recsys_core.metrics.ranked_lists import tie_break_order

logger = logging.getLogger(__name__)

LIST_LENGTH = 200
METRICS = (HEADLINE, "recall@100")
"""The metrics of every table here; the first decides between settings."""


Chosen = dict[str, int | float | str]
"""Settings by name; whole numbers stay whole in the JSON."""


class Trial(BaseModel, frozen=True, extra="forbid"):
    """One setting and its figures: means over all users with targets."""

    settings: Chosen
    figures: dict[str, float]  # by the names in METRICS


class TunedPeer(BaseModel, frozen=True, extra="forbid"):
    """One peer: what was chosen, and all that was tried, in that order."""

    name: str
    chosen: Chosen
    trials: tuple[Trial, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_the_best(self) -> Self:
        if self.chosen != best_of(self.trials).settings:
            raise ValueError(f"{self.name}: the chosen settings are not those with the highest {HEADLINE}")
        return self


class Tuned(BaseModel, frozen=True, extra="forbid"):
    """The outcome of `tune`, stored in a JSON file.

    A file is refused if two peers have different numbers of trials, or if the chosen settings are not the best, so that
    no peer can be given another chance by hand.
    """

    seed: int = Field(ge=0)
    n_trials: int = Field(ge=1)
    tuning_data: str  # SHA-256, see `folders.tuning_data`
    peers: tuple[TunedPeer, ...]

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        for peer in self.peers:
            different = {tuple(sorted(trial.settings.items())) for trial in peer.trials}
            if len(different) != self.n_trials or len(peer.trials) != self.n_trials:
                raise ValueError(f"{peer.name} was given {len(different)} trials instead of {self.n_trials}")
        return self

    def settings_of(self, peer: Peer) -> Chosen:
        """The chosen settings of a peer.

        Raises:
            DataError: it was not tuned.
        """
        for tuned in self.peers:
            if tuned.name == peer.name:
                return tuned.chosen
        raise DataError(f"{peer.name} was not tuned, and every table needs all peers: run tune again")

    def save(self, path: Path) -> None:
        """Write the JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Tuned":
        """Read and check the JSON.

        Raises:
            DataError: the file is missing or was changed.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as fault:
            raise DataError(f"{path} cannot be read: run `python -m benchmarks.peers tune` first") from fault
        except ValidationError as fault:
            raise DataError(f"{path} is not what tune wrote: {fault.errors()[0]['msg']}; run it again") from fault


def tune(folder: Path, *, n_trials: int, seed: int, peers: Sequence[Peer] = PEERS) -> Tuned:
    """Try every peer on the tuning data of a folder; nothing else in the folder is opened.

    Of equal trials the earlier wins.

    Raises:
        DataError: a file or library is missing, or a peer has fewer settings than trials.
    """
    check_libraries(peers)
    plans = {peer.name: settings_to_try(peer, n_trials, seed) for peer in peers}
    known, targets = known_of(folder / TUNING), targets_of(folder / TUNING)
    tuned = []
    for peer in peers:
        trials = []
        for settings in plans[peer.name]:
            figures = means(listed(peer, dict(settings), known, seed), targets)
            trials.append(Trial(settings=dict(settings), figures=figures))
            logger.info("%s %s %s", peer.name, dict(settings), figures)
        tuned.append(TunedPeer(name=peer.name, chosen=best_of(trials).settings, trials=tuple(trials)))
    return Tuned(seed=seed, n_trials=n_trials, tuning_data=tuning_data(folder), peers=tuple(tuned))


def listed(peer: Peer, settings: Chosen, known: Known, seed: int) -> pl.DataFrame:
    """RANKED_LISTS of a peer fitted with some settings, for all users of the contexts, by one thread."""
    with threadpool_limits(limits=1):  # sums depend on their order, and the order on the number of threads
        scorer = peer.fit(known, settings, seed_of(peer, seed))
        tie_break = tie_break_order(known.catalogue.item_ids)
        ranked = recommend(scorer, known.contexts, LIST_LENGTH, tie_break=tie_break)
    return lists_table(peer.name, known.contexts.user_ids, ranked, known.catalogue)


def means(lists: pl.DataFrame, targets: pl.DataFrame) -> dict[str, float]:
    """The means of METRICS over all users with targets, of one model's lists."""
    per_user = per_user_metrics(lists, targets)
    return {name: float(per_user[name].to_numpy().mean()) for name in METRICS}


def best_of(trials: Sequence[Trial]) -> Trial:
    """The trial with the highest headline metric; of equals the first."""
    return max(trials, key=lambda trial: trial.figures[HEADLINE])
