"""What the commands print with: results to standard output, everything else to standard error."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
"""What every command that prints a result takes."""

out = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def fixed_columns(*names: str) -> list[Column]:
    """Columns of a table that keep their width, whatever long text stands in another: wrapped, an id is none."""
    return [Column(name, no_wrap=True) for name in names]


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """One JSON document on standard output, for scripts."""
    out.file.write(json.dumps(value, indent=1, sort_keys=True, default=str, allow_nan=False) + "\n")


@contextmanager
def working(message: str) -> Iterator[Callable[[str], None]]:
    """Say that work is going on, and on what: with a spinner on a terminal, else with a line for each message.

    Without the line, a job that runs under a scheduler, or into a file, would say nothing for minutes.
    """
    if errors.is_terminal:
        with errors.status(message) as status:
            yield status.update
        return
    errors.print(f"{message} ...", soft_wrap=True)
    yield lambda further: errors.print(f"  {further} ...", soft_wrap=True)


@contextmanager
def log_shown() -> Iterator[None]:
    """Show on standard error what core logs while the block runs: a line for each message."""
    logger = logging.getLogger("recsys_core")

    class Show(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            mark = "[yellow]warning:[/] " if record.levelno >= logging.WARNING else ""
            errors.print(f"{mark}{escape(record.getMessage())}", soft_wrap=True)

    handler, level = Show(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def progress_shown() -> Iterator[None]:
    """Show what the assets tell while the block runs: a line for each, and the current one with a spinner."""
    logger = logging.getLogger("recsys.progress")
    with working("starting") as tell:

        class Show(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                message = record.getMessage()
                if getattr(record, "is_done", False):
                    errors.print(f"  built {message}")
                elif record.levelno >= logging.WARNING:
                    errors.print(f"  {message}")
                else:
                    tell(message)

        handler = Show()
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
