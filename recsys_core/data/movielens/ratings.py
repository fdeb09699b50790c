"""Rating lines -> the ratings table.

Two paths give the same rows: whole blocks are split and cast by polars, and only the lines that do not pass there, or
blocks with quotes, are read one by one, which tells why a line is bad. A test holds the two together.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from recsys_core.data.config import ReadingConfig
from recsys_core.data.fields import Quarantine, id_number, plain_moments, stars, timestamp
from recsys_core.data.movielens.lines import Block
from recsys_core.data.movielens.records import Plan, Record, accepted, join, single_line, split_block, split_rest
from recsys_core.data.schemas import EARLIEST_TIMESTAMP, MAX_ID, RATING_STEPS, RATINGS_COLUMNS

LINED_COLUMNS = {"line": pl.Int64(), **RATINGS_COLUMNS}
PLAIN_WHOLE = r"^(0|[1-9][0-9]{0,18})$"

STARS_BY_TEXT = {text: step for step in RATING_STEPS for text in {f"{step:.1f}", f"{step:g}"}}
"""The spellings that GroupLens uses, "4.0" and "4"; others are parsed one by one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deduplicated:
    """Ratings with one row per (user, item), and the number of removed duplicates."""

    table: pl.DataFrame
    n_exact: int  # rows that repeated another in every column
    n_replaced: int  # rows of a pair that was rated again


def rating_rows(
    blocks: Iterator[Block], plan: Plan, config: ReadingConfig, quarantine: Quarantine
) -> tuple[pl.DataFrame, int]:
    """The valid ratings in the file's order, and the number of records; bad ones go to `quarantine`."""
    parts = [pl.DataFrame(schema=LINED_COLUMNS)]
    n_records, rest = 0, ""
    last: Block | None = None
    for block in blocks:
        last = join(rest, block)
        rows, n_found, rest = _block_rows(last, plan, config, quarantine)
        parts.append(rows)
        n_records += n_found
        quarantine.check_early(n_records)
    if rest and last:
        left_over = split_rest(rest, last, plan)
        parts.append(_parsed(left_over, plan, config, quarantine))
        n_records += len(left_over)
    return pl.concat(parts).drop("line"), n_records


def deduplicated(rows: pl.DataFrame) -> Deduplicated:
    """Sort ratings by time and keep the latest of each (user, item); at equal times, the one later in the file.

    A second rating of a movie replaces the first, as it does on the MovieLens site.
    """
    # Sorted neighbours instead of a hash of all pairs: a third of the memory at 25M ratings, and no slower.
    ordered = rows.sort("user_id", "item_id", "timestamp", maintain_order=True)
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(-1) for name in ("user_id", "item_id"))
    rated_again = ordered.select(same.fill_null(value=False)).to_series()
    repeated = ordered.filter(rated_again | rated_again.shift(1, fill_value=False))
    n_exact = repeated.height - repeated.unique().height
    table = ordered.filter(~rated_again).sort("timestamp", "user_id", "item_id")
    return Deduplicated(table=table, n_exact=n_exact, n_replaced=int(rated_again.sum()) - n_exact)


def _block_rows(
    block: Block, plan: Plan, config: ReadingConfig, quarantine: Quarantine
) -> tuple[pl.DataFrame, int, str]:
    """One block's valid ratings, its number of records, and an unfinished record at its end."""
    if plan.quoted and '"' in block.text:
        found, rest = split_block(block, plan)
        return _parsed(found, plan, config, quarantine), len(found), rest
    good, suspects, n_lines = _fast(block, plan, config)
    last_line = block.first_line + n_lines - 1 if block.unterminated else None
    found = [single_line(line, text, plan, cut_short=line == last_line) for line, text in suspects]
    slowly = _parsed(found, plan, config, quarantine)
    return pl.concat([good, slowly]).sort("line") if slowly.height else good, n_lines, ""


def _fast(block: Block, plan: Plan, config: ReadingConfig) -> tuple[pl.DataFrame, list[tuple[int, str]], int]:
    """Ratings of the lines that are plainly valid, the other lines with their numbers, and how many lines there are."""
    text = block.text.removesuffix("\n")
    lines = pl.DataFrame({"text": pl.Series([text], dtype=pl.String).str.split("\n").explode()})
    lines = lines.with_row_index("line", offset=block.first_line)
    names = [f"field_{position}" for position in range(len(plan.columns) + 1)]  # one more, for a field too many
    split = pl.col("text").str.split_exact(plan.delimiter, len(plan.columns)).struct.rename_fields(names)
    fields = lines.select(pl.col("line").cast(pl.Int64), split.alias("fields")).unnest("fields")
    typed = fields.select("line", *_typed(plan), _plainly_valid(plan, names).alias("valid"))
    valid = typed["valid"] & _in_window(typed, config)
    valid = valid.fill_null(value=False)
    suspects = lines.filter(~valid)
    good = typed.filter(valid).select(*LINED_COLUMNS)
    return good, list(zip(suspects["line"].to_list(), suspects["text"].to_list(), strict=True)), lines.height


def _typed(plan: Plan) -> list[pl.Expr]:
    """The four columns, null where the text is not the plain spelling of a value."""
    at = {column: pl.col(f"field_{plan.columns.index(column)}") for column in ("userId", "movieId", "timestamp")}
    whole = {column: pl.when(text.str.contains(PLAIN_WHOLE)).then(text) for column, text in at.items()}
    seconds = plain_moments(at["timestamp"]) if plan.has_written_times else whole["timestamp"]
    rating = pl.col(f"field_{plan.columns.index('rating')}")
    return [
        whole["userId"].cast(pl.Int64, strict=False).alias("user_id"),
        whole["movieId"].cast(pl.Int64, strict=False).alias("item_id"),
        rating.replace_strict(STARS_BY_TEXT, default=None, return_dtype=pl.Float32).alias("rating"),
        seconds.cast(pl.Int64, strict=False).alias("timestamp"),
    ]


def _plainly_valid(plan: Plan, names: list[str]) -> pl.Expr:
    """Whether a line has as many fields as the file has columns: the last is there, one more is not."""
    return pl.col(names[len(plan.columns) - 1]).is_not_null() & pl.col(names[-1]).is_null()


def _in_window(typed: pl.DataFrame, config: ReadingConfig) -> pl.Series:
    ids = pl.col("user_id", "item_id") <= MAX_ID  # null for an id that is none
    known = typed.select(pl.all_horizontal(ids, pl.col("rating").is_not_null())).to_series()
    return known & typed["timestamp"].is_between(EARLIEST_TIMESTAMP, config.latest_timestamp)


def _parsed(found: list[Record], plan: Plan, config: ReadingConfig, quarantine: Quarantine) -> pl.DataFrame:
    """Ratings of records that are read one by one."""
    rows = accepted(found, lambda fields: _rating(fields, plan, config), quarantine)
    return pl.DataFrame(rows, schema=LINED_COLUMNS, orient="row")


def _rating(fields: list[str], plan: Plan, config: ReadingConfig) -> tuple[int, int, float, int]:
    return (
        id_number(plan.value(fields, "userId"), "userId"),
        id_number(plan.value(fields, "movieId"), "movieId"),
        stars(plan.value(fields, "rating"), "rating"),
        timestamp(plan.value(fields, "timestamp"), "timestamp", config.latest_timestamp, is_iso=plan.has_written_times),
    )
