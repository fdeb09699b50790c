"""Two tables on one clock; without times the order of the rows, where it can be an order in time."""

import logging

import numpy as np
import polars as pl
import pytest

from recsys_core.bench.clock import on_one_clock, sorted_by
from recsys_core.data.columns import Times
from recsys_core.errors import DataError
from tests import tiny_world

START = tiny_world.FIRST_DAY


def rated(n_users: int = 10, n_items: int = 12) -> pl.DataFrame:
    """Users who rate items in an order of their own."""
    rng = np.random.default_rng(5)
    rows = [
        (user, int(item), float(rng.integers(1, 6)))
        for user in range(n_users)
        for item in rng.permutation(n_items)[: n_items - 2]
    ]
    return pl.DataFrame(rows, schema={"user_id": pl.Int64, "item_id": pl.Int64, "rating": pl.Float32}, orient="row")


ITEMS = pl.Series(range(100, 112))
NO_TIMES = {"train": None, "context": None}


def as_times(table: pl.DataFrame, start: int = START) -> Times:
    return Times(values=pl.int_range(start, start + table.height, dtype=pl.Int64, eager=True))


def test_times_are_taken_as_they_are() -> None:
    tables = {"train": rated(), "context": rated(4)}
    told = {name: as_times(table) for name, table in tables.items()}
    timed, is_ordered = on_one_clock(tables, told, ITEMS)
    assert is_ordered
    assert all(timed[name]["timestamp"].equals(told[name].values) for name in tables)


def test_without_times_the_order_of_the_rows_is_taken_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    timed, is_ordered = on_one_clock({"train": rated(), "context": rated(4)}, NO_TIMES, ITEMS)
    assert is_ordered
    assert timed["context"]["timestamp"].to_list() == list(range(rated(4).height))
    assert caplog.messages == ["no times: the order of the rows is taken for the order of time"]


