"""Tables from outside: whatever form they come in, the stages read the same."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from recsys_core.bench.tables import BenchData, check_target, external_ids, read_bench_data, write_lists
from recsys_core.errors import DataError

RATED = pl.DataFrame(
    {
        "user_id": [70, 70, 5, 5, 70],
        "item_id": [900, 30, 30, 41, 41],
        "rating": [5.0, 3.0, 4.0, 0.5, 2.0],
        "timestamp": [1_000_000_300, 1_000_000_100, 1_000_000_200, 1_000_000_050, 1_000_000_400],
    }
)
MOVIES = pl.DataFrame(
    {
        "item_id": [30, 41, 7],
        "title": ["Heat (1995)", "Babylon 5", "Alien (1979)"],
        "genres": [["Action", "Crime"], None, ["Horror"]],
    }
)


def read(tmp_path: Path, train: pl.DataFrame = RATED, movies: pl.DataFrame = MOVIES, **more: pl.DataFrame) -> BenchData:
    tables = {"train": train, "movies": movies, "context": more.get("context", train)}
    for name, table in tables.items():
        table.write_parquet(tmp_path / f"{name}.parquet")
    return read_bench_data(*(tmp_path / f"{name}.parquet" for name in tables))


def outside(data: BenchData, table: pl.DataFrame) -> list[tuple[object, ...]]:
    """Rows with the ids that they came with, oldest first."""
    return table.with_columns(
        user_id=external_ids(table["user_id"].to_numpy(), data.user_ids),
        item_id=external_ids(table["item_id"].to_numpy(), data.item_ids),
    ).rows()


def test_rows_come_in_order_of_time_and_keep_their_ids(tmp_path: Path) -> None:
    data = read(tmp_path)
    by_time = RATED.sort("timestamp").rows()
    assert outside(data, data.train) == outside(data, data.context) == by_time
    assert data.train["item_id"].to_list() == [1, 0, 0, 2, 1], "dense numbers in the order of the ids"


def test_a_movie_may_lack_anything_and_be_absent(tmp_path: Path) -> None:
    full = read(tmp_path).movies
    assert full.rows() == [
        (0, "Heat", ["Action", "Crime"], 1995),
        (1, "Babylon 5", [], None),
        (2, "", [], None),
    ]
    bare = read(tmp_path, movies=MOVIES.select("item_id")).movies
    assert bare.rows() == [(0, "", [], None), (1, "", [], None), (2, "", [], None)]
    assert read(tmp_path, movies=MOVIES.clear()).movies.equals(bare)


def test_genres_may_be_one_text_and_a_year_a_column(tmp_path: Path) -> None:
    joined = pl.DataFrame({"item_id": [30, 41], "title": ["Heat", None], "genres": ["Action|Crime", None]})
    assert read(tmp_path, movies=joined).movies["genres"].to_list() == [["Action", "Crime"], [], []]
    dated = joined.with_columns(year=pl.Series([1996, None]))
    assert read(tmp_path, movies=dated).movies["year"].to_list() == [1996, None, None]


def test_ids_may_be_texts(tmp_path: Path) -> None:
    named = RATED.with_columns(pl.col("user_id", "item_id").cast(pl.String))
    data = read(tmp_path, named, MOVIES.with_columns(pl.col("item_id").cast(pl.String)))
    assert outside(data, data.train) == named.sort("timestamp").rows()
    assert data.movies["title"].to_list() == ["Heat", "Babylon 5", ""], "the numbers follow the order of the texts"


def test_small_integers_are_ids_like_others(tmp_path: Path) -> None:
    narrow = RATED.with_columns(pl.col("user_id").cast(pl.UInt16), pl.col("item_id").cast(pl.Int32))
    data = read(tmp_path, narrow, context=RATED)
    assert data.train.equals(read(tmp_path).train)
    assert data.train.schema == {"user_id": pl.Int64, "item_id": pl.Int64, "rating": pl.Float32, "timestamp": pl.Int64}


@pytest.mark.parametrize("form", ["absent", "empty", "constant"])
def test_without_times_the_rows_are_in_order(tmp_path: Path, form: str) -> None:
    times = {"empty": pl.lit(None, pl.Int64), "constant": pl.lit(7, pl.Int64)}
    train = RATED.drop("timestamp") if form == "absent" else RATED.with_columns(timestamp=times[form])
    data = read(tmp_path, train)
    assert [row[:3] for row in outside(data, data.train)] == RATED.drop("timestamp").rows()
    assert data.train["timestamp"].to_list() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("form", ["milliseconds", "dates", "fractions"])
def test_times_come_in_many_forms(tmp_path: Path, form: str) -> None:
    seconds = RATED["timestamp"]
    times = {
        "milliseconds": seconds * 1000 + 7,
        "dates": pl.Series([datetime.fromtimestamp(second, UTC) for second in seconds]),
        "fractions": seconds.cast(pl.Float64) + 0.25,
    }
    data = read(tmp_path, RATED.with_columns(times[form].alias("timestamp")))
    assert data.train.equals(read(tmp_path).train)


def test_the_latest_rating_of_a_pair_counts_and_in_one_second_the_last_row(tmp_path: Path) -> None:
    again = pl.DataFrame(
        {
            "user_id": [70, 70, 70],
            "item_id": [900, 30, 30],
            "rating": [1.0, 4.5, 1.5],
            "timestamp": [1_000_000_299, 1_000_000_500, 1_000_000_500],
        }
    )
    data = read(tmp_path, pl.concat([RATED, again]))
    rated = {row[:2]: row[2] for row in outside(data, data.train)}
    assert rated[70, 900] == 5.0
    assert rated[70, 30] == 1.5
    assert data.train.height == RATED.height


def with_value(column: str, value: object) -> pl.DataFrame:
    return RATED.with_columns(pl.when(pl.int_range(pl.len()) == 2).then(pl.lit(value)).otherwise(column).alias(column))


@pytest.mark.parametrize(
    ("train", "sentence"),
    [
        (with_value("rating", 0.0), r"train.parquet, row 3, column rating: 0.0 is not between 0.5 and 5.0 stars"),
        (with_value("rating", 11.0), r"row 3, column rating: 11.0 is not between"),
        (with_value("rating", float("nan")), r"row 3, column rating: nan is not between"),
        (with_value("rating", None), r"row 3, column rating: None is not a number"),
        (with_value("timestamp", None), r"row 3, column timestamp: None is not a number or a time, which other rows"),
        (with_value("timestamp", 0), r"row 3, column timestamp: 0 is no time in seconds"),
        (RATED.with_columns(timestamp=pl.lit("soon")), r"row 1, column timestamp: soon is no time"),
        (RATED.with_columns(user_id=pl.lit(float("nan"))), r"row 1, column user_id: nan is not a whole number"),
        (
            RATED.with_columns(item_id=pl.lit([[1]])),
            r"column item_id is of the type List\(List|column item_id is of the",
        ),
        (RATED.with_columns(user_id=pl.duration(days=1)), r"column user_id is of the type Duration"),
        (with_value("user_id", None), r"row 3, column user_id: None is null"),
        (with_value("item_id", None), r"row 3, column item_id: None is null"),
        (RATED.with_columns(rating=pl.lit("good")), r"row 1, column rating: good is not a number \(5 such rows\)"),
        (RATED.drop("item_id"), r"train.parquet has no column item_id; it has user_id, rating, timestamp"),
        (RATED.clear(), "has no ratings: there is nothing to fit on"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, train: pl.DataFrame, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, train, context=RATED)


def test_files_that_are_no_parquet_are_named(tmp_path: Path) -> None:
    read(tmp_path)
    (tmp_path / "movies.parquet").write_text("movieId,title\n")
    with pytest.raises(DataError, match=r"movies\.parquet cannot be read as Parquet"):
        read_bench_data(tmp_path / "train.parquet", tmp_path / "movies.parquet", tmp_path / "context.parquet")
    with pytest.raises(DataError, match=r"none\.parquet cannot be read"):
        read_bench_data(tmp_path / "none.parquet", tmp_path / "movies.parquet", tmp_path / "context.parquet")


def test_movies_of_another_kind_of_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"its item_id is String, that of the ratings Int64: they do not match"):
        read(tmp_path, movies=MOVIES.with_columns(item_id=pl.lit("tt0113277")).head(1))


def test_lists_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_lists(RATED, tmp_path / "lists.parquet")
    assert pl.read_parquet(tmp_path / "lists.parquet").equals(RATED)
    assert [path.name for path in tmp_path.iterdir()] == ["lists.parquet"]
    with pytest.raises(DataError, match="cannot be written"):
        write_lists(RATED, tmp_path / "no_such_folder" / "lists.parquet")


def test_each_table_is_in_the_unit_of_its_own(tmp_path: Path) -> None:
    """A context in milliseconds beside training in seconds; and one row in milliseconds is no reason to believe it."""
    fine = RATED.with_columns(pl.col("timestamp") * 1_000)
    plain, mixed = read(tmp_path), read(tmp_path, RATED, context=fine)
    assert mixed.train.equals(plain.train)
    assert mixed.context.equals(plain.context)
    odd = pl.concat([RATED, RATED.head(1).with_columns(pl.col("timestamp") * 1_000, item_id=pl.lit(7, pl.Int64))])
    with pytest.raises(DataError, match=r"row 6, column timestamp: 1000000300000 is no time in seconds"):
        read(tmp_path, odd, context=RATED)


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])
def test_times_as_text_are_times(tmp_path: Path, form: str) -> None:
    """They were dropped without a word where all of them were text."""
    written = [datetime.fromtimestamp(second, UTC).strftime(form) for second in RATED["timestamp"]]
    assert read(tmp_path, RATED.with_columns(timestamp=pl.Series(written))).train.equals(read(tmp_path).train)


def test_rows_in_the_order_of_ids_tell_no_order_in_time(tmp_path: Path) -> None:
    pairs = pl.DataFrame({"user_id": range(10)}).join(pl.DataFrame({"item_id": range(8)}), how="cross")
    table = pairs.with_columns(rating=pl.lit(4.0))
    assert not read(tmp_path, table).is_ordered
    assert read(tmp_path, table.sample(fraction=1, shuffle=True, seed=2)).is_ordered
    assert read(tmp_path, table.with_columns(timestamp=1_000_000_000 + pl.int_range(pl.len()))).is_ordered


@pytest.mark.parametrize(
    ("train", "context", "expected"),
    [
        (pl.UInt64, pl.Int64, pl.Int64),
        (pl.Float64, pl.String, pl.Int64),
        (pl.Int32, pl.Int32, pl.Int32),
        (pl.Float64, pl.Float64, pl.Float64),
        (pl.String, pl.String, pl.String),
    ],
)
def test_users_of_both_tables_are_the_same_whatever_the_types(
    tmp_path: Path, train: type[pl.DataType], context: type[pl.DataType], expected: type[pl.DataType]
) -> None:
    """Ids 1.0 here and "1" there were two users; of UInt64 beside Int64 the lists were written in 128 bits."""
    ids = pl.col("user_id", "item_id")
    other = RATED.with_columns(ids.cast(context))
    data = read(tmp_path, RATED.with_columns(ids.cast(train)), MOVIES, context=other)
    assert data.train.equals(data.context)
    assert {data.user_ids.dtype, data.item_ids.dtype} == {expected()}
    assert data.movies["title"].to_list() == read(tmp_path).movies["title"].to_list()


def test_a_context_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"context\.parquet has no ratings: there are no users to list items for"):
        read(tmp_path, context=RATED.clear())


def test_a_context_of_other_items_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(tmp_path, context=RATED.with_columns(pl.col("item_id") + 10_000))
    assert "none of the items of the context is in the training ratings" in caplog.text
    caplog.clear()
    read(tmp_path)
    assert not caplog.messages


def test_what_was_replaced_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        read(tmp_path, pl.concat([RATED, RATED.head(2)]), context=RATED)
    assert f"{tmp_path / 'train.parquet'}: 2 ratings were replaced by a later one of the pair" in caplog.messages


def test_where_the_lists_go_is_tried_before_the_work(tmp_path: Path) -> None:
    target = tmp_path / "lists.parquet"
    check_target(target)
    assert not list(tmp_path.iterdir())
    RATED.write_parquet(tmp_path / "train.parquet")
    (tmp_path / "link.parquet").symlink_to(tmp_path / "train.parquet")
    for path, sentence in [
        (tmp_path / "no_such_folder" / "lists.parquet", "cannot be written .*name a file in a folder that is there"),
        (tmp_path, "cannot be written: it is a folder"),
        (tmp_path / "train.parquet", "is one of the tables that are read"),
        (tmp_path / "link.parquet", "is one of the tables that are read"),
        (tmp_path / "train.parquet" / "lists.parquet", "cannot be written"),
    ]:
        with pytest.raises(DataError, match=sentence):
            check_target(path, tmp_path / "train.parquet", tmp_path / "absent.parquet")
    assert pl.read_parquet(tmp_path / "train.parquet").equals(RATED)
