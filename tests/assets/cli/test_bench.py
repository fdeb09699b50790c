"""bench rank: other people's tables in, ranked lists out."""

from pathlib import Path

import polars as pl
import pytest

from tests import tiny_world
from tests.assets.projects import Project


@pytest.fixture
def bare(tmp_path: Path) -> Project:
    """Sources, settings and no artifacts: a comparison needs no lake."""
    return Project.new(tmp_path / "project")


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    ratings = tiny_world.ratings()
    frames = {"train": ratings, "movies": tiny_world.movies(), "context": ratings.filter(pl.col("user_id") < 50)}
    paths = {name: tmp_path / f"{name}.parquet" for name in frames}
    for name, frame in frames.items():
        frame.write_parquet(paths[name])
    return paths | {"out": tmp_path / "ranked.parquet"}


def options(tables: dict[str, Path], **changed: Path) -> list[str]:
    return [word for name, path in (tables | changed).items() for word in (f"--{name}", str(path))]


@pytest.mark.slow
def test_lists_for_the_users_of_the_context(project: Project, tables: dict[str, Path]) -> None:
    shown = project.recsys("bench", "rank", *options(tables), "-k", "15", "--seed", "3")
    lists = pl.read_parquet(tables["out"])
    assert f"{lists.height} rows" in shown.out.replace("\n", " ")
    assert lists.columns == ["user_id", "item_id", "rank", "score"]
    assert sorted(lists["user_id"].unique().to_list()) == [user for user in tiny_world.USER_IDS.tolist() if user < 50]
    assert lists.group_by("user_id").len()["len"].unique().to_list() == [15]
    assert set(lists["item_id"].to_list()) <= set(tiny_world.ITEM_IDS.tolist())


@pytest.mark.slow
def test_the_order_of_retrieval_is_its_own(project: Project, tables: dict[str, Path]) -> None:
    by_stage = {}
    for stage in ("retrieval", "ranking"):
        assert project.recsys("bench", "rank", *options(tables), "--stage", stage, "-k", "40").code == 0
        by_stage[stage] = pl.read_parquet(tables["out"])
    assert not by_stage["retrieval"].equals(by_stage["ranking"])


def test_a_broken_table_is_named_and_nothing_is_written(project: Project, tables: dict[str, Path]) -> None:
    frame = pl.read_parquet(tables["train"])
    frame.with_columns(pl.col("rating") * 10).write_parquet(tables["train"])
    shown = project.recsys("bench", "rank", *options(tables))
    assert shown.code == 1
    assert "train.parquet, row 1, column rating" in shown.err.replace("\n", "")
    assert "stars" in shown.err
    assert not tables["out"].exists()


@pytest.mark.slow
def test_an_output_that_cannot_be_written_is_refused_before_the_work(bare: Project, tables: dict[str, Path]) -> None:
    """The table is broken too; that would be found out first if it were read."""
    tables["train"].write_text("no Parquet")
    shown = bare.recsys("bench", "rank", *options(tables, out=tables["out"].parent / "nowhere" / "ranked.parquet"))
    assert "ranked.parquet cannot be written (No such file or directory)" in shown.sentence


@pytest.mark.slow
def test_without_a_terminal_progress_and_what_is_not_used_are_lines_on_standard_error(
    bare: Project, tables: dict[str, Path]
) -> None:
    for name in ("train", "context"):
        pl.read_parquet(tables[name]).sort("user_id", "item_id").drop("timestamp").write_parquet(tables[name])
    movies = pl.read_parquet(tables["movies"])
    movies.with_columns(pl.col("item_id") + 10_000).write_parquet(tables["movies"])
    shown = bare.recsys("bench", "rank", *options(tables), "-k", "5")
    assert shown.code == 0, shown.err
    assert shown.out.replace("\n", " ").endswith(" rows, 49 users ") or "rows" in shown.out
    assert len(shown.out.strip().splitlines()) == 1
    lines = shown.err.splitlines()
    for start in (
        "warning: no times, and the rows of --train are in the order of the item ids",
        f"{tables['movies']}: 0 of ",
        f"warning: {tables['movies']}: none of its items was rated, so it is not used",
        "fitting retrieval 4 times",
        "two-tower trained on",
    ):
        assert any(line.startswith(start) for line in lines), start
