"""recommend: the answers, and the refusals."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from recsys_assets.cli import answers
from recsys_core.data.schemas import MAX_ID
from tests.assets.projects import Answer, Project
from tests.conftest import Built
from tests.source_edits import REPOSITORY


@pytest.mark.slow
def test_recommendations_are_new_to_the_user_and_in_order(built: Built) -> None:
    answer = built.project.recsys("recommend", "--user", "1", "-k", "20", "--json").json()
    seen = pl.read_parquet(built.project.folder("ratings") / "ratings.parquet").filter(user_id=1)["item_id"].to_list()
    assert [one["rank"] for one in answer] == list(range(1, 21))
    assert not {one["item_id"] for one in answer} & set(seen)
    assert len({one["item_id"] for one in answer}) == 20
    scores = [one["score"] for one in answer]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.slow
def test_every_movie_says_how_likely_a_like_is(built: Built) -> None:
    answer = built.project.recsys("recommend", "--user", "1", "-k", "5", "--json").json()
    chances = [one["probability"] for one in answer]
    assert chances == sorted(chances, reverse=True)
    assert all(0 < chance < 1 for chance in chances)
    shown = built.project.recsys("recommend", "--user", "1", "-k", "5").out
    assert "liked later" in shown
    assert [f"{100 * chance:.0f} %" for chance in chances] == re.findall(r"\d+ %", shown)


def test_without_calibration_no_chance_is_made_up() -> None:
    assert answers._percent(None) == "-"
    assert answers._percent(0.1249) == "12 %"


def test_an_id_beyond_what_the_log_takes_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    assert answers.MAX_ID == MAX_ID
    project = Project.new(tmp_path)
    for option in ("--user", "--like"):
        refused = project.recsys("recommend", option, str(MAX_ID + 1))
        assert refused.code == 2
        assert f"Invalid value for '{option}'" in refused.err
        assert str(MAX_ID) in refused.err


@pytest.mark.slow
def test_somebody_new_gets_recommendations_without_what_they_named(built: Built) -> None:
    arguments = ("recommend", "--like", "1", "--like", "3114", "--json")
    answer = built.project.recsys(*arguments).json()
    assert len(answer) == 10
    assert not {one["item_id"] for one in answer} & {1, 3114}


@pytest.mark.slow
def test_an_explanation_names_features_and_how_far_they_moved_the_movie(built: Built) -> None:
    plain = built.project.recsys("recommend", "--user", "1", "-k", "3").out
    explained = built.project.recsys("recommend", "--user", "1", "-k", "3", "--explain").out
    assert "SHAP" in explained
    assert "SHAP" not in plain
    assert len(re.findall(r"[+-]\d\.\d\d \w+: ", explained)) == 9


@pytest.mark.slow
def test_every_movie_comes_with_its_reasons_in_words_and_in_json(built: Built) -> None:
    answer = built.project.recsys("recommend", "--user", "1", "-k", "5", "--json").json()
    rated = {one["item_id"]: one for one in built.project.recsys("user", "1", "--json").json()}
    shown = " ".join(built.project.recsys("recommend", "--user", "1", "-k", "5").out.split())
    for one in answer:
        first = one["reasons"][0]
        assert (first["rating"], first["timestamp"]) == tuple(
            rated[first["item_id"]][key] for key in ("rating", "timestamp")
        )
        assert rated[first["item_id"]]["title"] in one["because"]
        assert one["because"].split()[0] in shown
        assert sum(one["contributions"].values()) + one["base"] == pytest.approx(one["score"], abs=1e-3)
    assert shown.count("because you ") == 5
    nobody = built.project.recsys("recommend", "--user", "999999", "-k", "1", "--json").json()
    assert nobody[0]["because"] == "because many like it: nothing that you rated speaks for it"


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["40", "80"])
def test_in_a_narrow_terminal_no_value_of_an_explanation_is_broken(built: Built, columns: str) -> None:
    command = [sys.executable, "-m", "recsys_assets.cli", "recommend", "--user", "1", "--explain"]
    narrow = built.project.environment | {"COLUMNS": columns}
    shown = subprocess.run(command, env=narrow, cwd=built.project.root, capture_output=True, text=True, check=True)
    values = re.findall(r"^    [+-]\d\.\d\d \w+: -?[\d.e+-]+$", shown.stdout, re.M)
    assert len(values) == 30
    assert len(re.findall(r"score -?\d+\.\d\d, base -?\d+\.\d\d$", shown.stdout, re.M)) == 10


@pytest.mark.slow
def test_what_a_user_rated_is_shown_latest_first(built: Built) -> None:
    own = pl.read_parquet(built.project.folder("ratings") / "ratings.parquet").filter(user_id=1)
    rows = built.project.recsys("user", "1", "--json").json()
    assert [one["timestamp"] for one in rows] == sorted(own["timestamp"], reverse=True)
    assert {(one["item_id"], one["rating"]) for one in rows} == set(own.select("item_id", "rating").iter_rows())
    assert rows[0]["rated_at"] == datetime.fromtimestamp(rows[0]["timestamp"], UTC).isoformat()
    shown = built.project.recsys("user", "1", "-n", "2").out.splitlines()
    assert shown[0] == f"{own.height} ratings, {own['rating'].mean():.2f} stars on average"
    assert [rows[at]["title"] in shown[2 + at] for at in (0, 1)] == [True, True]
    assert shown[-1] == f"... and {own.height - 2} earlier ratings: -n shows more, --json all"
    assert "no user 999999 has rated anything: ids run from 1 to 671" in built.project.recsys("user", "999999").sentence


@pytest.mark.slow
def test_an_explanation_names_the_list_rule_that_moved_a_movie(project: Project, built: Built) -> None:
    """Only where a rule is on, and only for what it moved."""
    moved = re.compile(r"no\. \d+ by score, moved by the list rule of diversity")
    assert not moved.search(built.project.recsys("recommend", "--user", "1", "--explain").out)
    from recsys_core.ranking.ranker import Ranker

    project.edit(Ranker.load, before='about.get("list_rules", {})', after='{"diversity": 0.9}')
    places = project.recsys("recommend", "--user", "1", "--json").json()
    n_moved = sum(one["moved_by"] == "diversity" for one in places)
    assert n_moved == sum(one["rank"] != one["ranker_rank"] for one in places) > 0
    assert len(moved.findall(project.recsys("recommend", "--user", "1", "--explain").out)) == n_moved
    assert "moved by" not in project.recsys("recommend", "--user", "1").out


@pytest.mark.slow
def test_a_title_in_square_brackets_is_shown_whole(project: Project) -> None:
    from recsys_core.serving.explanations import describe

    project.edit(describe, before='movie["title"]', after='"[/b] and [i]"')
    assert "[/b] and [i]" in project.recsys("recommend", "--like", "1").out
    assert project.call(rename_every_movie).code == 0
    assert "[/b] and [i]" in project.recsys("data", "movies", "[/b]").out


def rename_every_movie() -> None:
    """Publish movies with a title that looks like markup."""
    from recsys_assets.resources import lake_root
    from recsys_core.lake.store import Lake
    from recsys_core.tables import read_table, tables_writer

    lake = Lake(lake_root())
    movies = read_table(lake.open("movies") / "movies.parquet").with_columns(title=pl.lit("[/b] and [i]"))
    lake.publish("movies", tables_writer(movies=movies), lake.verify("movies").lineage)


def test_for_whom_must_be_said(built: Built) -> None:
    answer = built.project.recsys("recommend")
    assert answer.code == 2
    assert "--user ID, or --like ID once or more" in " ".join(answer.err.split())


def ids(answer: Answer) -> list[int]:
    return [one["item_id"] for one in answer.json()]


@pytest.mark.slow
def test_a_user_may_name_likes_beyond_their_ratings(built: Built) -> None:
    plain = ids(built.project.recsys("recommend", "--user", "1", "--json"))
    with_like = ids(built.project.recsys("recommend", "--user", "1", "--like", str(plain[0]), "--json"))
    assert plain[0] not in with_like
    assert with_like != plain


@pytest.mark.slow
def test_an_unknown_user_is_answered_and_told_that_nothing_is_known(built: Built) -> None:
    note = "nothing is known of this user at that time: these are the recommendations for a new user"
    answer = built.project.recsys("recommend", "--user", "999999")
    assert answer.code == 0
    assert note in " ".join(answer.err.split())
    assert "note" not in built.project.recsys("recommend", "--user", "1").err
    assert built.project.recsys("recommend", "--user", "-1").code == 2


@pytest.mark.slow
def test_who_asks_before_their_first_rating_gets_what_everybody_new_gets(built: Built) -> None:
    early = built.project.recsys("recommend", "--user", "1", "--at", "1995-01-01", "--json")
    other = built.project.recsys("recommend", "--user", "999999", "--at", "1995-01-01", "--json")
    assert ids(early) == ids(other) != ids(built.project.recsys("recommend", "--user", "1", "--json"))


@pytest.mark.slow
def test_numbers_that_are_too_old_at_the_request_are_named(built: Built) -> None:
    err = built.project.recsys("recommend", "--user", "1", "--at", "2040-01-01").err
    assert "stale features replaced by defaults: item_age_years, item_days_known" in err
    learned_until = built.project.recsys("status", "--json").json()["learned_until"]
    assert f"learned until {learned_until}: ask for a time nearer to that (--at), or append newer ratings" in err


def times_shown(answer: Answer) -> dict[int, float]:
    return {one["item_id"]: one["features"]["pair_shown_unclicked"] for one in answer.json()}


@pytest.mark.slow
def test_what_was_shown_today_counts_in_the_next_answer(project: Project) -> None:
    """Nothing is ingested in between, and somebody else was shown nothing."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
    ask = ("recommend", "--user", "5", "--json", "-k", "50")
    first = project.recsys(*ask)
    assert set(times_shown(first).values()) == {0.0}
    assert set(times_shown(project.recsys(*ask)).values()) == {0.0}, "as of the end of the data, before all of this"
    later = times_shown(project.recsys(*ask, "--at", tomorrow))
    assert {later[item] for item in times_shown(first) if item in later} == {2.0}
    other = project.recsys("recommend", "--user", "6", "--json", "-k", "50", "--at", tomorrow)
    assert set(times_shown(other).values()) == {0.0}


