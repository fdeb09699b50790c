"""Commands about data sets: list, fetch, movies."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column, Table

from recsys_assets.cli.console import Json, errors, out, print_json

app = typer.Typer(help="The data sets: which there are, how to get one, which movies it holds.", no_args_is_help=True)


@app.command(name="list")
def list_sources(*, as_json: Json = False) -> None:
    """The known MovieLens data sets, and which of them lie here."""
    from recsys_assets.resources import lake_root
    from recsys_core.data.sources import SOURCES

    raw = lake_root() / "raw"
    rows = [{"name": one.name, "here": (raw / one.file).is_file(), "url": one.url} for one in SOURCES.values()]
    if as_json:
        print_json(rows)
        return
    table = Table("data set", "here", Column("from", overflow="fold"), box=None)
    for row in rows:
        table.add_row(str(row["name"]), "yes" if row["here"] else "no", str(row["url"]) or "comes with the project")
    out.print(table)
    out.print("\nUse another one: a settings file with `raw_data: {dataset: NAME}`, then `recsys --settings FILE run`.")


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A name from `recsys data list`.")]) -> None:
    """Download a data set; an interrupted download goes on where it stopped, and its digest is checked."""
    from recsys_assets.resources import lake_root
    from recsys_core.data.fetch import fetch as download

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task(name, total=None)
        path = download(
            name, lake_root() / "raw", lambda done, total: progress.update(task, completed=done, total=total)
        )
    out.print(f"{name} is in {path}")


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
    shown = Table("id", "title", "year", "genres", box=None)
    for row in found.head(50).iter_rows(named=True):
        shown.add_row(
            str(row["item_id"]), escape(row["title"]), str(row["year"] or ""), escape(", ".join(row["genres"]))
        )
    out.print(shown)
    if found.height > 50:
        out.print(f"... and {found.height - 50} more: name more of the title")
