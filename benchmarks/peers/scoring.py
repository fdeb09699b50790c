"""The one table: every peer with its chosen settings, and our lists, judged by targets that only this step reads."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.peers.contenders import PEERS, Peer, check_libraries
from benchmarks.peers.splits import known_of, lists_of, table_of, targets_of, tuning_data
from benchmarks.peers.tuning import LIST_LENGTH, METRICS, Tuned, listed
from recsys_core.errors import DataError
from recsys_core.evaluation.accuracy import HEADLINE, compare, per_user_metrics, summarise
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.markdown import markdown_table

logger = logging.getLogger(__name__)

N_JUDGED = 100
"""The longest list that a metric of the table reads."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The result of `score`.

    Attributes: lists: RANKED_LISTS of all models, peers first. per_user: `per_user_metrics` of all models. ours: the
    models that are not peers.
    """

    lists: pl.DataFrame
    per_user: pl.DataFrame
    ours: tuple[str, ...]


def score(folder: Path, tuned: Tuned, ours: Mapping[str, Path], *, peers: Sequence[Peer] = PEERS) -> Scored:
    """Fit every peer on everything before the targets, make all lists, and only then read the targets.

    Args:
        folder: see `splits`.
        tuned: settings chosen on the tuning data of this folder.
        ours: ranked lists, by their names in the table.
        peers: all peers of the table.

    Raises:
        DataError: a peer was not tuned, or on other data; a file or library is missing; a row would be missing.
    """
    check_libraries(peers)
    if tuned.tuning_data != tuning_data(folder):
        raise DataError(f"the settings were not chosen on the tuning data of {folder}: run tune on it")
    taken = {peer.name for peer in peers} & set(ours)
    if taken:
        raise DataError(f"{', '.join(sorted(taken))} is the name of a peer: give your own lists another name")
    chosen = {peer.name: tuned.settings_of(peer) for peer in peers}
    context = table_of(folder / "context.parquet").select("user_id", "item_id")
    made = [lists_of(name, path, context) for name, path in ours.items()]
    known = known_of(folder)
    lists = pl.concat([*(listed(peer, chosen[peer.name], known, tuned.seed) for peer in peers), *made])
    per_user = per_user_metrics(lists.filter(pl.col("rank") <= LIST_LENGTH), targets_of(folder))
    _warn_of_gaps(lists, per_user, [*ours])
    missing = {*chosen, *ours} - set(per_user["model"])
    if missing:
        raise DataError(f"no list of {', '.join(sorted(missing))}: every table needs all models")
    return Scored(lists=lists, per_user=per_user, ours=tuple(ours))


def _warn_of_gaps(lists: pl.DataFrame, per_user: pl.DataFrame, ours: Sequence[str]) -> None:
    """Warn of users without a list, who count as 0, and of short lists: both may be mistakes in a file."""
    judged = set(per_user["user_id"])
    for name in ours:
        own = lists.filter(model=name)
        n_missing = len(judged - set(own["user_id"]))
        if n_missing:
            logger.warning("%s has no list for %d of %d users: each counts as 0", name, n_missing, len(judged))
        length = int(own["rank"].to_numpy().max())
        if length < N_JUDGED:
            logger.warning("%s lists at most %d items, too few for recall@%d", name, length, N_JUDGED)


def table(scored: Scored, config: EvaluationConfig) -> str:
    """A row per model, best first: the means of METRICS over all users with targets, 95 % bootstrap intervals."""
    summary = summarise(_as_a_window(scored.per_user), config)
    ranking = summary.filter(metric=HEADLINE).sort("mean", "model", descending=[True, False])["model"].to_list()
    rows = []
    for model in ranking:
        cells = [summary.filter(model=model, metric=name).row(0, named=True) for name in METRICS]
        rows.append([model, *(f"{cell['mean']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]" for cell in cells)])
    return markdown_table(["model", *METRICS], rows)


def leads(scored: Scored, config: EvaluationConfig) -> str:
    """Each of our models against every other, paired by user: differences of the means of METRICS; '' without ours."""
    rows = []
    for own in scored.ours:
        found = compare(_as_a_window(scored.per_user), own, METRICS, config).filter(kind="difference")
        by_metric = [found.filter(metric=name) for name in METRICS]
        for pair in zip(*(one.iter_rows(named=True) for one in by_metric), strict=True):
            cells = [f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]" for row in pair]
            rows.append([f"{own} - {pair[0]['other']}", *cells])
    return markdown_table(["difference", *METRICS], rows) if rows else ""


def _as_a_window(per_user: pl.DataFrame) -> pl.DataFrame:
    """The metrics with a protocol and a window, as the tables of the evaluation have them."""
    return per_user.select(pl.lit("peers").alias("protocol"), pl.lit("test").alias("window"), pl.all())


def save_lists(scored: Scored, folder: Path) -> None:
    """Write `<model>.parquet` for each model (user_id, item_id, rank), so that another scorer can judge them too."""
    folder.mkdir(parents=True, exist_ok=True)
    for (model,), own in scored.lists.group_by("model", maintain_order=True):
        own.drop("model").write_parquet(folder / f"{model}.parquet")
