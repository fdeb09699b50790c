"""Bad rows: set aside with file, line, column, reason and value, counted, and a reason to stop when they are many.

Nothing is dropped silently. Which value is bad is decided beside the table it belongs to (`ratings`, `movies`).
"""

import polars as pl

from recsys_core.data.schemas import QUARANTINE
from recsys_core.errors import DataError

MAX_VALUE_CHARS = 80
EARLY_STOP = 10_000
"""From this many bad rows on, the share is checked while reading: a hopeless file of 25M rows is not kept in memory."""


class BadRow(Exception):  # noqa: N818  it never leaves this stage: a row's parser reports with it, the reader catches it
    """One row is not what its table holds; `column` is '' where the whole row is at fault."""

    def __init__(self, column: str, reason: str, value: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason
        self.value = value


class Quarantine:
    """The bad rows of one file, in the order in which they were met."""

    def __init__(self, file: str, max_bad_share: float) -> None:
        self.file = file
        self.max_bad_share = max_bad_share
        self._rows: list[tuple[str, int, str, str, str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, line: int, bad: BadRow) -> None:
        """Set one row aside; a long value is cut to 80 characters."""
        self._rows.append((self.file, line, bad.column, bad.reason, bad.value[:MAX_VALUE_CHARS]))

    def check_early(self, n_lines: int) -> None:
        """Stop in the middle of a file whose first `n_lines` are hopeless already."""
        if len(self) >= EARLY_STOP:
            self.check(n_lines)

    def check(self, n_lines: int) -> None:
        """Refuse a file with too large a share of bad rows.

        Raises:
            DataError: the share is above `max_bad_share`; the message names the first bad row.
        """
        if len(self) <= self.max_bad_share * n_lines:
            return
        _, line, column, reason, value = min(self._rows, key=lambda row: row[1])
        where = f"line {line}, column {column}" if column else f"line {line}"
        raise DataError(
            f"{self.file}: {len(self):,} of {n_lines:,} lines ({len(self) / n_lines:.1%}) are bad, above the "
            f"{self.max_bad_share:.1%} allowed; the first is {where}: {reason} ({value!r}). "
            f"Mend the file, or raise max_bad_share if these rows may be lost."
        )

    def table(self) -> pl.DataFrame:
        """The bad rows by line, in the QUARANTINE schema."""
        return rejected_table(self._rows)


def rejected_table(rows: list[tuple[str, int, str, str, str]]) -> pl.DataFrame:
    """Rows of (file, line, column, reason, value) as a table, by file and line."""
    schema = {"file": pl.String, "line": pl.Int64, "column": pl.String, "reason": pl.String, "value": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row").sort("file", "line", maintain_order=True)
    return QUARANTINE.validate(table)
