"""bench rank: other people's tables in, ranked lists out."""

from pathlib import Path

import polars as pl
import pytest

from tests import tiny_world
from tests.assets.projects import Project


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
