"""How the commands print: results to standard output, everything else to standard error."""

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
"""The option of every command that prints a result."""


def printable(text: str, allowed: str = "") -> str:
    r"""The text, safe for a terminal: unprintable characters are replaced by escapes such as \\x1b.

    Titles, genres and lines of the log come from outside. An escape sequence in them could move the cursor, change
    earlier lines, or write to the clipboard; characters that change the direction of writing can make text look like
    other text.

    Args:
        text: from anywhere.
        allowed: characters to keep, such as a line feed.
    """
    return "".join(one if one.isprintable() or one in allowed or _is_space(one) else ascii(one)[1:-1] for one in text)


def plain(text: str) -> str:
    """Text from outside as part of a line or cell: printable, and without effect as rich markup."""
    return escape(printable(text))


def _is_space(one: str) -> bool:
    return unicodedata.category(one) == "Zs"  # the space that does not break, and the like


class SafeConsole(Console):
    """A console that prints text from outside without control characters, also if rich prints it."""

    def __init__(self, *, stderr: bool = False) -> None:
        # No emoji: `:cat:` in a title must stay as it is.
        super().__init__(stderr=stderr, highlight=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Make text printable in the method by which rich renders every line, cell and header."""
        return super().render_str(printable(text, "\n\t"), **options)

    def status(self, status: Any, **options: Any) -> Status:
        """Make the text of a spinner printable; a spinner does not call `render_str`."""
        return super().status(printable(status), **options)


out = SafeConsole()
errors = SafeConsole(stderr=True)


def counted(n: int, noun: str) -> str:
    """A number with its noun, in the plural unless the number is 1.

    >>> counted(1, "day"), counted(2, "day")
    ('1 day', '2 days')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def fixed_columns(*names: str) -> list[Column]:
    """Columns that never wrap, however long the text beside them: a wrapped id cannot be copied."""
    return [Column(name, no_wrap=True) for name in names]


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Print one JSON document on standard output."""
    out.file.write(json.dumps(value, indent=1, sort_keys=True, default=str, allow_nan=False) + "\n")


@contextmanager
def working(message: str) -> Iterator[Callable[[str], None]]:
    """Say what is being done: with a spinner on a terminal, otherwise with a line for each message.

    Without these lines, a job under a scheduler, or with output to a file, would print nothing for minutes.
    """
    if errors.is_terminal:
        with errors.status(message) as status:
            yield lambda further: status.update(printable(further))
        return
    errors.print(f"{message} ...", soft_wrap=True)
    yield lambda further: errors.print(f"  {further} ...", soft_wrap=True)


@contextmanager
def _listening(name: str, show: Callable[[logging.LogRecord], None]) -> Iterator[None]:
    """Show every message of a logger while the block runs."""
    logger, handler = logging.getLogger(name), _ShowHandler(show)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _ShowHandler(logging.Handler):
    def __init__(self, show: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self.show = show

    def emit(self, record: logging.LogRecord) -> None:
        self.show(record)


@contextmanager
def show_log() -> Iterator[None]:
    """Show on standard error what core logs while the block runs, a line for each message."""

    def show(record: logging.LogRecord) -> None:
        mark = "[yellow]warning:[/] " if record.levelno >= logging.WARNING else ""
        errors.print(f"{mark}{plain(record.getMessage())}", soft_wrap=True)

    with _listening("recsys_core", show):
        yield


@contextmanager
def check_output_is_written() -> Iterator[None]:
    """Report if the results cannot be written, as on a full disk.

    Raises:
        MachineError: standard output cannot be written. A reader that closed the pipe, such as `head`, is not an error.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # text that could not be written is still in the buffer, and fails again here
    except OSError as fault:
        if fault.errno == errno.EPIPE or not _is_pending():
            raise
        raise MachineError(f"standard output cannot be written: {(fault.strerror or str(fault)).lower()}") from fault


def _is_pending() -> bool:
    """Whether standard output cannot be flushed; its content is then discarded, or Python would try again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


@contextmanager
def show_progress() -> Iterator[None]:
    """Show the progress of the assets while the block runs: a line for each, and a spinner for the current one."""
    with working("starting") as tell:

        def show(record: logging.LogRecord) -> None:
            message = plain(record.getMessage())
            if getattr(record, "is_done", False):
                errors.print(f"  built {message}")
            elif record.levelno >= logging.WARNING:
                errors.print(f"  {message}")
            else:
                tell(message)

        with _listening("recsys.progress", show):
            yield
