"""log: append, stats, verify, quarantine."""

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from recsys_core.tables import read_table
from tests.assets.projects import Project
from tests.conftest import Built

AT = 1_476_748_800 + 3_600  # on 2016-10-18


CLEAR = ("log", "quarantine", "--clear")


@pytest.fixture
def bare(tmp_path: Path) -> Project:
    """Sources, settings and no artifacts: the log needs none."""
    return Project.new(tmp_path / "project")


def line(number: int, **changes: object) -> str:
    values = {
        "event_id": f"e{number}",
        "user_id": 1,
        "item_id": number,
        "kind": "rating",
        "value": 4.5,
        "timestamp": AT,
        "received_at": AT,
    }
    return json.dumps(values | changes)


def lines_in(project: Project, *lines: str, end: str = "\n") -> str:
    path = project.root / "lines.jsonl"
    path.write_text("\n".join(lines) + end)
    return str(path)


def test_lines_are_appended_counted_and_shown_by_day(bare: Project) -> None:
    file = lines_in(bare, line(1), line(2), line(2), line(2, value=1.0), "rubbish")
    said = bare.recsys("log", "append", file)
    assert said.code == 1, "scripts must notice that a line was set aside"
    assert "Traceback" not in said.err
    assert "5 lines" in said.out
    assert "events: 2 new, 1 repeated, 1 conflicting" in said.out
    assert "1 line in quarantine: `recsys log quarantine` says why" in said.out
    again = json.loads(bare.recsys("log", "append", file, "--json").out)
    assert again["appended"]["events"] == {"new": 0, "repeated": 4, "conflicting": 0}
    stats = bare.recsys("log", "stats", "--json").json()
    assert stats["days"] == [
        {"day": "2016-10-18", "requests": 0, "impressions": 0, "events": 2, "repeats": 0, "conflicts": 1}
    ]
    assert stats["quarantined"] == 1
    assert stats["closed_until"] > "2026"
    shown = bare.recsys("log", "stats").out
    assert "1 day, closed up to 20" in shown
    assert "1 line in quarantine: `recsys log quarantine`" in shown


def test_standard_input_is_a_file_too_and_an_unfinished_line_is_told(bare: Project) -> None:
    command = [sys.executable, "-m", "recsys_assets.cli", "log", "append", "-"]
    done = subprocess.run(
        command,
        input=f"{line(1)}\n{line(2)[:-5]}",
        env=bare.environment,
        cwd=bare.root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "events: 1 new, 0 repeated, 0 conflicting" in done.stdout
    assert f"The last line, from byte {len(line(1)) + 1}, is incomplete" in done.stderr


def test_the_quarantine_says_why_and_lets_lines_go_after_a_fix(bare: Project) -> None:
    bare.recsys("log", "append", lines_in(bare, line(1, timestamp=AT + 1_000), "[/bold]", line(3)))
    (future, rubbish) = bare.recsys("log", "quarantine", "--json").json()
    assert (future["line"], future["column"], future["reason"]) == (1, "timestamp", "from the future")
    assert rubbish["raw"] == "[/bold]"
    shown = bare.recsys("log", "quarantine").out
    assert "2 lines in quarantine" in shown
    assert "1 timestamp: from the future" in shown
    assert "0 lines went into the log, 2 stay in quarantine" in bare.recsys("log", "quarantine", "--replay").out
    settings = yaml.safe_load(bare.settings.read_text())
    bare.settings.write_text(yaml.safe_dump(settings | {"interactions": {"future_tolerance_s": 3_600}}))
    assert bare.recsys("log", "quarantine", "--replay", "--json").json()["n_replayed"] == 1
    assert len(bare.recsys("log", "quarantine", "--json").json()) == 1


def test_the_quarantine_shows_the_latest_lines_and_moves_no_cursor(bare: Project) -> None:
    bare.recsys("log", "append", lines_in(bare, *(line(number, user_id=f"u{number}") for number in range(25))))
    bare.recsys("log", "append", lines_in(bare, "\033[31mred\007", line(1, kind="\033[2J")))
    shown = bare.recsys("log", "quarantine").out
    assert "27 lines in quarantine" in shown
    assert "... and 7 earlier lines: --json shows all" in shown
    assert "u24" in shown
    assert "'u0'" not in shown
    assert "user_id" in shown
    assert all(one.isprintable() or one == "\n" for one in shown)


def test_a_whole_log_is_told_to_be_whole_and_a_damaged_one_fails(bare: Project) -> None:
    bare.recsys("log", "append", lines_in(bare, line(1), line(2), line(2, value=1.0, received_at=AT + 1)))
    said = bare.recsys("log", "verify")
    assert said.code == 0
    assert "events e2: another row with this key arrived on 2016-10-18 and is ignored" in said.out
    assert "undamaged: 1 day, 1 conflict, 0 impressions without a request" in said.out
    file = bare.lake / "log" / "writer-000.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE events SET item_id = 7 WHERE event_id = 'e1'")
    connection.close()
    said = bare.recsys("log", "verify", "--json")
    assert said.code == 1
    (sentence,) = json.loads(said.out)["damage"]
    assert f"{file}: the row e1 of events is not as it was written" in sentence
    assert sentence in bare.recsys("log", "verify").out


