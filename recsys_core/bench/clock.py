"""Timestamps of two rating tables on one clock, or a substitute where the tables have none.

Without timestamps there is only the order of the rows. In an export of a log it is the order in time; in an export of a
matrix it is the order of ids. If the latter were taken for an order in time, the ranker would learn that users rate ids
in ascending order.
"""

import logging
from collections.abc import Mapping

import polars as pl

from recsys_core.data.columns import WHOLE_NUMERAL, Times
from recsys_core.errors import DataError
from recsys_core.seeding import child

logger = logging.getLogger(__name__)

LEAST_PAIRS = 20
"""Fewest pairs of neighbouring rows of one user from which their order can be judged."""

SORTED_SHARE = 0.9
"""Rows count as sorted if this share of neighbours ascends, or descends. In the order of time, 57 to 65 % of the item
ids on MovieLens ascend, and half of the stars."""

LEAST_REPEATS = 100
"""Fewest neighbouring rows with a repeated pair of items from which an order of the items can be judged."""

AGREEING_SHARE = 0.95
"""The rows of all users follow one order of the items if this share of repeated neighbouring pairs has one direction.
In the order of time, the share is 71 to 80 % on MovieLens; in a random order it is 75 %."""


def on_one_clock(
    tables: Mapping[str, pl.DataFrame], told: Mapping[str, Times | None], items: pl.Series
) -> tuple[dict[str, pl.DataFrame], bool]:
    """The tables with `timestamp`, and whether it gives an order in time.

    Args:
        tables: `train` and `context`: user_id and item_id as numbers, rating; rows in their original order.
        told: the times of each table; None where it has none.
        items: the external id of each item number.

    Returns:
        The tables with Int64 seconds. Without times: the number of the row. Where the rows are in no order of time
        either: positions in one random order of both tables, and False.

    Raises:
        DataError: the tables are in different units.
    """
    train, context = told["train"], told["context"]
    if train and context:
        return _both(tables, train, context, items)
    if train:
        return {
            "train": tables["train"].with_columns(timestamp=train.values),
            "context": _placed_by(tables["train"].with_columns(timestamp=train.values), tables["context"]),
        }, True
    if context:
        logger.warning("the times of the context are not used, since the training ratings have none")
    return _by_rows(tables, items)


def _both(
    tables: Mapping[str, pl.DataFrame], train: Times, context: Times, items: pl.Series
) -> tuple[dict[str, pl.DataFrame], bool]:
    if train.are_steps != context.are_steps:
        steps, seconds = ("train", "context") if train.are_steps else ("context", "train")
        raise DataError(
            f"column timestamp: --{steps} counts in small numbers, --{seconds} in seconds since 1970: use one unit"
        )
    if pl.concat([train.values, context.values]).n_unique() == 1:
        return _by_rows(tables, items)
    timed = {"train": train.values, "context": context.values}
    return {name: table.with_columns(timestamp=timed[name]) for name, table in tables.items()}, True


def _placed_by(train: pl.DataFrame, context: pl.DataFrame) -> pl.DataFrame:
    """A context without times: ratings in the training data take their time, the others the end of training."""
    pair = ["user_id", "item_id"]
    known = train.group_by(pair).agg(pl.col("timestamp").max())
    placed = context.join(known, on=pair, how="left", maintain_order="left")
    n_known = placed.height - placed["timestamp"].null_count()
    logger.warning(
        "the context has no times: %d of its %d rows take theirs from the training ratings, the others count as rated "
        "when those end",
        n_known,
        placed.height,
    )
    return placed.with_columns(pl.col("timestamp").fill_null(train["timestamp"].max()))


def _by_rows(tables: Mapping[str, pl.DataFrame], items: pl.Series) -> tuple[dict[str, pl.DataFrame], bool]:
    found = {name: sorted_by(table, items) for name, table in tables.items()}
    name = next((name for name, what in found.items() if what), None)
    if name is None:
        logger.warning("no times: the order of the rows is taken for the order of time")
        number = pl.int_range(pl.len(), dtype=pl.Int64)
        return {name: table.with_columns(timestamp=number) for name, table in tables.items()}, True
    logger.warning(
        "no times, and the rows of --%s are in the order of the %s: it is not taken for an order of time; the ranker "
        "learns from random likes instead of the latest",
        name,
        found[name],
    )
    return {name: _shuffled(table, tables) for name, table in tables.items()}, False


def sorted_by(table: pl.DataFrame, items: pl.Series) -> str | None:
    """The key by which each user's rows are sorted, up or down, in words; None where it may be the time.

    Detected are item ids, stars, and any other key that puts the items of all users into one order, such as titles.

    Args:
        table: user_id and item_id as numbers, rating; rows in their original order.
        items: the external id of each item number. Text has several orders, each of which is tried.
    """
    text = items.cast(pl.String)
    numbers = text.str.extract(WHOLE_NUMERAL, 1).cast(pl.Int64, strict=False)
    orders = {
        "item_id": pl.col("item_id"),
        "by_letters": pl.col("item_id").replace_strict(dict(enumerate(text.str.to_lowercase().rank("dense")))),
        "by_number": pl.col("item_id").replace_strict(dict(enumerate(numbers.fill_null(-1)))),
    }
    chosen = orders if items.dtype == pl.String else {"item_id": orders["item_id"]}
    keyed = table.select("user_id", "rating", **chosen)
    if any(_is_sorted(keyed, name) for name in chosen):
        return "item ids"
    if _has_one_order(table):
        return "items, the same for all users"
    return "stars" if _is_sorted(keyed, "rating") else None


def _is_sorted(table: pl.DataFrame, name: str) -> bool:
    """Whether nearly all neighbouring rows of a user that differ in `name` differ in one direction."""
    before = pl.col(name).shift(1).over("user_id")
    counted = table.select(up=(pl.col(name) > before).sum(), down=(pl.col(name) < before).sum())
    n_up, n_down = int(counted["up"].item()), int(counted["down"].item())
    return n_up + n_down >= LEAST_PAIRS and max(n_up, n_down) >= SORTED_SHARE * (n_up + n_down)


def _has_one_order(table: pl.DataFrame) -> bool:
    """Whether items that are neighbours in the rows of several users are nearly always in the same order."""
    before = pl.col("item_id").shift(1).over("user_id")
    neighbours = table.select("item_id", before=before).filter(pl.col("before") != pl.col("item_id"))
    first, second = pl.min_horizontal("before", "item_id"), pl.max_horizontal("before", "item_id")
    pairs = neighbours.group_by(first.alias("first"), second.alias("second")).agg(
        n=pl.len(), n_up=(pl.col("item_id") > pl.col("before")).sum()
    )
    repeated = pairs.filter(pl.col("n") > 1)
    n_agreeing = repeated.select(pl.max_horizontal("n_up", pl.col("n") - pl.col("n_up")).sum()).item()
    n = int(repeated["n"].sum())
    return n >= LEAST_REPEATS and n_agreeing >= AGREEING_SHARE * n


def _shuffled(table: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """`timestamp`: positions in a random order, which depends on the pairs of user and item, not on the rows' order."""
    pairs = pl.concat([one.select("user_id", "item_id") for one in tables.values()]).unique().sort("user_id", "item_id")
    places = child(0, "bench", "order of rows").permutation(pairs.height)
    placed = pairs.with_columns(timestamp=pl.Series(places, dtype=pl.Int64))
    return table.join(placed, on=["user_id", "item_id"], how="left", maintain_order="left")