@pytest.mark.parametrize("by", ["item_id", "rating"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("within", [["user_id"], []])
def test_rows_in_the_order_of_items_or_stars_are_noticed(by: str, descending: bool, within: list[str]) -> None:  # noqa: FBT001
    table = rated().sort([*within, by], descending=[*[False for _ in within], descending], maintain_order=True)
    assert sorted_by(table, ITEMS) == {"item_id": "item ids", "rating": "stars"}[by]


def test_rows_in_an_order_of_their_own_are_in_no_order() -> None:
    assert sorted_by(rated(), ITEMS) is None
    assert sorted_by(tiny_world.ratings(), pl.Series(tiny_world.ITEM_IDS)) is None


def test_a_few_late_rows_do_not_hide_the_order() -> None:
    table = rated(40).sort("user_id", "item_id")
    assert sorted_by(pl.concat([table, table.sample(fraction=0.05, seed=1)]), ITEMS) == "item ids"


def test_names_have_several_orders() -> None:
    names = pl.Series(["10", "100", "9"])  # as text; by number it is 9, 10, 100
    by_number = pl.DataFrame({"user_id": np.repeat(range(15), 3), "item_id": [2, 0, 1] * 15, "rating": [5.0] * 45})
    assert sorted_by(by_number, names) == "item ids"
    titles = pl.Series(["Beat", "arc", "zoo"])  # letters in one case come before those in the other
    by_letters = by_number.with_columns(item_id=pl.Series([1, 0, 2] * 15))
    assert sorted_by(by_letters, titles) == "item ids"


def test_an_order_by_what_the_table_does_not_hold_is_noticed() -> None:
    """As by titles: nothing in the table ascends, but two items come in the same order with every user."""
    by_title = np.random.default_rng(6).permutation(12)
    table = rated(40).with_columns(title=pl.col("item_id").replace_strict(dict(enumerate(by_title.tolist()))))
    assert sorted_by(table.sort("user_id", "title"), ITEMS) == "items, the same for all users"
    assert sorted_by(table.sort("title", descending=True), ITEMS) == "items, the same for all users"
    assert sorted_by(table, ITEMS) is None
    assert sorted_by(table.sort("user_id", "title").head(60), ITEMS) is None, "too few to tell"


def test_few_rows_prove_no_order() -> None:
    assert sorted_by(rated(2).sort("user_id", "item_id").head(8), ITEMS) is None


@pytest.mark.parametrize("name", ["train", "context"])
def test_the_order_of_ids_in_either_table_is_no_order_in_time(name: str, caplog: pytest.LogCaptureFixture) -> None:
    tables = {"train": rated(), "context": rated(8)}
    tables[name] = tables[name].sort("user_id", "item_id")
    timed, is_ordered = on_one_clock(tables, NO_TIMES, ITEMS)
    assert not is_ordered
    assert f"the rows of --{name} are in the order of the item ids" in caplog.text
    again, _ = on_one_clock({one: table.reverse() for one, table in tables.items()}, NO_TIMES, ITEMS)
    for one, table in timed.items():
        assert table.sort("user_id", "item_id").equals(again[one].sort("user_id", "item_id")), "by the pairs alone"
        assert sorted_by(table.sort("timestamp"), ITEMS) is None
    both = timed["train"].join(timed["context"], on=["user_id", "item_id"])
    assert both["timestamp"].equals(both["timestamp_right"]), "a pair has one place in both tables"


def test_a_context_without_times_takes_them_from_the_training_ratings(caplog: pytest.LogCaptureFixture) -> None:
    train = rated()
    new = pl.DataFrame({"user_id": [77], "item_id": [3], "rating": pl.Series([5.0], dtype=pl.Float32)})
    context = pl.concat([train.sample(12, seed=3), new])
    times = as_times(train)
    timed, is_ordered = on_one_clock({"train": train, "context": context}, {"train": times, "context": None}, ITEMS)
    assert is_ordered
    known = timed["train"].join(timed["context"], on=["user_id", "item_id"])
    assert known.height == 12
    assert known["timestamp"].equals(known["timestamp_right"])
    assert timed["context"]["timestamp"][-1] == times.values.max()
    assert "the context has no times: 12 of its 13 rows take theirs from the training ratings" in caplog.text


def test_times_of_the_context_alone_are_not_used_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    tables = {"train": rated(), "context": rated(4)}
    timed, _ = on_one_clock(tables, {"train": None, "context": as_times(tables["context"])}, ITEMS)
    assert timed["context"]["timestamp"].to_list() == list(range(tables["context"].height))
    assert "the times of the context are not used, since the training ratings have none" in caplog.text


def test_one_moment_for_everything_is_no_time() -> None:
    tables = {"train": rated(), "context": rated(4)}
    same = {name: Times(values=pl.Series([START] * table.height)) for name, table in tables.items()}
    timed, _ = on_one_clock(tables, same, ITEMS)
    assert timed["train"]["timestamp"].to_list() == list(range(tables["train"].height))
    one_user = {"train": as_times(tables["train"]), "context": same["context"]}
    timed, _ = on_one_clock(tables, one_user, ITEMS)
    assert timed["context"]["timestamp"].unique().to_list() == [START], "a context may be of one moment"


@pytest.mark.parametrize("steps", ["train", "context"])
def test_steps_beside_seconds_are_refused(steps: str) -> None:
    tables = {"train": rated(), "context": rated(4)}
    told = {name: as_times(table) for name, table in tables.items()}
    told[steps] = Times(values=told[steps].values - START, are_steps=True)
    with pytest.raises(DataError, match=f"--{steps} counts in small numbers, --.* in seconds since 1970: use one unit"):
        on_one_clock(tables, told, ITEMS)


def test_steps_in_both_tables_are_an_order(caplog: pytest.LogCaptureFixture) -> None:
    tables = {"train": rated(), "context": rated(4)}
    told = {name: Times(values=as_times(table).values - START, are_steps=True) for name, table in tables.items()}
    with caplog.at_level(logging.WARNING):
        timed, is_ordered = on_one_clock(tables, told, ITEMS)
    assert is_ordered
    assert timed["train"]["timestamp"].equals(told["train"].values)
    assert not caplog.messages
