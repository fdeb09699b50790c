"""Commands that run the stages on data from outside the lake, for comparisons."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from recsys_assets.cli.console import out, plain, show_log, working

if TYPE_CHECKING:  # torch, faiss and xgboost take seconds to import, too long for `--help`
    from recsys_core.bench.ranking import BenchSettings, Protocol

app = typer.Typer(no_args_is_help=True)


Train = Annotated[
    Path,
    typer.Option(
        help="Parquet of ratings to fit on: user_id, item_id (numbers or text), rating (0.5 to 5, a like from 4 on), "
        "timestamp (UTC: seconds since 1970 or a finer unit, or a date with time, also as text). Without timestamps, "
        "the order of the rows counts as the order in time, unless the rows are sorted by item or by rating."
    ),
]
Movies = Annotated[
    Path,
    typer.Option(
        help="Parquet of items: item_id and, if known, title, genres (a list of names, or text separated by |) and "
        "year (1995, or a date; otherwise it is read from a title like 'Heat (1995)')."
    ),
]


@app.callback()  # without it, typer would make the one command the whole group
def bench() -> None:
    """Run the stages on other data, for comparisons."""


@app.command()
def rank(  # noqa: PLR0913  # a command has as many options as it needs
    *,
    train: Train,
    movies: Movies,
    context: Annotated[
        Path, typer.Option(help="Parquet with the history of each user to rank for; columns as in --train.")
    ],
    output: Annotated[Path, typer.Option("--out", help="Parquet to write: user_id, item_id, rank, score.")],
    stage: Annotated[
        Literal["retrieval", "ranking"], typer.Option(help="The order of retrieval alone, or of the whole system.")
    ] = "ranking",
    protocol: Annotated[
        Literal["auto", "time", "user"],
        typer.Option(
            help="What the lists are judged by: 'time': likes after the training data; 'user': each user's own latest "
            "likes. It decides which rows the ranker learns from. 'auto' decides by the times of the context."
        ),
    ] = "auto",
    k: Annotated[int, typer.Option("-k", "--k", min=1, max=2000, help="Length of the lists.")] = 200,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of towers and ranker; the default is that of the settings.")
    ] = None,
) -> None:
    """Fit retrieval and ranking on a table of ratings, and rank unseen items for the users of another table.

    The users may be missing from the first table. The settings are those of the assets. Warnings on standard error say
    what the tables lack, and which rows could not be used.
    """
    from recsys_core.bench.ranking import ranked_lists
    from recsys_core.bench.tables import check_target, read_bench_data, write_lists

    check_target(output, train, movies, context)
    settings = _settings(seed, protocol)
    with show_log():
        data = read_bench_data(train, movies, context)
        with working("fitting"):
            lists = ranked_lists(data, settings, stage, k)
    write_lists(lists, output)
    out.print(f"{plain(str(output))}: {lists.height} rows, {lists['user_id'].n_unique()} users")


def _settings(seed: int | None, protocol: "Protocol") -> "BenchSettings":
    """The settings of the assets, with another seed if one is given."""
    from recsys_assets.assets.data import SplitsRun
    from recsys_assets.assets.ranking import RankerRun, RankingExamplesRun
    from recsys_assets.assets.retrieval import FaissIndexRun, TwoTowerRun
    from recsys_core.bench.ranking import BenchSettings
    from recsys_core.data.config import HoldoutsConfig

    seeded = {} if seed is None else {"seed": seed}
    return BenchSettings(
        holdouts=HoldoutsConfig(),
        splits=SplitsRun(),
        two_tower=TwoTowerRun(**seeded),
        index=FaissIndexRun(),
        candidates=RankingExamplesRun(),
        ranker=RankerRun(**seeded),
        protocol=protocol,
    )
