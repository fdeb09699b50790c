"""Compare our recommender with its peers.

Usage:
    python -m benchmarks.peers split --data NAME|PATH --protocol last|global --out FOLDER
    python -m benchmarks.peers tune FOLDER
    python -m benchmarks.peers score FOLDER [--ours NAME=FILE.parquet ...]

`split` writes a folder from any MovieLens data set. `tune` tries the same number of settings for every peer on
FOLDER/tune, and writes all of them and the chosen ones to FOLDER/tuned.json. `score` fits every peer on everything
before the targets, reads FOLDER/test.parquet, and prints one table; run it once. Peers from libraries need `make peers`
first.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.contenders import N_TRIALS, PEERS, Peer
from benchmarks.peers.scoring import leads, save_lists, score, table
from benchmarks.peers.splits import PROTOCOLS, split
from benchmarks.peers.tuning import METRICS, Tuned, tune
from recsys_assets.resources import lake_root
from recsys_core.data.movielens.reading import read_dataset
from recsys_core.data.movielens.sources import locate
from recsys_core.errors import RecsysError
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.markdown import markdown_table

SETTINGS = "tuned.json"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = whole.add_subparsers(dest="command", required=True)
    one = commands.add_parser("split", help="write the folder of a comparison")
    one.add_argument("--data", required=True, help="a known data set, or the path of a zip or folder")
    one.add_argument(
        "--protocol", choices=PROTOCOLS, required=True, help="by each user's own time, or by one cut in time"
    )
    one.add_argument("--out", type=Path, required=True, help="the folder to write")
    two = commands.add_parser("tune", help="choose the settings of every peer")
    two.add_argument("--trials", type=int, default=N_TRIALS, help="settings tried per peer")
    two.add_argument("--seed", type=int, default=17, help="seed for drawing settings and for all fits")
    three = commands.add_parser("score", help="fit, evaluate, and print the table")
    three.add_argument("--ours", action="append", default=[], type=_named, metavar="NAME=FILE", help="our ranked lists")
    three.add_argument("--lists", type=Path, help="folder to write the lists of every model into")
    for command in (two, three):
        command.add_argument("folder", type=Path, help="a folder that split has written")
        command.add_argument("--settings", type=Path, help=f"the JSON file; by default {SETTINGS} in the folder")
    return whole


def main(arguments: list[str], peers: Sequence[Peer] = PEERS) -> int:
    """Run one command; returns the exit status."""
    asked = parser().parse_args(arguments)
    try:
        if asked.command == "split":
            data = read_dataset(locate(asked.data, lake_root() / "raw"))
            for name, n_rows in split(data, asked.protocol, asked.out).items():
                print(f"{name}.parquet: {n_rows:,} rows")
            return 0
        settings = asked.settings or asked.folder / SETTINGS
        if asked.command == "tune":
            tuned = tune(asked.folder, n_trials=asked.trials, seed=asked.seed, peers=peers)
            tuned.save(settings)
            print(chosen_table(tuned))
            return 0
        scored = score(asked.folder, Tuned.load(settings), dict(asked.ours), peers=peers)
        print(
            "\n\n".join(part for part in (table(scored, EvaluationConfig()), leads(scored, EvaluationConfig())) if part)
        )
        if asked.lists:
            save_lists(scored, asked.lists)
    except RecsysError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def chosen_table(tuned: Tuned) -> str:
    """A row per peer: the chosen settings, and their figures on the tuning data."""
    rows = []
    for peer in tuned.peers:
        figures = next(trial.figures for trial in peer.trials if trial.settings == peer.chosen)
        words = ", ".join(f"{name} {value}" for name, value in peer.chosen.items())
        rows.append([f"{peer.name}: {words}", *(f"{figures[name]:.4f}" for name in METRICS)])
    return markdown_table([f"best of {tuned.n_trials}", *METRICS], rows)


def _named(text: str) -> tuple[str, Path]:
    name, sign, path = text.partition("=")
    if not (name and sign and path):
        raise argparse.ArgumentTypeError(f"expected NAME=FILE, found {text!r}")
    return name, Path(path)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    sys.exit(main(sys.argv[1:]))
