"""Every command that a document shows exists: make targets, `recsys` with its options, modules run by Python."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest
import typer

from recsys_assets.cli import app
from recsys_assets.resources import PROJECT

PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", PROJECT / "benchmarks/README.md"]
PAGES += sorted((PROJECT / "docs").rglob("*.md"))
FENCED = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def commands(text: str) -> list[str]:
    """Every line of the shell blocks, and every piece of inline code."""
    lines = [line.strip() for block in FENCED.findall(text) for line in block.splitlines()]
    outside = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return [line for line in lines if line] + [" ".join(code.split()) for code in INLINE.findall(outside)]


def fault(line: str) -> str:
    """What is wrong with a command of ours; '' for one that is right, or not ours."""
    words = [Path(word).name if word.startswith(".venv/bin/") else word for word in shlex.split(line, posix=True)]
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if len(words) < 2:
        return ""
    if words[0] == "make":
        return make_fault(words[1])
    if words[0] == "recsys":
        return recsys_fault(words[1:])
    if words[0] in {"python", "python3.11"} and words[1] == "-m" and "".join(words[2:3]).startswith("benchmarks."):
        return "" if importlib.util.find_spec(words[2]) else f"no module {words[2]}"
    return ""


def make_fault(target: str) -> str:
    """Whether the Makefile has a target."""
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    return "" if re.search(rf"^{re.escape(target)}:", makefile, re.M) else f"no target {target}"


def recsys_fault(words: list[str]) -> str:
    """Whether the command line accepts the words; nothing is run."""
    command: click.Command = typer.main.get_command(app)
    try:
        while hasattr(command, "commands"):
            context = command.context_class(command, info_name=command.name)
            _, words, _ = command.make_parser(context).parse_args(words)
            if not words:
                return ""
            if words[0] not in command.commands:
                return f"no command {words[0]}"
            command, words = command.commands[words[0]], words[1:]
        if words != ["--help"]:
            command.make_context(command.name, words)
    except Exception as problem:  # noqa: BLE001  # the parser's errors come from a module that typer may vendor
        return f"{type(problem).__name__}: {problem}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_command_exists(page: Path) -> None:
    lines = [
        line for line in commands(page.read_text(encoding="utf-8")) if re.match(r"(\S+=\S+ )?(\S*/)?[\w.]+ ", line)
    ]
    wrong = {line: fault(line) for line in lines if is_ours(line) and fault(line)}
    assert not wrong


def is_ours(line: str) -> bool:
    """Whether a line could be one of our commands; other inline code may not even be a list of words."""
    return re.match(r"([A-Z_]+=\S+ )*(\.venv/bin/)?(make|recsys|python|python3\.11) ", line) is not None


def test_the_readme_shows_both_commands_first() -> None:
    first = FENCED.findall((PROJECT / "README.md").read_text(encoding="utf-8"))[0]
    assert first.split("\n") == ["make run", "make test", ""]


def test_what_does_not_exist_is_noticed() -> None:
    assert fault("make rnu") == "no target rnu"
    assert "no command" in fault("recsys rnu")
    assert "planet" in fault("recsys refresh --planet")
    assert fault("recsys data fetch")
    assert fault(".venv/bin/python -m benchmarks.nothing")
    assert not fault("recsys --lake somewhere refresh --plan --json")
