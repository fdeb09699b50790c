"""What is rebuilt is what was predicted, less what turned out the same on the way."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.assets.projects import Project
from tests.assets.test_planning import below, certain, rating, skip, write_log


@pytest.mark.slow
def test_a_changed_setting_rebuilds_its_cone_parents_first(project: Project) -> None:
    change(project, "ranker", n_rounds=11)
    predicted = project.plan()
    built = project.refresh()
    assert set(built) == predicted.keys() == {"ranker"} | below("ranker")
    assert built[0] == "ranker"
    assert len(built) == len(set(built)), "each asset once"
    assert project.plan() == {}


def test_a_rebuild_to_the_same_bytes_goes_no_further(project: Project) -> None:
    before = project.versions()
    change(project, "faiss_index", n_probe=9)  # of no effect on an exact index
    assert project.plan().keys() == {"faiss_index"} | below("faiss_index")
    assert project.refresh() == ["faiss_index"]
    assert project.versions() == before
    assert project.manifest("faiss_index")["lineage"]["parameters"]["n_probe"] == 9
    assert project.plan() == {}


@pytest.mark.slow
def test_changed_code_without_effect_goes_no_further(project: Project) -> None:
    path = project.source / "recsys_core/data/movies.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n\nADDED = 1\n", encoding="utf-8")
    predicted = project.plan()
    assert predicted.keys() > certain(predicted).keys()
    assert set(project.refresh()) == certain(predicted).keys()
    assert project.plan() == {}


def test_a_damaged_artifact_is_made_again_and_nothing_below_it(project: Project) -> None:
    before = project.versions()
    file = project.folder("item_embeddings") / "vectors.npy"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert project.refresh() == ["item_embeddings"]
    assert project.versions() == before
    assert project.plan() == {}


@pytest.mark.slow
def test_a_day_of_skips_stops_at_the_head_of_the_log(project: Project) -> None:
    day = "interactions/2016-10-18"
    write_log(project, [skip("a"), skip("b", item=2)])
    assert project.refresh() == [day, "interaction_log_head"]
    assert project.manifest("interaction_log_head")["lineage"]["inputs"].keys() == {day}
    write_log(project, [skip("b", item=2), skip("a"), skip("a")])  # the same, in another order
    assert project.plan() == {}
    write_log(project, [skip("a")])
    assert project.plan()[day] == ["input log/2016-10-18 changed"]
    assert project.refresh() == [day, "interaction_log_head"]
    shutil.rmtree(project.lake / "log")
    assert project.refresh() == [day, "interaction_log_head"]
    assert project.plan() == {}


@pytest.mark.slow
def test_a_new_rating_reaches_everything_below_the_log(project: Project) -> None:
    write_log(project, [rating("a", item=2), rating("b", item=3)])
    predicted = project.plan()
    built = project.refresh()
    assert set(built) == predicted.keys()
    assert built[0] == "interactions/2016-10-18"
    assert predicted.keys() - {built[0]} == {"interaction_log_head"} | below("interaction_log_head")
    assert project.manifest("ratings")["lineage"]["facts"]["n_logged"] == 2


@pytest.mark.slow
def test_code_edited_during_a_refresh_is_stale_after_it(project: Project) -> None:
    change(project, "ranker", n_rounds=11)
    answer = project.call(edit_then_refresh, str(project.source / "recsys_core/ranking/validation.py"))
    assert answer.code == 0, answer.err
    assert certain(project.plan()) == {"ranking_report": ["code changed"]}


def edit_then_refresh(path: str) -> None:
    """A process that has loaded its code when somebody else saves an edit."""
    from pathlib import Path

    import recsys_assets.definitions  # noqa: F401  # loads what the refresh will judge by
    from tests.assets.projects import _command_line

    edited = Path(path)
    edited.write_text(edited.read_text(encoding="utf-8") + "\n\nADDED = 1\n", encoding="utf-8")
    _command_line("recsys", "refresh")


def test_a_failed_asset_leaves_the_rest_as_it_was(project: Project) -> None:
    before = project.versions()
    project.edit("recsys_core/ranking/ranker.py", "def fit_ranker(", (
        "def fit_ranker(*args: object, **kwargs: object) -> None:\n"
        '    from recsys_core.errors import DataError\n    raise DataError("no [/luck]: try again")\n\n\n'
        "def unused("
    ))  # fmt: skip
    answer = project.recsys("refresh")
    assert answer.sentence == "recsys: no [/luck]: try again"
    assert project.versions() == before


@pytest.mark.slow
def test_ctrl_c_is_one_sentence_and_the_next_refresh_goes_on(tmp_path: Path) -> None:
    project = Project.new(tmp_path / "project")
    command = [sys.executable, "-m", "recsys_assets.cli", "refresh"]
    with subprocess.Popen(
        command, env=project.environment, cwd=project.root, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert said.strip().endswith("what was published is safe, and `recsys refresh` goes on from there")
    assert "Traceback" not in said
    assert first.split()[1] not in project.plan()
    assert "eval_report" in project.plan()


def change(project: Project, asset: str, **values: object) -> None:
    """Write settings of an asset into the settings file."""
    settings = yaml.safe_load(project.settings.read_text())
    settings[asset] = settings.get(asset, {}) | values
    project.settings.write_text(yaml.safe_dump(settings))