@pytest.mark.slow
def test_a_log_that_lost_a_file_is_refused_until_the_loss_is_accepted(bare: Project) -> None:
    bare.recsys("log", "append", lines_in(bare, line(1), line(2)))
    (bare.lake / "log" / "writer-000.sqlite").unlink()
    for command in ("stats", "gaps"):
        assert "events holds 0 of 2 acknowledged rows" in bare.recsys("log", command).sentence
    assert bare.recsys("log", "verify").code == 1
    assert "recsys log accept-loss" in bare.recsys("refresh", "--plan").sentence
    (accepted,) = bare.recsys("log", "accept-loss", "--json").json()
    assert "events holds 0 of 2 acknowledged rows" in accepted
    assert bare.recsys("log", "verify").code == 0
    assert "no loss to accept" in bare.recsys("log", "accept-loss").out


@pytest.mark.slow
def test_a_day_is_not_ingested_again_with_less_before_that_is_accepted(project: Project) -> None:
    """A log that is gone with all that lay beside it looks like a new one: the lake knows better."""
    shutil.rmtree(project.lake / "log", ignore_errors=True)
    project.recsys("log", "append", lines_in(project, line(1), line(2)))
    assert project.recsys("backfill", "2016-10-18", "2016-10-18").code == 0
    version = project.versions()["interactions/2016-10-18"]
    shutil.rmtree(project.lake / "log")
    project.recsys("log", "append", lines_in(project, line(1)))
    refused = project.recsys("backfill", "2016-10-18", "2016-10-18")
    assert refused.code == 1
    assert "of 2016-10-18, 2 deliveries of events were ingested, and the log holds 1 now" in refused.sentence
    assert project.versions()["interactions/2016-10-18"] == version
    assert project.recsys("log", "verify").code == 1
    assert len(project.recsys("log", "accept-loss", "--json").json()) == 1
    assert project.recsys("log", "verify").code == 0
    assert project.recsys("backfill", "2016-10-18", "2016-10-18").code == 0
    assert project.versions()["interactions/2016-10-18"] != version


def test_a_request_is_set_aside_and_taken_back(bare: Project) -> None:
    asked = {"type": "request", "request_id": "r1", "user_id": 1, "history": None, "k": 1, "release": "v1"}
    asked |= {"requested_at": AT, "served_at": AT * 1_000_000}
    bare.recsys("log", "append", lines_in(bare, json.dumps(asked)))
    before = bare.recsys("log", "stats").out
    assert "holds no request 'r2'" in bare.recsys("log", "set-aside", "r2").sentence
    assert bare.recsys("log", "set-aside", "--json").json() == []
    assert "1 request set aside" in bare.recsys("log", "set-aside", "r1").out
    assert bare.recsys("log", "set-aside", "--json").json() == ["r1"]
    assert bare.recsys("log", "set-aside", "r1", "--take-back", "--json").json() == []
    assert bare.recsys("log", "stats").out == before, "its rows stay"


def test_what_cannot_be_read_is_one_sentence(bare: Project) -> None:
    assert "nowhere.jsonl cannot be read (No such file" in bare.recsys("log", "append", "nowhere.jsonl").sentence
    assert bare.recsys("log", "stats").code == 0, "a lake without a log has an empty one"
    (bare.lake / "log").write_text("in the way")
    assert "check the disk and the permissions" in bare.recsys("log", "append", lines_in(bare, line(1))).sentence


def test_a_url_that_names_no_postgres_is_one_sentence(bare: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "RECSYS_LOG_URL", "mysql://me:secret@host/log")
    assert "only postgresql:// is known" in bare.recsys("log", "stats").sentence


