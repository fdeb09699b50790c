"""What is printed where: results alone on standard output, progress on standard error, with a terminal or without."""

import logging

import pytest

from recsys_assets.cli.console import log_shown, progress_shown, working


def test_without_a_terminal_work_is_a_line_for_each_message(capsys: pytest.CaptureFixture[str]) -> None:
    with working("reading") as tell:
        tell("the last day")
    assert capsys.readouterr() == ("", "reading ...\n  the last day ...\n")


def test_what_core_logs_is_shown_while_the_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("recsys_core.bench.tables")
    long = "x" * 300
    with log_shown():
        logger.info("%s [/b]", long)
        logger.warning("nothing of it is used")
    logger.info("afterwards")
    assert capsys.readouterr() == ("", f"{long} [/b]\nwarning: nothing of it is used\n")
    assert logging.getLogger("recsys_core").level == logging.NOTSET


def test_assets_tell_what_begins_what_is_odd_and_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    progress = logging.getLogger("recsys.progress")
    with progress_shown():
        progress.info("ranker")
        progress.warning("waiting")
        progress.info("ranker in 2.0 s", extra={"is_done": True})
    assert capsys.readouterr().err.splitlines() == [
        "starting ...",
        "  ranker ...",
        "  waiting",
        "  built ranker in 2.0 s",
    ]
