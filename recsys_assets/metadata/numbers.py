"""Numbers as the UI shows and plots them: a few digits, and one line for each kind of settings.

The UI prints a float with all of its digits, and draws one line through all builds of an asset that have a number of
the same name. A build with other settings is no point of that line, so its numbers have names of their own.
"""

from collections.abc import Mapping
from typing import Any

DIGITS = 4
"""Significant digits; the artifacts hold all of them."""


def rounded(value: Any) -> Any:  # whatever Dagster takes as metadata
    """A float with four significant digits, or with one decimal from 1,000 on; anything else as it is.

    >>> rounded(0.17953216783), rounded(12345.678), rounded(7)
    (0.1795, 12345.7, 7)
    """
    if not isinstance(value, float):
        return value
    return round(value, 1) if abs(value) >= 10 ** (DIGITS - 1) else float(f"{value:.{DIGITS}g}")


def shown(metadata: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Metadata with numbers as they are to be seen.

    Args:
        metadata: by label, in the order in which the UI shows it.
        kind: of settings, such as "trial"; empty for the defaults, whose numbers keep their names.
    """
    return {_label(name, value, kind): rounded(value) for name, value in metadata.items()}


def _label(name: str, value: object, kind: str) -> str:
    is_ours = isinstance(value, int | float) and not name.startswith("dagster/")
    return f"{name} ({kind})" if kind and is_ours else name
