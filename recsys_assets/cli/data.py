"""Commands about data sets: list, fetch, movies."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table

from recsys_assets.cli.console import Json, errors, fixed_columns, out, plain, print_json

if TYPE_CHECKING:  # httpx takes a while to import, too long for `--help`
    from recsys_core.data.movielens.fetch import Progress

BYTES_PER_LINE = 10_000_000
"""Bytes per line of progress, if the server does not say how large the file is."""

app = typer.Typer(help="Data sets: list them, download one, find movies.", no_args_is_help=True)


@app.command(name="list")
def list_sources(*, as_json: Json = False) -> None:
    """List the known MovieLens data sets, and which of them are in this lake."""
    from recsys_assets.resources import lake_root
    from recsys_core.data.movielens.sources import SOURCES

    raw = lake_root() / "raw"
    rows = [{"name": one.name, "here": (raw / one.file).is_file(), "url": one.url} for one in SOURCES.values()]
    if as_json:
        print_json(rows)
        return
    table = Table(*fixed_columns("data set", "in this lake"), Column("from", overflow="fold"), box=None)
    for row in rows:
        table.add_row(str(row["name"]), "yes" if row["here"] else "no", str(row["url"]) or "comes with the project")
    out.print(table)
    out.print(
        "\nTo use another one, put `raw_data: {dataset: NAME}` in a settings file and run `recsys --settings FILE run`."
    )


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A name from `recsys data list`.")]) -> None:
    """Download a data set, or copy the shipped one into another lake, and verify its digest.

    An interrupted download continues where it stopped.
    """
    from recsys_assets.resources import PROJECT, lake_root
    from recsys_core.data.movielens.fetch import fetch as download

    with _download_progress(name) as on_progress:
        path = download(name, lake_root() / "raw", on_progress, shipped=PROJECT / "data_lake" / "raw")
    out.print(f"{name} is in {plain(str(path))}", soft_wrap=True)


@contextmanager
def _download_progress(name: str) -> "Iterator[Progress]":
    """Show the progress of a download: a bar, or without a terminal a line for each tenth."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    bar, last_tenth = Bar(*columns, console=errors, disable=not errors.is_terminal), -1

    def on_progress(done: int, total: int) -> None:
        nonlocal last_tenth
        if not bar.tasks:
            bar.add_task(plain(name))
            bar.start()
        bar.update(bar.task_ids[0], completed=done, total=total or None)
        tenth = 10 * done // total if total else done // BYTES_PER_LINE
        if not errors.is_terminal and tenth > last_tenth:
            last_tenth = tenth
            errors.print(f"{plain(name)}: {done / 1e6:.1f}" + (f" of {total / 1e6:.1f} MB" if total else " MB"))

    try:
        yield on_progress
    finally:
        bar.stop()


@app.command()
def movies(text: Annotated[str, typer.Argument(help="Part of a title.")] = "", *, as_json: Json = False) -> None:
    """Find movies by title, with the ids that `recsys recommend --like` takes."""
    import polars as pl

    from recsys_assets.resources import lake_root
    from recsys_core.lake.store import Lake
    from recsys_core.tables import read_table

    table = read_table(Lake(lake_root()).open("movies") / "movies.parquet")
    found = table.filter(pl.col("title").str.to_lowercase().str.contains(text.lower(), literal=True))
    if as_json:
        print_json(found.to_dicts())
        return
    if found.is_empty():
        out.print(f"no movie has {text!r} in its title", markup=False)
        return
    rows = Table(*fixed_columns("id"), "title", *fixed_columns("year"), "genres", box=None)
    for row in found.head(50).iter_rows(named=True):
        rows.add_row(str(row["item_id"]), plain(row["title"]), str(row["year"] or ""), plain(", ".join(row["genres"])))
    out.print(rows)
    if found.height > 50:
        out.print(f"... and {found.height - 50} more: give a longer part of the title")
