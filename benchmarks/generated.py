"""Texts with generated parts: what stands between a pair of markers is made by a command, all else by people."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from recsys_core.markdown import markdown_table


def markers(name: str, command: str) -> tuple[str, str]:
    """The comments before and after a part; the first says how to make it anew."""
    return f"<!-- {name}: begin, written by `python -m {command}` -->", f"<!-- {name}: end -->"


def written(text: str, parts: Mapping[str, str], command: str) -> str:
    r"""The text with each part, by its name, replaced.

    Raises:
        ValueError: a part has not exactly one pair of markers, begin before end.

    >>> text = "\n".join(markers("sum", "x"))
    >>> written(text, {"sum": "1 + 1 = 2"}, "x").splitlines()[1]
    '1 + 1 = 2'
    """
    for name, part in parts.items():
        begin, end = markers(name, command)
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
            raise ValueError(f"expected one {begin} and, after it, one {end}: restore the markers")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{part}\n{end}{rest.partition(end)[2]}"
    return text


def found(text: str, name: str, command: str) -> str:
    """What stands between the markers of a part now; '' without markers."""
    begin, end = markers(name, command)
    return text.partition(begin)[2].partition(end)[0].strip("\n")


def settle(texts: Mapping[Path, str], *, check: bool) -> list[Path]:
    """The files whose content differs from the given one; written unless only a check was asked for."""
    differing = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if not check:
        for path in differing:
            path.write_text(texts[path], encoding="utf-8")
    return differing


def text_table(header: list[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of text, all columns to the left."""
    return markdown_table(header, [list(row) for row in rows]).replace("---:", "---")


def write_or_check(texts: Mapping[Path, str], arguments: list[str], *, usage: str | None, command: str) -> int:
    """What a command that writes pages does: write those that differ, or with `--check` only say so.

    Args:
        texts: each page as it should be.
        arguments: of the command line.
        usage: printed where the arguments are others.
        command: the module to run, as in `python -m`.

    Returns:
        The exit status: 1 where a check found a difference, 2 for wrong usage.
    """
    if set(arguments) - {"--check"}:
        print(usage)
        return 2
    differing = settle(texts, check=bool(arguments))
    names = ", ".join(path.name for path in differing)
    if not differing:
        print("the pages are up to date")
    elif arguments:
        print(f"{names}: differs from the code; run python -m {command}")
    else:
        print(f"written: {names}")
    return 1 if differing and arguments else 0
