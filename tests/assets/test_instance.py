"""Dagster's home gets our settings, follows them when they change, and never loses an edit."""

import logging
from pathlib import Path

import dagster as dg
import pytest

from recsys_assets import instance, pools
from recsys_core.errors import SettingsError

OURS = instance.TEMPLATE.read_text()
FIRST = "# The local Dagster instance. Copied into Dagster's home when that is made; edit the copy there.\n" + (
    "telemetry:\n  enabled: false\n"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def settings(home: Path) -> str:
    return (home / "dagster.yaml").read_text()


def test_a_new_home_gets_our_settings(home: Path) -> None:
    assert instance.prepare_home() == home
    assert settings(home) == OURS


def test_settings_that_nobody_edited_follow_ours(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    instance.prepare_home()
    later = tmp_path / "later.yaml"
    later.write_text(OURS + "# more\n")
    monkeypatch.setattr(instance, "TEMPLATE", later)
    instance.prepare_home()
    assert settings(home) == later.read_text()


def test_the_settings_of_an_older_home_are_known_by_their_digest(home: Path) -> None:
    home.mkdir()
    (home / "dagster.yaml").write_text(FIRST)
    instance.prepare_home()
    assert settings(home) == OURS


def test_edited_settings_stay_and_the_user_is_told_once_of_each_change(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home.mkdir()
    (home / "dagster.yaml").write_text(FIRST + "run_monitoring: {enabled: true}\n")
    later = tmp_path / "later.yaml"
    later.write_text(OURS + "# more\n")
    with caplog.at_level(logging.WARNING):
        for template, told in ((instance.TEMPLATE, 1), (instance.TEMPLATE, 1), (later, 2), (later, 2)):
            monkeypatch.setattr(instance, "TEMPLATE", template)
            instance.prepare_home()
            assert settings(home) == FIRST + "run_monitoring: {enabled: true}\n"
            assert (home / "dagster.yaml.shipped").read_text() == template.read_text()
            assert len(caplog.messages) == told
    assert "was edited and stays as it is" in caplog.text


@pytest.mark.parametrize("text", ["nonsense: [", "no_such_section: {}", "- a list", "a text"])
def test_settings_that_dagster_cannot_read_are_one_sentence(home: Path, text: str) -> None:
    home.mkdir()
    (home / "dagster.yaml").write_text(text)
    with (
        pytest.raises(SettingsError, match="cannot be read"),
        instance.instance(),
    ):
        pass


def test_our_settings_are_what_they_say(home: Path) -> None:
    with instance.instance() as opened:
        assert not opened.telemetry_enabled
        assert opened.run_monitoring_enabled
        assert not opened.run_retries_enabled
        assert isinstance(opened.run_coordinator, dg.QueuedRunCoordinator)
        concurrency = opened.get_concurrency_config()
        assert concurrency.run_queue_config is not None
        assert concurrency.run_queue_config.max_concurrent_runs == 3
        assert (concurrency.pool_config.pool_granularity.value, concurrency.pool_config.default_pool_limit) == (
            "run",
            1,
        )


def test_pools_are_limited_before_the_first_run_and_a_limit_of_the_user_stays(home: Path) -> None:
    with instance.instance() as opened:
        opened.event_log_storage.set_concurrency_slots(pools.TRAINING, 3)
    instance.ready_for_runs()
    with instance.instance() as opened:
        limits = {limit.name: limit.limit for limit in opened.event_log_storage.get_pool_limits()}
    assert limits == {pools.TRAINING: 3, pools.REFRESH: 1}
