"""The command line: `recsys`. Each command is a thin function; help texts are its documentation.

Exit status: 0: done. 1: a problem, which the message names together with its remedy. 2: wrong usage. 130: interrupted.
"""

import gc
import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from recsys_assets.cli import answers, bench, data, log, pipeline, status
from recsys_assets.cli.console import check_output_is_written, errors, out, plain
from recsys_core.data.movielens.sources import expanded
from recsys_core.errors import RecsysError, machine_errors_explained

INTERRUPTED = 130
GC_THRESHOLD = (20_000, 10, 10)
"""Python's default is 700 new objects; importing Dagster and the definitions creates four hundred thousand."""

app = typer.Typer(
    help="A movie recommender in which every artifact is a versioned Dagster asset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},  # commands take this over
)
for command in (
    pipeline.run,
    pipeline.refresh,
    pipeline.backfill,
    status.status,
    status.checks,
    status.report,
    answers.recommend,
    answers.user,
    pipeline.ui,
    pipeline.gc,
):
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(log.app, name="log")
app.add_typer(bench.app, name="bench")


def _show_version(value: bool) -> None:  # noqa: FBT001  # as Typer calls it
    if not value:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("recsys")
    except PackageNotFoundError:
        number = "(not installed; `pip install -e .` gives it a version)"
    out.print(f"recsys {number}")
    raise typer.Exit


@app.callback()
def choose_lake(
    *,
    lake: Annotated[
        Path | None, typer.Option(help="Folder of the lake; the default is RECSYS_LAKE, or data_lake.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="YAML file of settings; the default is RECSYS_SETTINGS, or the values in the code."),
    ] = None,
    version: Annotated[  # its callback does everything
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Choose the lake and the settings, for this process and its child processes."""
    from recsys_assets.resources import check_environment

    check_environment()
    if lake is not None:
        os.environ["RECSYS_LAKE"] = str(expanded(str(lake)).resolve())
    if settings is not None:
        os.environ["RECSYS_SETTINGS"] = str(expanded(str(settings)).resolve())


def main() -> None:
    """Run the command line; print a problem that the user can fix as one sentence, without a traceback."""
    # Otherwise most commands would spend half a second on collecting garbage among freshly imported modules.
    gc.set_threshold(*GC_THRESHOLD)
    # A terminal that cannot encode é gets \\xe9.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with machine_errors_explained(), check_output_is_written():
            app()
    except RecsysError as problem:
        errors.print(f"[bold red]recsys:[/] {plain(str(problem))}", soft_wrap=True)
        sys.exit(1)
    except SystemExit as done:
        if done.code == INTERRUPTED:  # typer has turned Ctrl-C into this exit
            errors.print("recsys: interrupted; what was published is safe, and `recsys refresh` continues from there")
        raise