@pytest.mark.slow
def test_where_the_log_cannot_be_read_nothing_counts_as_shown_and_a_note_says_so(project: Project) -> None:
    damaged = project.lake / "log" / "writer-000.sqlite"
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_bytes(b"no database")
    answer = project.recsys("recommend", "--user", "5")
    assert answer.code == 0
    assert set(times_shown(project.recsys("recommend", "--user", "5", "--json")).values()) == {0.0}
    assert "what this user was shown before is ignored" in " ".join(answer.err.split())


@pytest.mark.slow
def test_an_unknown_movie_beside_a_known_one_is_named(built: Built) -> None:
    """It was dropped without a word."""
    answer = built.project.recsys("recommend", "--like", "318", "--like", "99999999", "--json")
    assert len(answer.json()) == 10
    assert answer.err.startswith("note: no movie has the id 99999999: `recsys data movies` finds ids")
    assert "id 318" not in answer.err


@pytest.mark.slow
def test_an_unknown_movie_is_refused(built: Built) -> None:
    assert "none of the movies [99999999] is in the catalogue" in (
        built.project.recsys("recommend", "--like", "99999999").sentence
    )


@pytest.mark.parametrize("command", [["report"], ["recommend", "--user", "1"], ["data", "movies"]])
def test_before_the_first_run_one_sentence_says_what_to_do(tmp_path: Path, command: list[str]) -> None:
    sentence = Project.new(tmp_path / "project").recsys(*command).sentence
    assert "`recsys re" in sentence or "`recsys run`" in sentence


