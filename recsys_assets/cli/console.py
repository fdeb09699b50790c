"""What the commands print with: results to standard output, everything else to standard error."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
"""What every command that prints a result takes."""

out = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """One JSON document on standard output, for scripts."""
    out.file.write(json.dumps(value, indent=1, sort_keys=True, default=str, allow_nan=False) + "\n")


@contextmanager
def progress_shown() -> Iterator[None]:
    """Show what the assets tell while the block runs: a line for each, and the current one with a spinner."""
    logger = logging.getLogger("recsys.progress")
    with errors.status("starting") as status:

        class Show(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                message = record.getMessage()
                if getattr(record, "is_done", False):
                    errors.print(f"  built {message}")
                elif record.levelno >= logging.WARNING:
                    errors.print(f"  {message}")
                else:
                    status.update(message)

        handler = Show()
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
