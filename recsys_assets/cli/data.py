"""Commands about data sets: list, fetch, movies."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from rich.table import Column, Table

from recsys_assets.cli.console import Json, errors, fixed_columns, out, plain, print_json

if TYPE_CHECKING:  # httpx takes a while to import, which `--help` need not pay
    from recsys_core.data.movielens.fetch import Progress

LINE_BYTES = 10_000_000
"""A line for each so many bytes, where a server does not say how many there are."""

app = typer.Typer(help="The data sets: which there are, how to get one, which movies it holds.", no_args_is_help=True)


@app.command(name="list")
def list_sources(*, as_json: Json = False) -> None:
    """The known MovieLens data sets, and which of them lie here."""
    from recsys_assets.resources import lake_root
    from recsys_core.data.movielens.sources import SOURCES

    raw = lake_root() / "raw"
    rows = [{"name": one.name, "here": (raw / one.file).is_file(), "url": one.url} for one in SOURCES.values()]
    if as_json:
        print_json(rows)
        return
    table = Table(*fixed_columns("data set", "here"), Column("from", overflow="fold"), box=None)
    for row in rows:
        table.add_row(str(row["name"]), "yes" if row["here"] else "no", str(row["url"]) or "comes with the project")
    out.print(table)
    out.print("\nUse another one: a settings file with `raw_data: {dataset: NAME}`, then `recsys --settings FILE run`.")


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A name from `recsys data list`.")]) -> None:
    """Download a data set, or copy the shipped one into another lake; its digest is checked.

    An interrupted download goes on where it stopped.
    """
    from recsys_assets.resources import PROJECT, lake_root
    from recsys_core.data.movielens.fetch import fetch as download

    with _download_shown(name) as tell:
        path = download(name, lake_root() / "raw", tell, shipped=PROJECT / "data_lake" / "raw")
    out.print(f"{name} is in {plain(str(path))}", soft_wrap=True)


@contextmanager
def _download_shown(name: str) -> "Iterator[Progress]":
    """Shows how far a download is, from its first bytes on: a bar, or without a terminal a line for each tenth."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    bar, told = Bar(*columns, console=errors, disable=not errors.is_terminal), -1

    def tell(done: int, total: int) -> None:
        nonlocal told
        if not bar.tasks:
            bar.add_task(plain(name))
            bar.start()
        bar.update(bar.task_ids[0], completed=done, total=total or None)
        tenth = 10 * done // total if total else done // LINE_BYTES
        if not errors.is_terminal and tenth > told:
            told = tenth
            errors.print(f"{plain(name)}: {done / 1e6:.1f}" + (f" of {total / 1e6:.1f} MB" if total else " MB"))

    try:
        yield tell
    finally:
        bar.stop()


@app.command()
def movies(text: Annotated[str, typer.Argument(help="Part of a title.")] = "", *, as_json: Json = False) -> None:
    """Find movies by title: their ids are what `recsys recommend --like` takes."""
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
        out.print(f"no movie's title contains {text!r}", markup=False)
        return
    shown = Table(*fixed_columns("id"), "title", *fixed_columns("year"), "genres", box=None)
    for row in found.head(50).iter_rows(named=True):
        shown.add_row(str(row["item_id"]), plain(row["title"]), str(row["year"] or ""), plain(", ".join(row["genres"])))
    out.print(shown)
    if found.height > 50:
        out.print(f"... and {found.height - 50} more: name more of the title")
