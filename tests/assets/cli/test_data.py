"""data: list, fetch, movies."""

import pytest

from recsys_assets.cli import data
from tests.assets.projects import Project
from tests.conftest import Built


def test_the_list_says_what_lies_here(built: Built) -> None:
    rows = {row["name"]: row for row in built.project.recsys("data", "list", "--json").json()}
    assert rows["ml-latest-small-2016"]["here"] is True
    assert rows["ml-32m"]["here"] is False
    out = built.project.recsys("data", "list").out
    assert all(name in out and row["url"] in out for name, row in rows.items())


def test_an_unknown_data_set_is_told_which_there_are(built: Built) -> None:
    assert "'nope' is not a known data set: choose one of" in built.project.recsys("data", "fetch", "nope").sentence


def test_fetching_what_is_here_already_needs_no_network(built: Built) -> None:
    answer = built.project.recsys("data", "fetch", "ml-latest-small-2016")
    assert answer.code == 0
    assert "ml-latest-small-2016 is in " in answer.out


def test_the_embedded_data_set_cannot_be_fetched_anew(project: Project) -> None:
    (project.lake / "raw" / "ml-latest-small-2016.zip").unlink()
    assert "from this project's repository" in project.recsys("data", "fetch", "ml-latest-small-2016").sentence


def test_movies_are_found_by_a_part_of_the_title(built: Built) -> None:
    found = built.project.recsys("data", "movies", "TOY STORY", "--json").json()
    assert {1, 3114} <= {row["item_id"] for row in found}
    assert all("toy story" in row["title"].lower() for row in found)
    out = built.project.recsys("data", "movies", "toy story").out
    assert "Toy Story 2" in out


def test_a_title_that_is_not_there_gives_nothing(built: Built) -> None:
    assert built.project.recsys("data", "movies", "no such film", "--json").json() == []
    answer = built.project.recsys("data", "movies", "(.*[/b]")
    assert answer.code == 0, "a part of a title, not a pattern"
    assert answer.out == "no movie has '(.*[/b]' in its title\n"


def test_a_long_list_says_how_much_is_left_out(built: Built) -> None:
    answer = built.project.recsys("data", "movies")
    assert len(answer.out.splitlines()) < 70
    assert "more: give a longer part of the title" in answer.out


def test_a_download_that_never_begins_shows_no_bar(built: Built) -> None:
    assert len(built.project.recsys("data", "fetch", "ml-7m").err.strip().splitlines()) == 1


def test_without_a_terminal_a_download_tells_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with data._download_progress("ml-1m") as tell:
        for done in range(0, 6_000_001, 100_000):
            tell(done, 6_000_000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[5] == "ml-1m: 3.0 of 6.0 MB"
    with data._download_progress("ml-1m") as tell:
        tell(12_000_000, 0)
    assert capsys.readouterr().err == "ml-1m: 12.0 MB\n", "the server does not say how many there are"
