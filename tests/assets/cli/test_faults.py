"""Whatever a user can mend is one sentence that says what to do, and looking at something changes nothing."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys_assets.resources import PROJECT
from tests.assets.projects import DATA_SET, Answer, Project

READING = [
    "status",
    "report",
    "recommend --user 1",
    "data list",
    "data movies x",
    "log stats",
    "log gaps",
    "log verify",
    "log quarantine",
    "log quarantine --replay",
    "refresh --plan",
    "gc",
]
WRITING = ["run", "refresh", "ui --port 3999", "backfill 2020-01-01", "data fetch ml-latest-small-2016"]


@pytest.fixture(scope="module")
def unbuilt(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The sources and the data set, nothing built; its lake is not changed by these tests."""
    return Project.new(tmp_path_factory.mktemp("unbuilt"))


@pytest.fixture
def fresh(unbuilt: Project, tmp_path: Path) -> Project:
    """A project of one's own."""
    return unbuilt.copy(tmp_path / "project")


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Path]:
    """A folder that nobody may write into, root included."""
    folder = tmp_path / "unwritable"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
        yield folder
        folder.chmod(stat.S_IRWXU)
        return
    if not shutil.which("chattr") or subprocess.run(["chattr", "+i", folder], check=False).returncode:
        pytest.skip("root may write everywhere here")
    yield folder
    subprocess.run(["chattr", "-i", folder], check=True)


def shell(project: Project, command: str, **environment: str) -> Answer:
    """A command as a shell runs it, redirections included; `recsys` is the project's."""
    recsys = f'"{sys.executable}" -m recsys_assets.cli'
    return project.process("sh", "-c", command.replace("recsys", recsys), **environment)


@pytest.mark.parametrize("command", READING)
def test_looking_into_a_lake_that_is_not_there_makes_none(unbuilt: Project, tmp_path: Path, command: str) -> None:
    lake = tmp_path / "misspelt"
    answer = unbuilt.recsys("--lake", str(lake), *command.split())
    assert not lake.exists()
    if answer.code:
        assert "recsys " in answer.sentence.removeprefix("recsys: "), "a command that helps"


@pytest.mark.slow
@pytest.mark.parametrize("command", [*READING, *WRITING, "log append -"])
def test_a_lake_that_is_a_file_is_one_sentence(unbuilt: Project, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    sentence = unbuilt.recsys("--lake", str(tmp_path / "file"), *command.split()).sentence
    assert "file is a file: choose a folder by --lake or RECSYS_LAKE" in sentence


@pytest.mark.parametrize("command", WRITING)
def test_a_lake_that_may_not_be_written_is_one_sentence(unbuilt: Project, unwritable: Path, command: str) -> None:
    sentence = unbuilt.recsys("--lake", str(unwritable), *command.split()).sentence
    assert str(unwritable) in sentence
    assert "check the permissions" in sentence or "restore ml-latest-small-2016.zip" in sentence


@pytest.mark.slow
@pytest.mark.parametrize("name", ["artifacts", "drafts", "locks", "log", "raw"])
def test_a_file_in_the_place_of_a_folder_of_the_lake_is_one_sentence(fresh: Project, name: str) -> None:
    shutil.rmtree(fresh.lake / name, ignore_errors=True)
    (fresh.lake / name).touch()
    events = fresh.root / "events.jsonl"
    events.write_text('{"type": "rating"}\n')
    answer = fresh.recsys("log", "append", str(events)) if name == "log" else fresh.recsys("refresh")
    assert str(fresh.lake / name) in answer.sentence


@pytest.mark.slow
def test_the_shipped_data_set_is_offered_to_another_lake_and_copied_there(unbuilt: Project, tmp_path: Path) -> None:
    def ask(*words: str) -> Answer:
        environment = unbuilt.environment | {"PYTHONPATH": str(PROJECT), "RECSYS_LAKE": str(tmp_path / "elsewhere")}
        done = subprocess.run(
            [sys.executable, "-m", "recsys_assets.cli", *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)

    sentence = ask("status").sentence
    command = "recsys data fetch ml-latest-small-2016"
    assert f"let `{command}`, with the same --lake, copy it there" in sentence
    assert ask(*command.split()[1:]).code == 0
    copied = tmp_path / "elsewhere" / "raw" / DATA_SET
    assert copied.read_bytes() == (PROJECT / "data_lake" / "raw" / DATA_SET).read_bytes()
    assert ask("refresh", "--plan").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("database", ["schedules/schedules.db", "history/runs.db", "history/runs/index.db"])
def test_a_damaged_database_of_dagster_is_one_sentence_and_its_remedy_helps(fresh: Project, database: str) -> None:
    assert fresh.recsys("backfill", "2020-01-01").code == 0
    home = fresh.lake / "dagster"
    (home / database).write_bytes(b"no database" * 1000)
    sentence = fresh.recsys("backfill", "2020-01-01").sentence
    assert f"delete {home}: the history of runs goes with it, and the lake loses nothing" in sentence
    shutil.rmtree(home)
    assert fresh.recsys("backfill", "2020-01-01").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_results_that_cannot_be_written_are_one_sentence(unbuilt: Project, unbuffered: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    for command in ("recsys data list", "recsys data list --json", "recsys log stats"):
        said = shell(unbuilt, f"{command} > /dev/full", PYTHONUNBUFFERED=unbuffered)
        assert "no space left on device" in said.sentence
        assert "Exception ignored" not in said.err


def test_a_reader_that_goes_away_is_no_fault(unbuilt: Project) -> None:
    assert "Traceback" not in shell(unbuilt, "recsys data list | true").err


def test_output_that_is_closed_is_no_fault(unbuilt: Project) -> None:
    assert "Traceback" not in shell(unbuilt, "recsys data list >&- 2>&1 <&-").err


@pytest.mark.slow
def test_a_terminal_that_knows_ascii_alone_gets_escapes(unbuilt: Project) -> None:
    ascii_alone = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    answer = shell(unbuilt, "recsys data movies Amélie", **ascii_alone)
    assert answer.sentence.startswith("recsys: nothing was built in ")
    answer = shell(unbuilt, "recsys data fetch Amélie", **ascii_alone)
    assert answer.sentence.startswith(r"recsys: 'Am\udcc3\udca9lie' is not a known data set")


@pytest.mark.parametrize("option", ["--like", "--user"])
@pytest.mark.parametrize("number", [2**63, 10**30, -1])
def test_an_id_beyond_a_table_is_wrong_usage(unbuilt: Project, option: str, number: int) -> None:
    answer = unbuilt.recsys("recommend", option, str(number))
    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_threads_that_polars_cannot_start_are_one_sentence(unbuilt: Project) -> None:
    said = shell(unbuilt, "recsys status", POLARS_MAX_THREADS="0")
    assert "POLARS_MAX_THREADS is '0': expected a whole number" in said.sentence


@pytest.mark.slow
def test_a_relative_home_of_dagster_is_meant_from_here(fresh: Project) -> None:
    assert shell(fresh, "recsys backfill 2020-01-01", DAGSTER_HOME="home").code == 0
    assert (fresh.root / "home" / "dagster.yaml").is_file()


@pytest.mark.parametrize("name", ["what?", "a%20b"])
def test_no_database_lies_outside_of_a_lake_with_an_odd_name(unbuilt: Project, tmp_path: Path, name: str) -> None:
    sentence = unbuilt.recsys("--lake", str(tmp_path / name), "backfill", "2020-01-01").sentence
    assert "set DAGSTER_HOME to another folder" in sentence
    assert list(tmp_path.iterdir()) == []
