"""What the commands print with: results to standard output, everything else to standard error."""

import errno
import json
import logging
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Column
from rich.text import Text

from recsys_core.errors import MachineError

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
"""What every command that prints a result takes."""


def printable(text: str, allowed: str = "") -> str:
    r"""The text as a terminal may show it: what is no letter, sign or space becomes an escape such as \\x1b.

    Titles, genres and the lines of a log come from strangers. An escape sequence in them could move the cursor, change
    what stands above, or write to the clipboard; signs that turn the direction of writing make text look like other
    text.

    Args:
        text: from anywhere.
        allowed: characters that stay all the same, such as a line feed.
    """
    return "".join(one if one.isprintable() or one in allowed or _is_space(one) else ascii(one)[1:-1] for one in text)


def plain(text: str) -> str:
    """Text from outside as a part of a line or cell: printable, and what looks like rich's markup is none."""
    return escape(printable(text))


def _is_space(one: str) -> bool:
    return unicodedata.category(one) == "Zs"  # the space that does not break, and the like


class SafeConsole(Console):
    """A console that never passes on what text from outside holds besides text, whoever printed it."""

    def __init__(self, *, stderr: bool = False) -> None:
        # Emoji stay off: `:cat:` in a title is no cat.
        super().__init__(stderr=stderr, highlight=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Where rich turns every string into what is shown: printed lines, cells of tables, headers."""
        return super().render_str(printable(text, "\n\t"), **options)

    def status(self, status: Any, **options: Any) -> Status:
        """As above; a spinner does not ask `render_str`."""
        return super().status(printable(status), **options)


out = SafeConsole()
errors = SafeConsole(stderr=True)


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
            yield lambda further: status.update(printable(further))
        return
    errors.print(f"{message} ...", soft_wrap=True)
    yield lambda further: errors.print(f"  {further} ...", soft_wrap=True)


@contextmanager
def _heard(name: str, show: Callable[[logging.LogRecord], None]) -> Iterator[None]:
    """Show every message of a logger while the block runs."""
    logger, handler = logging.getLogger(name), _Shown(show)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Shown(logging.Handler):
    def __init__(self, show: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self.show = show

    def emit(self, record: logging.LogRecord) -> None:
        self.show(record)


@contextmanager
def log_shown() -> Iterator[None]:
    """Show on standard error what core logs while the block runs: a line for each message."""

    def show(record: logging.LogRecord) -> None:
        mark = "[yellow]warning:[/] " if record.levelno >= logging.WARNING else ""
        errors.print(f"{mark}{plain(record.getMessage())}", soft_wrap=True)

    with _heard("recsys_core", show):
        yield


@contextmanager
def output_checked() -> Iterator[None]:
    """Say so where the results cannot be written, as on a full disk.

    Raises:
        MachineError: standard output takes no more. A reader that has gone away, such as `head`, is no problem.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # what a print could not write is still there, and fails once more
    except OSError as fault:
        if fault.errno == errno.EPIPE or not _is_pending():
            raise
        raise MachineError(f"standard output cannot be written: {(fault.strerror or str(fault)).lower()}") from fault


def _is_pending() -> bool:
    """Whether standard output holds what it cannot get rid of; that is then thrown away, or Python would try again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


@contextmanager
def progress_shown() -> Iterator[None]:
    """Show what the assets tell while the block runs: a line for each, and the current one with a spinner."""
    with working("starting") as tell:

        def show(record: logging.LogRecord) -> None:
            message = plain(record.getMessage())
            if getattr(record, "is_done", False):
                errors.print(f"  built {message}")
            elif record.levelno >= logging.WARNING:
                errors.print(f"  {message}")
            else:
                tell(message)

        with _heard("recsys.progress", show):
            yield
