"""A settings file is laid over the defaults, and every mistake in it is one sentence that names it."""

import json

import pytest

from tests.assets.projects import Project
from tests.conftest import Built


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with nothing built; each test writes its settings."""
    return Project.new(tmp_path_factory.mktemp("settings"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rnaker: {n_rounds: 3}", "no asset with settings is called rnaker: choose one of base_ratings, "),
        ("ranker: {n_round: 3}", "ranker has no setting n_round: its settings are "),
        ("ranker: {n_rounds: 0}", "ranker: n_rounds: input should be greater than or equal to 1, found 0"),
        ("ranker: {n_rounds: many}", "found 'many'"),
        ("ranker: 3", "settings.yaml, ranker: expected a section of fields under each asset's name"),
        ("- ranker", "expected a section of fields under each asset's name"),
        ("ranker:\n", "expected a section of fields under each asset's name"),
        ("ranker: {3: 4}", "expected a section of fields under each asset's name"),
        ("3: {}", "expected a section of fields under each asset's name"),
        ("ranker: {", "cannot be read"),
        ("ranker: {n_rounds: 3}\nranker: {n_rounds: 4}", "ranker occurs twice"),
        ("ranker: {n_rounds: 3, n_rounds: 4}", "n_rounds occurs twice"),
        ("ranker: {n_rounds: " + "[" * 5000 + "]" * 5000 + "}", "is nested too deeply"),
        ("ranker: {n_rounds: " + "9" * 5000 + "}", "cannot be read: Exceeds the limit"),
        ("ranker: {n_rounds: 2020-99-99}", "cannot be read: month must be in 1..12"),
        ("ranker: {n_rounds: &a [" + "1, " * 10_000 + "]}", "found [1, 1, 1, 1, 1, 1, ...]"),
    ],
)
def test_a_mistake_in_the_settings_is_one_sentence(empty: Project, text: str, said: str) -> None:
    empty.settings.write_text(text)
    assert said in empty.recsys("refresh", "--plan").sentence


@pytest.mark.slow
def test_the_ui_does_not_open_on_settings_that_are_wrong(empty: Project) -> None:
    empty.settings.write_text("ranker: {n_round: 3}")
    assert f"{empty.settings}: ranker has no setting n_round" in empty.recsys("ui", "--port", "1").sentence


def test_settings_that_are_no_text_are_one_sentence(empty: Project) -> None:
    empty.settings.write_bytes(b"ranker: {n_rounds: \xff}")
    assert "cannot be read" in empty.recsys("refresh", "--plan").sentence


def test_a_missing_settings_file_is_named(empty: Project) -> None:
    answer = empty.recsys("--settings", "no/[/such].yaml", "refresh", "--plan")
    assert "no/[/such].yaml cannot be read" in answer.sentence


@pytest.mark.slow
def test_an_empty_file_leaves_the_defaults(empty: Project) -> None:
    empty.settings.write_text("# nothing yet\n")
    assert set(empty.plan()["ranker"]) >= {"missing"}


@pytest.mark.slow
def test_the_file_on_the_command_line_wins(built: Built, tmp_path: object) -> None:
    project = built.project
    answer = project.recsys("--settings", str(project.source / "recsys_assets/presets/smoke.yaml"), "refresh", "--plan")
    assert "nothing to rebuild" in answer.out


@pytest.mark.slow
def test_the_launchpad_refuses_what_the_settings_refuse_before_there_is_a_run(empty: Project) -> None:
    empty.settings.write_text("")
    said, n_runs = json.loads(empty.call(launch_wrong_values).out)
    assert said == [
        "two_tower: dim: input should be greater than or equal to 4, found 1",
        "splits: n_windows: input should be less than or equal to 50, found 51",
        "base_ratings: hold_back_from: string should match pattern '^[0-9]{4}-[0-9]{2}-[0-9]{2}$', found 'soon'",
    ]
    assert n_runs == 0, "an asset that was not touched can't be red"


def launch_wrong_values() -> None:
    """What is said when runs of single assets are launched, and how many runs there are then."""
    import dagster as dg

    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_core.errors import SettingsError

    said = []
    job = defs.get_repository_def().get_implicit_global_asset_job_def()
    wrong = {"two_tower": {"dim": 1}, "splits": {"n_windows": 51}, "base_ratings": {"hold_back_from": "soon"}}
    with instance() as opened:
        for asset, values in wrong.items():
            try:
                job.execute_in_process(
                    instance=opened,
                    asset_selection=[dg.AssetKey(asset)],
                    run_config={"ops": {asset: {"config": values}}},
                )
            except SettingsError as refused:
                said.append(str(refused))
        print(json.dumps([said, opened.get_runs_count()]))  # noqa: T201
