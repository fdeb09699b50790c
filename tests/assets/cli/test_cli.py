"""The command line as a whole: help for everything, exit codes, and no traceback for what the user can mend."""

from collections.abc import Iterator
from importlib.metadata import version

import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

from recsys_assets.cli import app
from tests.conftest import Built


def commands() -> Iterator[tuple[str, object]]:
    """Every command by the words that call it."""

    def below(prefix: str, command: object) -> Iterator[tuple[str, object]]:
        yield prefix, command
        for name, child in getattr(command, "commands", {}).items():
            yield from below(f"{prefix} {name}".strip(), child)

    yield from below("", typer.main.get_command(app))


COMMANDS = dict(commands())


def test_the_commands_are_those_of_the_guide() -> None:
    words = (
        "run, refresh, backfill, status, checks, report, recommend, user, ui, gc, data, data list, data fetch, "
        "data movies, log, log append, log demo, log stats, log gaps, log verify, log accept-loss, log set-aside, "
        "log quarantine, bench, bench rank"
    )
    assert COMMANDS.keys() == {"", *words.split(", ")}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_option_has_its_help(name: str) -> None:
    command = COMMANDS[name]
    for text in [command.help, *(one.help for one in command.params if one.name != "help")]:  # type: ignore[attr-defined]
        assert text
        assert text.rstrip().endswith((".", ":"))
        assert Text.from_markup(text).plain == text, "a text in square brackets would not be shown"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_is_shown(built: Built, name: str) -> None:
    answer = built.project.recsys(*name.split(), "--help")
    assert answer.code == 0
    shown = " ".join(answer.out.replace("│", " ").split())
    assert COMMANDS[name].help.split("\n")[0] in shown  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_has_a_short_name_everywhere(name: str) -> None:
    shown = CliRunner().invoke(app, [*name.split(), "-h"])
    assert (shown.exit_code, shown.output.split()[0]) == (0, "Usage:")


def test_the_version_is_that_of_the_package(built: Built) -> None:
    answer = built.project.recsys("--version")
    assert (answer.code, answer.out) == (0, f"recsys {version('recsys')}\n")
    assert built.project.recsys("-h").out == built.project.recsys("--help").out


@pytest.mark.parametrize(
    "wrong",
    [
        ["nonsense"],
        ["recommend", "--user", "x"],
        ["recommend", "--user", "1", "-k", "0"],
        ["recommend", "--user", "1", "-k", "201"],
        ["gc", "--keep-last", "-1"],
        ["ui", "--port", "0"],
        ["data", "fetch"],
        ["log", "append"],
        ["status", "extra"],
        ["user"],
        ["user", "-1"],
        ["log", "quarantine", "--replay", "--clear"],
    ],
)
def test_wrong_usage_exits_with_2(built: Built, wrong: list[str]) -> None:
    answer = built.project.recsys(*wrong)
    assert answer.code == 2
    assert answer.out == ""
    assert "Traceback" not in answer.err
