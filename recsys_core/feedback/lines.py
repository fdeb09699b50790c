"""One line of JSON -> its keys and values, or a BadRow that says why not.

Python's own parser takes the last of two equal keys, NaN, and lines without end; all three are refused here.
"""

import json
from collections.abc import Collection
from typing import NoReturn

from recsys_core.data.quarantine import BadRow

MAX_LINE_BYTES = 1 << 20
"""A longer line is set aside unread; an event takes about 200 bytes, a request with a long history some 100 kB."""


ARRAY = "an array, where one object per line is expected"


def object_of(line: bytes) -> dict[str, object]:
    """The JSON object of one line, without its line end.

    Raises:
        BadRow: it is none.
    """
    if len(line) > MAX_LINE_BYTES:
        raise BadRow("", "line too long", _shown(line))
    if not line.strip():
        raise BadRow("", "blank line", "")
    try:
        values = json.loads(line.decode(), object_pairs_hook=_unique_pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        if line.strip() == b"[":  # an array that is printed over many lines
            raise BadRow("", ARRAY, _shown(line)) from error
        # RecursionError: thousands of brackets. UnicodeDecodeError is a ValueError.
        raise BadRow("", "not JSON", _shown(line)) from error
    if isinstance(values, list):
        raise BadRow("", ARRAY, _shown(line))
    if not isinstance(values, dict):
        raise BadRow("", "not an object", _shown(line))
    return values


def check_keys(values: dict[str, object], known: Collection[str], may_be_missing: Collection[str] = ()) -> None:
    """Refuse a missing key, and one that is unknown: a change of the format that nobody announced.

    Raises:
        BadRow: naming the first such key.
    """
    missing = [name for name in known if name not in values and name not in may_be_missing]
    if missing:
        raise BadRow(missing[0], "missing key", "")
    unknown = [name for name in values if name not in known]
    if unknown:
        raise BadRow("", "unknown key", ascii(unknown[0]))


def _shown(line: bytes) -> str:
    return line[:200].decode(errors="replace")


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        # A column's name is shown as one; any other text could hold what no table can, a lone surrogate for one.
        raise BadRow(twice if twice.isascii() and twice.isidentifier() else "", "duplicate key", ascii(twice))
    return values


def _no_constant(name: str) -> NoReturn:
    """NaN and Infinity are no JSON, though Python's parser lets them pass."""
    raise BadRow("", "not a finite number", name)
