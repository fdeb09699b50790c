"""Lines -> records: lists of text fields under named columns, each with the line where it starts.

A quoted field may hold line ends, so that a record may be longer than a line; a quote that is never closed costs its
own line and no more. What the fields mean is decided in `ratings` and `movies`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from recsys_core.data.fields import BadRow, Quarantine, is_moment
from recsys_core.data.movielens.layouts import TableLayout
from recsys_core.data.movielens.lines import MAX_LINE_CHARS, Block
from recsys_core.errors import DataError

MAX_RECORD_LINES = 100
HEADER_DELIMITERS = (",", ";", "\t")

# Possessive (`*+`), so that the doubled quote of an unfinished field is not given back and taken for its end.
QUOTED_FIELD = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"')


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How the lines of one file split: its columns in order, their delimiter, and whether quotes count."""

    file: str
    columns: tuple[str, ...]
    delimiter: str
    has_header: bool
    has_written_times: bool = False
    """Whether the file has dates with times instead of seconds; the first record decides for the whole file."""

    @property
    def quoted(self) -> bool:
        """Whether `"` encloses a field: only in the CSV files, which are those with a header."""
        return self.has_header

    def value(self, fields: list[str], column: str) -> str:
        """One field by its column's name."""
        return fields[self.columns.index(column)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The fields of one record, or why there are none (`bad`)."""

    line: int
    fields: list[str]
    bad: BadRow | None = None
    cut_short: bool = False  # it ends the file, without a line end


class OpenQuoteError(Exception):
    """The text ends inside a quoted field."""


def plan_of(layout: TableLayout, first: Block, notes: list[str]) -> tuple[Plan, Block]:
    """How to split a file, from its header if it has one, and its first block without the header.

    Raises:
        DataError: the header is missing, or does not name each column of the layout once.
    """
    if not layout.has_header:
        return Plan(file=layout.file, columns=layout.columns, delimiter=layout.delimiter, has_header=False), first
    header, _, rest = first.text.partition("\n")
    delimiter = next((mark for mark in HEADER_DELIMITERS if set(_names(header, mark)) >= set(layout.columns)), None)
    names = _names(header, delimiter) if delimiter else []
    if delimiter is None or len(set(names)) < len(names):
        raise DataError(
            f"{layout.file}, line 1: expected the header {','.join(layout.columns)}, found {header[:80]!r}; "
            f"put the header first and name each column once"
        )
    _note_header(layout, tuple(names), delimiter, notes)
    plan = Plan(file=layout.file, columns=tuple(names), delimiter=delimiter, has_header=True)
    if _has_written_times(rest, plan):
        notes.append(f"{layout.file} has dates and times, which are UTC where they name no zone")
        plan = replace(plan, has_written_times=True)
    return plan, Block(text=rest, first_line=2, unterminated=first.unterminated)


def _names(header: str, delimiter: str) -> list[str]:
    """The names of a header, which may be quoted; none where the quotes are bad."""
    try:
        return _quoted_fields(header, delimiter)
    except (BadRow, OpenQuoteError):
        return []


def _has_written_times(text: str, plan: Plan) -> bool:
    """Whether the first record has a date and time where seconds are expected."""
    if "timestamp" not in plan.columns:
        return False
    try:
        return is_moment(plan.value(split_fields(text.partition("\n")[0], plan), "timestamp"))
    except (BadRow, OpenQuoteError):
        return False


def _note_header(layout: TableLayout, names: tuple[str, ...], delimiter: str, notes: list[str]) -> None:
    extra = [name for name in names if name not in layout.columns]
    if extra:
        notes.append(f"{layout.file} has further columns, which are ignored: {', '.join(extra)[:80]}")
    elif names != layout.columns:
        notes.append(f"{layout.file} has its columns in the order {','.join(names)}")
    if delimiter != layout.delimiter:
        notes.append(f"{layout.file} is delimited by {delimiter!r}")


def records(blocks: Iterator[Block], plan: Plan) -> Iterator[list[Record]]:
    """The records of each block; one that spans two blocks comes with the second."""
    rest = ""
    last: Block | None = None
    for block in blocks:
        joined = join(rest, block)
        found, rest = split_block(joined, plan)
        last = joined
        yield found
    if rest and last:
        yield split_rest(rest, last, plan)


def join(rest: str, block: Block) -> Block:
    """The block with the unfinished end of the one before in front."""
    if not rest:
        return block
    line = block.first_line - rest.count("\n")
    return Block(text=rest + block.text, first_line=line, unterminated=block.unterminated)


def split_block(block: Block, plan: Plan) -> tuple[list[Record], str]:
    """The records of one block and, if a quote is still open at its end, the text from that record on."""
    lines = lines_of(block.text)
    found: list[Record] = []
    at = 0
    while at < len(lines):
        record, used = _record_at(lines, at, block.first_line + at, plan)
        if record is None:
            return found, "\n".join(lines[at:]) + ("" if block.unterminated else "\n")
        at += used
        found.append(replace(record, cut_short=True) if block.unterminated and at == len(lines) else record)
    return found, ""


def split_rest(rest: str, last: Block, plan: Plan) -> list[Record]:
    """The records of a text whose first quote is never closed: that line is bad, the others are read on their own."""
    line = last.first_line + last.text.count("\n") - rest.count("\n")
    found: list[Record] = []
    while rest:
        text, _, rest = rest.partition("\n")
        found.append(Record(line=line, fields=[], bad=BadRow("", "bad quote", text)))
        more, unfinished = split_block(Block(text=rest, first_line=line + 1, unterminated=last.unterminated), plan)
        found += more
        line += 1 + rest.count("\n") - unfinished.count("\n")
        rest = unfinished
    return found


def lines_of(text: str) -> list[str]:
    """The lines of a text; `str.splitlines` would also cut at U+2028 and others, which are parts of a title."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def single_line(line: int, text: str, plan: Plan, *, cut_short: bool) -> Record:
    """The record of a line that holds no quotes."""
    try:
        return Record(line=line, fields=split_fields(text, plan), cut_short=cut_short)
    except BadRow as bad:
        return Record(line=line, fields=[], bad=bad, cut_short=cut_short)


def _record_at(lines: list[str], at: int, line: int, plan: Plan) -> tuple[Record | None, int]:
    """The record that starts at `lines[at]` and how many lines it takes; None if it is unfinished at the end."""
    text = lines[at]
    for used in range(1, MAX_RECORD_LINES + 1):
        try:
            return Record(line=line, fields=split_fields(text, plan)), used
        except OpenQuoteError:
            if at + used == len(lines):
                return None, 0
            text += "\n" + lines[at + used]
        except BadRow as bad:
            # The first line alone is given up, so that a stray quote does not swallow its neighbours.
            return Record(line=line, fields=[], bad=BadRow(bad.column, bad.reason, lines[at])), 1
    return Record(line=line, fields=[], bad=BadRow("", "bad quote", lines[at])), 1


def split_fields(text: str, plan: Plan) -> list[str]:
    """The fields of one record, as many as the file has columns.

    Raises:
        OpenQuoteError: a quote is not closed yet.
        BadRow: the line is blank, too long, the header again, badly quoted, or has too few or too many fields.
    """
    if len(text) > MAX_LINE_CHARS:
        raise BadRow("", "line too long", text)
    if not text.strip():
        raise BadRow("", "blank line", text)
    fields = _quoted_fields(text, plan.delimiter) if plan.quoted and '"' in text else text.split(plan.delimiter)
    if plan.has_header and tuple(fields) == plan.columns:
        raise BadRow("", "header again", text)
    if len(fields) != len(plan.columns):
        few = "few" if len(fields) < len(plan.columns) else "many"
        raise BadRow("", f"too {few} fields", text)
    return fields


def _quoted_fields(text: str, delimiter: str) -> list[str]:
    """Fields by RFC 4180: a field that holds a quote is enclosed in quotes, and its own are doubled."""
    fields: list[str] = []
    at = 0
    while True:
        field, at = _quoted(text, at) if text.startswith('"', at) else _plain(text, at, delimiter)
        fields.append(field)
        if at == len(text):
            return fields
        if not text.startswith(delimiter, at):
            raise BadRow("", "bad quote", text)
        at += len(delimiter)


def _quoted(text: str, at: int) -> tuple[str, int]:
    match = QUOTED_FIELD.match(text, at)
    if match is None:
        raise OpenQuoteError
    return match[1].replace('""', '"'), match.end()


def _plain(text: str, at: int, delimiter: str) -> tuple[str, int]:
    end = text.find(delimiter, at)
    end = len(text) if end < 0 else end
    if '"' in text[at:end]:
        raise BadRow("", "bad quote", text)
    return text[at:end], end


def accepted(
    found: list[Record], parse: Callable[[list[str]], tuple[object, ...]], quarantine: Quarantine
) -> list[tuple[object, ...]]:
    """The rows that `parse` makes of good records, each with its line in front; the bad go to the quarantine.

    A bad record that ends the file without a line end is set aside as truncated, since that is the likely reason.
    """
    rows: list[tuple[object, ...]] = []
    for record in found:
        try:
            if record.bad:
                raise record.bad
            rows.append((record.line, *parse(record.fields)))
        except BadRow as bad:
            cut = BadRow(bad.column, "truncated last line", bad.value)
            quarantine.add(record.line, cut if record.cut_short else bad)
    return rows
