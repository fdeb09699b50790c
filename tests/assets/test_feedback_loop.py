"""What happened yesterday is learned by tomorrow: log, close the day, refresh, serve.

The data set ends on 2016-10-16; the days of these tests come after it and are long closed.
"""

import json
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from recsys_core.arrays import Float32s
from recsys_core.data.splits import NOW, Splits
from recsys_core.ranking.schemas import SHOWN
from recsys_core.retrieval.model import load_retrieval_model
from recsys_core.tables import read_table
from tests.assets.edits import data_set
from tests.assets.projects import Project

pytestmark = pytest.mark.slow

SHOWN_AT = 1_476_748_800 + 3_600  # on 2016-10-18
RATED_AT = SHOWN_AT + 2 * 86_400
N_RATINGS = 30_000
N_USERS = 60
RE_RATER = 1


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """A project before and after something was logged and a refresh."""

    before: Project
    after: Project


@pytest.fixture(scope="module")
def young(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A part of the ratings beside all movies: most were never rated."""
    project = Project.new(tmp_path_factory.mktemp("young") / "project")
    data_set(N_RATINGS)(project)
    project.refresh()
    return project


@pytest.fixture(scope="module")
def clicked(young: Project, tmp_path_factory: pytest.TempPathFactory) -> Refreshed:
    """Some users were shown ten movies on one day, and clicked the second."""
    project = young.copy(tmp_path_factory.mktemp("clicked") / "project")
    done = project.call(show_and_click, str(N_USERS))
    assert done.code == 0, done.err
    project.refresh()
    return Refreshed(before=young, after=project)


@pytest.fixture(scope="module")
def rated(clicked: Refreshed, tmp_path_factory: pytest.TempPathFactory) -> Refreshed:
    """Two days later, many liked a movie that nobody had rated before, and one changed their mind about another."""
    project = clicked.after.copy(tmp_path_factory.mktemp("rated") / "project")
    movie, (item_id, stars) = unrated_movie(project), first_rating(project)
    lines = [rating_line(user, movie, 5.0) for user in range(2, N_USERS)]
    lines.append(rating_line(RE_RATER, item_id, 0.5 if stars > 3 else 5.0))
    file = project.root / "ratings.jsonl"
    file.write_text("\n".join(lines) + "\n")
    appended = project.recsys("log", "append", str(file), "--json").json()["appended"]["events"]
    assert appended["new"] == len(lines)
    project.refresh()
    return Refreshed(before=clicked.after, after=project)


def show_and_click(n_users: str) -> None:
    """Answer users as the release would, log it, and click the second place of each answer."""
    from recsys_assets.resources import event_log, lake_root
    from recsys_core.feedback.records import Event
    from recsys_core.lake.store import Lake
    from recsys_core.serving.bundle import load_bundle
    from recsys_core.serving.logging import impression_records, request_record
    from recsys_core.serving.recommender import Recommender
    from recsys_core.serving.requests import Request

    recommender = Recommender(bundle=load_bundle(Lake(lake_root())))
    release, served_at = recommender.bundle.release, SHOWN_AT * 1_000_000
    log = event_log(lake_root())
    for user in range(1, int(n_users) + 1):
        answer = recommender.answer(Request(request_id=f"r{user}", user_id=user, requested_at=SHOWN_AT, k=10))
        click = Event(
            event_id=f"c{user}", request_id=f"r{user}", user_id=user, item_id=int(answer.item_ids[1]), kind="click",
            value=None, timestamp=SHOWN_AT + 10, received_at=SHOWN_AT + 11,
        )  # fmt: skip
        log.append(
            requests=[request_record(answer, release, served_at)],
            impressions=impression_records(answer, release, served_at),
            events=[click],
        )
    log.close()


def unrated_movie(project: Project) -> int:
    movies = read_table(project.folder("movies") / "movies.parquet")
    return int(movies.join(ratings_of(project), on="item_id", how="anti")["item_id"][0])


def first_rating(project: Project) -> tuple[int, float]:
    """item_id, rating of somebody's first movie."""
    row = ratings_of(project).filter(user_id=RE_RATER).row(0, named=True)
    return row["item_id"], row["rating"]


def ratings_of(project: Project, table: str = "ratings") -> pl.DataFrame:
    return read_table(project.folder("ratings") / f"{table}.parquet")


def rating_line(user: int, item: int, stars: float) -> str:
    return json.dumps(
        {
            "event_id": f"rated-{user}-{item}", "user_id": user, "item_id": item, "kind": "rating", "value": stars,
            "timestamp": RATED_AT, "received_at": RATED_AT,
        }
    )  # fmt: skip


def weights(project: Project, name: str) -> Float32s:
    """All that was trained of a tower, in one row."""
    model = load_retrieval_model(project.folder("two_tower"), name)
    return np.concatenate([one.ravel() for one in (*vars(model.user_encoder).values(), model.trained_items)])


def shown_of(project: Project) -> pl.DataFrame:
    rows = read_table(project.folder("ranking_examples") / "rows.parquet")
    return rows.filter(pl.col("slice").str.starts_with(SHOWN))


def learned_until(project: Project) -> datetime:
    return datetime.fromisoformat(project.recsys("status", "--json").json()["learned_until"])


def recommended(project: Project, user: int) -> list[int]:
    answer = project.recsys("recommend", "--user", str(user), "-k", "50", "--json").json()
    return [one["item_id"] for one in answer]


def test_clicks_move_the_tower_that_serves_and_no_earlier_one(clicked: Refreshed) -> None:
    before, after = (project.folder("two_tower") for project in (clicked.before, clicked.after))
    names = Splits.load(clicked.after.folder("splits")).names
    assert names == Splits.load(clicked.before.folder("splits")).names
    moved = [
        name
        for name in names
        if (before / f"{name}.safetensors").read_bytes() != (after / f"{name}.safetensors").read_bytes()
    ]
    assert moved == [NOW]
    assert not np.array_equal(weights(clicked.before, NOW), weights(clicked.after, NOW))


def test_what_was_shown_teaches_the_ranker_that_serves_and_none_that_is_examined(clicked: Refreshed) -> None:
    assert shown_of(clicked.before).is_empty()
    rows = shown_of(clicked.after)
    assert set(rows["label"]) == {0, 1}
    before, after = (project.folder("ranker") for project in (clicked.before, clicked.after))
    files = sorted(path.relative_to(before) for path in before.rglob("*") if path.is_file())
    moved = {str(file) for file in files if (before / file).read_bytes() != (after / file).read_bytes()}
    assert "ranker.json" in moved, "the trees that serve"
    assert not [name for name in moved if name.startswith("examined_")]


def test_what_has_been_learned_is_told_to_reach_further(clicked: Refreshed, rated: Refreshed) -> None:
    """Until the last click; then, until the last rating."""
    was, came = learned_until(clicked.before), learned_until(clicked.after)
    assert was.timestamp() < SHOWN_AT < came.timestamp() == SHOWN_AT + 10 + 1
    assert learned_until(rated.after).timestamp() == RATED_AT + 1


def test_a_movie_that_was_first_rated_yesterday_can_be_recommended_today(rated: Refreshed) -> None:
    movie, user = unrated_movie(rated.before), N_USERS + 40
    assert movie not in recommended(rated.before, user)
    assert movie in recommended(rated.after, user)


def test_a_later_rating_counts_and_does_not_erase_the_earlier_one(rated: Refreshed) -> None:
    item_id, stars = first_rating(rated.before)
    both = ratings_of(rated.after, "every_rating").filter(user_id=RE_RATER, item_id=item_id)
    assert both["rating"].to_list() == [stars, 0.5 if stars > 3 else 5.0]
    assert ratings_of(rated.after).filter(user_id=RE_RATER, item_id=item_id)["timestamp"].to_list() == [RATED_AT]