@pytest.mark.slow
def test_a_log_in_postgresql_is_planned_from_as_one_in_the_lake_is(
    project: Project, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(project.lake / "log", ignore_errors=True)  # what `recsys recommend` has logged by then
    monkeypatch.setitem(os.environ, "RECSYS_LOG_URL", database)
    appended = project.recsys("log", "append", lines_in(project, line(1), line(2)), "--json").json()["appended"]
    assert appended["events"]["new"] == 2
    assert not (project.lake / "log").exists()
    assert project.plan()["interactions/2016-10-18"] == ["missing"]
    assert project.recsys("log", "verify").code == 0
    monkeypatch.delitem(os.environ, "RECSYS_LOG_URL")
    assert project.plan() == {}


@pytest.mark.slow
def test_the_month_that_is_played_makes_the_data_set_whole_again(bare: Project, built: Built) -> None:
    settings = yaml.safe_load(bare.settings.read_text())
    demo = yaml.safe_load((bare.source / "recsys_assets/presets/demo.yaml").read_text())
    bare.settings.write_text(yaml.safe_dump(settings | demo))
    assert bare.recsys("run").code == 0
    assert "requests: 69 new" in bare.recsys("log", "demo").out
    assert "events: 0 new" in bare.recsys("log", "demo").out
    assert bare.recsys("backfill", "2016-09-17", "2016-10-16").code == 0
    assert {"interactions/2016-10-17", "interaction_log_head", "impression_outcomes"} <= bare.plan().keys()
    assert bare.recsys("refresh").code == 0
    whole, played = (read_table(one.folder("ratings") / "ratings.parquet") for one in (built.project, bare))
    assert played.drop("event_id").equals(whole.drop("event_id"))
    assert played["event_id"].count() == 327
    assert bare.recsys("log", "demo").sentence.startswith("recsys: the release knows 327 of the 327 ratings")


@pytest.mark.slow
def test_without_ratings_that_are_held_back_there_is_nothing_to_play(project: Project) -> None:
    said = project.recsys("log", "demo").sentence
    assert "recsys_assets/presets/demo.yaml" in said


def test_in_a_narrow_terminal_a_long_value_hides_neither_place_nor_reason(bare: Project) -> None:
    long = {"rating\u00e9": 1, "kind": "x" * 200}
    bare.recsys("log", "append", lines_in(bare, line(1), line(2, kind="x" * 200), json.dumps(long)))
    command = [sys.executable, "-m", "recsys_assets.cli", "log", "quarantine"]
    narrow = bare.environment | {"COLUMNS": "80"}
    shown = subprocess.run(command, env=narrow, cwd=bare.root, capture_output=True, text=True, check=True).stdout
    file = str(bare.root / "lines.jsonl")
    assert f"{file}, line 2, kind: unknown kind: 'xxx" in shown
    assert f"{file}, line 3, event_id: missing key" in shown


def test_a_packed_file_is_no_unfinished_line(bare: Project) -> None:
    path = bare.root / "lines.jsonl.gz"
    path.write_bytes(gzip.compress(line(1).encode()))
    assert "is packed with gzip, not lines of JSON in UTF-8" in bare.recsys("log", "append", str(path)).sentence


def test_a_mended_file_clears_its_lines_and_exits_with_0(bare: Project) -> None:
    file = lines_in(bare, line(1), "", line(2, kind="veiw"), "rubbish")
    assert bare.recsys("log", "append", file).code == 1
    lines_in(bare, line(1), "", line(2), line(3))
    mended = bare.recsys("log", "append", file)
    assert mended.code == 0, mended.err
    assert "2 lines left the quarantine" in mended.out
    assert bare.recsys("log", "quarantine", "--json").json() == []


def test_the_quarantine_is_cleared_by_file_or_whole(bare: Project) -> None:
    file = lines_in(bare, line(1), "rubbish")
    other = bare.root / "other.jsonl"
    other.write_text("more\nrubbish too\n")
    for one in (file, str(other)):
        assert bare.recsys("log", "append", one).code == 1
    assert "no line of nowhere.jsonl is in quarantine" in bare.recsys(*CLEAR, "--file", "nowhere.jsonl").sentence
    assert bare.recsys("log", "quarantine", "--file", file).out.startswith("1 line in quarantine")
    assert "1 line left the quarantine" in bare.recsys(*CLEAR, "--file", file).out
    assert bare.recsys(*CLEAR, "--json").json() == {"n_cleared": 2}
    assert "0 lines in quarantine" in bare.recsys("log", "quarantine").out
    assert bare.recsys("log", "append", file).code == 1
    assert len(bare.recsys("log", "quarantine", "--json").json()) == 1
    assert bare.recsys("log", "quarantine", "--replay", "--clear").code == 2


def test_an_event_of_a_movie_that_does_not_exist_is_stored_and_told(project: Project) -> None:
    file = lines_in(project, line(1, item_id=1), line(2, item_id=99_999_999), line(3, item_id=99_999_999, value=1.0))
    said = project.recsys("log", "append", file, "--json")
    assert said.json()["appended"]["events"]["new"] == 3
    assert said.json()["unknown_items"] == {"99999999": 2}
    assert "2 lines name movies that the movie table does not have: 99999999. They are stored" in said.err
    assert "movie table" not in project.recsys("log", "append", lines_in(project, line(4, item_id=1))).err
