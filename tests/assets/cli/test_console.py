"""What is printed where, with a terminal or without; and what comes from outside is text, never a command."""

import io
import logging
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.markup import escape
from rich.table import Table
from typer.testing import CliRunner

from recsys_assets.cli import app
from recsys_assets.cli.console import SafeConsole, out, plain, printable, show_log, show_progress, working
from recsys_core.data.schemas import MOVIES_COLUMNS
from recsys_core.lake.manifest import Lineage
from recsys_core.lake.store import Lake
from recsys_core.tables import write_table

HOSTILE = [
    "\x1b[2J\x1b[31mred",
    "\x1b]0;another window title\x07",
    "\x1b]52;c;cm0gLXJm\x1b\\",
    "\x9b31m",
    "one\rtwo",
    "one\ntwo",
    "up\x1b[A",
    "\u202egnp.exe",
    "\x00\x08\x7f",
]


def shown(*objects: object) -> str:
    console = SafeConsole()
    console.file = io.StringIO()
    console.print(*objects)
    return console.file.getvalue()


@given(st.text())
def test_what_is_printable_has_no_control_character(text: str) -> None:
    assert printable(printable(text)) == printable(text)
    assert all(one.isprintable() or one in "\u00a0\u3000" or one.isspace() for one in printable(text))
    assert not set(printable(text)) & {chr(code) for code in [*range(32), *range(127, 160), 0x2028, 0x2029, 0x202E]}


@pytest.mark.parametrize("text", ["Amélie", "Вий", "七人の侍", "a\u00a0b", "🎬", "Se7en: 50 % [uncut]", ""])
def test_a_title_in_any_writing_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert shown(plain(text)) == f"{text}\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_even_what_somebody_forgot_to_clean_is_harmless(text: str) -> None:
    table = Table(text, title=escape(text))
    table.add_row(escape(text))
    console = SafeConsole()
    console.file = io.StringIO()
    console.print(escape(text), table)
    with console.status(escape(text)) as status:
        console.print(status.renderable)
    assert not set(console.file.getvalue()) & set("\x1b\x9b\r\x07\x08\x00\x7f\u202e")


def test_a_title_is_no_emoji_and_no_markup() -> None:
    assert shown(plain(":cat: [red]hot[/red] [/]")) == ":cat: [red]hot[/red] [/]\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_movie_with_a_hostile_title_takes_one_harmless_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    rows = [(1, text, ["Drama", text], 1999), (2, "Heat", ["Crime"], 1995)]
    movies = pl.DataFrame(rows, schema=MOVIES_COLUMNS, orient="row")
    Lake(tmp_path).publish(
        "movies", lambda folder: write_table(movies, folder / "movies.parquet"), Lineage(code_version="x")
    )
    monkeypatch.setenv("RECSYS_LAKE", str(tmp_path))
    monkeypatch.setattr(out, "_width", 200)  # COLUMNS counts when it was set before the first import alone
    answer = CliRunner().invoke(app, ["data", "movies"])
    assert answer.exit_code == 0, answer.output
    assert len(answer.stdout.splitlines()) == 3
    assert not set(answer.stdout) & set("\x1b\x9b\r\x07\x08\x00\x7f\u202e")


def test_without_a_terminal_work_is_a_line_for_each_message(capsys: pytest.CaptureFixture[str]) -> None:
    with working("reading") as tell:
        tell("the last day")
    assert capsys.readouterr() == ("", "reading ...\n  the last day ...\n")


def test_what_core_logs_is_shown_while_the_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("recsys_core.bench.tables")
    long = "x" * 300
    with show_log():
        logger.info("%s [/b]", long)
        logger.warning("nothing of it is used")
    logger.info("afterwards")
    assert capsys.readouterr() == ("", f"{long} [/b]\nwarning: nothing of it is used\n")
    assert logging.getLogger("recsys_core").level == logging.NOTSET


def test_assets_tell_what_begins_what_is_odd_and_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    progress = logging.getLogger("recsys.progress")
    with show_progress():
        progress.info("ranker")
        progress.warning("waiting")
        progress.info("ranker in 2.0 s", extra={"is_done": True})
    assert capsys.readouterr().err.splitlines() == [
        "starting ...",
        "  ranker ...",
        "  waiting",
        "  built ranker in 2.0 s",
    ]