@pytest.mark.slow
def test_parts_that_do_not_belong_together_are_refused(project: Project) -> None:
    from tests.assets.test_publishing import materialize

    assert project.call(materialize, "item_features", "{}").code == 0  # the same bytes: nothing happened
    assert project.recsys("recommend", "--user", "1").code == 0
    assert project.call(materialize, "two_tower", '{"n_epochs": 1}').code == 0
    assert "so that all parts match" in project.recsys("recommend", "--user", "1").sentence


@pytest.mark.slow
def test_the_new_rating_of_the_guide_leaves_no_answer_degraded(project: Project) -> None:
    """Item features ended with the data set, years before that rating: every answer had defaults, and no remedy."""
    (line,) = re.findall(r'^\{"event_id".*\}$', (REPOSITORY / "docs" / "guide.md").read_text(encoding="utf-8"), re.M)
    (project.root / "events.jsonl").write_text(line + "\n")
    assert project.recsys("log", "append", str(project.root / "events.jsonl")).code == 0
    assert project.recsys("refresh").code == 0
    assert project.recsys("status", "--json").json()["learned_until"].startswith("2024-05-01")
    for user in ("1", "672"):
        assert project.recsys("recommend", "--user", user).err == ""
    assert [one["item_id"] for one in project.recsys("user", "672", "--json").json()] == [318]


@pytest.mark.slow
def test_a_time_with_an_offset_is_converted(built: Built) -> None:
    """It was taken for the same hour in UTC."""
    ask = ("recommend", "--user", "1", "--json", "--at")
    elsewhere = built.project.recsys(*ask, "2016-01-17T12:00:00+02:00").json()
    assert elsewhere == built.project.recsys(*ask, "2016-01-17T10:00:00").json()
    assert elsewhere != built.project.recsys(*ask, "2010-01-17T12:00:00").json()


@pytest.mark.slow
def test_fewer_movies_than_were_asked_for_come_with_the_reason(built: Built) -> None:
    few = built.project.recsys("recommend", "--user", "1", "-k", "200", "--json")
    n = len(few.json())
    assert n < 200
    assert (
        f"note: {n} movies, not 200: the ranker orders only {n} candidates (ranking_examples.n_candidates)" in few.err
    )
    assert "movies, not" not in built.project.recsys("recommend", "--user", "1", "-k", "5").err
