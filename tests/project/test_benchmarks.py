"""The benchmarks' own helpers do what they say; the long ones are run by hand."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import ablations, event_log, seeds
from benchmarks.development import development_questions, difference, until_development_ends
from benchmarks.drift.__main__ import share
from benchmarks.drift.scenarios import CAUSES, N_PLACES, NOTHING, Requests, latest_questions
from benchmarks.generated import found, markers, settle, written
from benchmarks.growth import Growth, exponent, in_own_process, interactions
from benchmarks.load_definitions import load_costs
from benchmarks.measuring import cost_of, spread_of
from benchmarks.parity import STAGES, blocks, scoring, timed_stages
from benchmarks.seeds import table
from recsys_core.data.splits import make_splits
from recsys_core.evaluation.protocols import REFITTED
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.feedback.records import EVENTS_TABLE
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.monitoring.served import historical_requests
from recsys_core.ranking.config import RankerConfig
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.serving.bundle import Bundle
from tests import tiny_world
from tests.core.worlds import QUICK_SPLITS, run_tiny_world


def test_the_median_of_runs_is_shown_with_its_ends() -> None:
    assert str(spread_of([4.0, 1.0, 2.0, 9.0])) == "3.00 (1.00 to 9.00, n=4)"


def test_a_generated_part_replaces_what_stood_there_and_nothing_else() -> None:
    begin, end = markers("sum", "x")
    text = f"before\n{begin}\nold\n{end}\nafter"
    new = written(text, {"sum": "new"}, "x")
    assert new == f"before\n{begin}\nnew\n{end}\nafter"
    assert found(new, "sum", "x") == "new"
    assert written(new, {"sum": "new"}, "x") == new


@pytest.mark.parametrize("damage", ["", "{end}\n{begin}", "{begin}", "{begin}\n{end}\n{begin}\n{end}"])
def test_damaged_markers_are_refused(damage: str) -> None:
    begin, end = markers("sum", "x")
    with pytest.raises(ValueError, match="restore the markers"):
        written(damage.format(begin=begin, end=end), {"sum": "new"}, "x")


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    same.write_text("a")
    other.write_text("a")
    assert settle({same: "a", other: "b"}, check=True) == [other]
    assert other.read_text() == "a"
    assert settle({same: "a", other: "b"}, check=False) == [other]
    assert other.read_text() == "b"


def test_a_table_of_seeds_ends_with_mean_and_deviation() -> None:
    made = table([{"ndcg": 0.1}, {"ndcg": 0.3}], [17, 18])
    assert made.splitlines()[-1] == "| ndcg | 0.1000 | 0.3000 | 0.2000 | 0.1414 |"


def test_loading_is_timed_in_a_fresh_interpreter() -> None:
    (cost,) = load_costs("pass", 1)
    assert 0 < cost.cpu_s < cost.wall_s + 1
    assert cost.peak_gb > 0.001  # no upper bound: the peak counts what this process of pytest holds


def test_a_process_that_fails_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="failed"):
        cost_of(["-c", "raise SystemExit(3)"])


def test_the_spread_over_seeds_is_taken_over_three_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(seeds, "figures", lambda tables, seed: asked.append(seed) or {"ndcg": 0.1})
    monkeypatch.setattr(seeds.Tables, "load", lambda root: None)
    seeds.main([])
    assert len(set(asked)) >= 3


def test_growth_is_measured_on_users_who_rate_nothing_twice() -> None:
    ratings = interactions(20_000, seed=1)
    assert len(ratings) == 20_000
    assert 190 <= ratings["user_id"].n_unique() <= 200
    assert ratings.equals(interactions(20_000, seed=1))
    assert not ratings.equals(interactions(20_000, seed=2))


def test_the_exponent_of_growth_is_the_slope_of_the_logarithms() -> None:
    def run(n: int, cpu_s: float) -> Growth:
        return Growth(n_interactions=n, n_users=1, n_items=1, cpu_s=cpu_s, peak_gb=1)

    assert exponent([run(n, 3e-6 * n**1.5) for n in (100, 1000, 9000)]) == pytest.approx(1.5)
    assert np.isnan(exponent([run(100, 1.0), run(100, 2.0)]))


def answers_of(ndcg: list[float], users: list[int], windows: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"window": windows, "user_id": users, "ndcg@10": ndcg})


def test_a_difference_pairs_answers_by_window_and_user_and_counts_a_user_once() -> None:
    """The order of the rows does not matter; three answers of one user are no surer than one."""
    users, windows = [1, 2, 3] * 3, ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    theirs = answers_of([0.1, 0.5, 0.9] * 3, users, windows)
    ours = answers_of([0.3, 0.5, 0.8] * 3, users, windows)
    found = difference(ours.reverse(), theirs, "ndcg@10")
    once = difference(ours.head(3), theirs.head(3), "ndcg@10")
    assert (found.mean, found.low, found.high) == pytest.approx((once.mean, once.low, once.high))
    assert (found.n, once.n) == (9, 3)


def test_an_answer_of_which_either_is_undefined_does_not_count() -> None:
    theirs = answers_of([0.1, float("nan"), 0.9], [1, 2, 3], ["a"] * 3)
    ours = answers_of([float("nan"), 0.5, 0.8], [1, 2, 3], ["a"] * 3)
    found = difference(ours, theirs, "ndcg@10")
    assert (found.n, found.mean) == (1, pytest.approx(-0.1))


def test_a_trial_of_a_setting_sees_the_development_windows_alone() -> None:
    ratings = tiny_world.ratings()
    splits = make_splits(ratings, QUICK_SPLITS)
    asked = development_questions(ratings, splits)
    assert {one.window for _, one in asked} == set(splits.development)
    assert {one.protocol for _, one in asked} == {REFITTED}
    trained = until_development_ends(splits)
    assert [name for name, _ in asked] == [name for name in trained.asking if name in splits.evaluation_slices]
    last = splits.slices_of(splits.development[-1])[-1]
    assert trained.names == splits.names[: splits.names.index(last) + 1]
    assert set(trained.targets["slice"]) <= set(trained.names)


def test_a_table_of_settings_compares_each_with_the_first_and_says_how_many_there_are() -> None:
    def measure(setting: Mapping[str, float]) -> pl.DataFrame:
        return answers_of([0.2 + setting.get("depth", 0.0), 0.4], [1, 2], ["a", "a"])

    made = ablations.table([{}, {"depth": 0.1}], [17, 18], measure).splitlines()
    assert made[2] == "| defaults | 0.3000 ± 0.0000 |  |"
    assert made[3].startswith("| depth 0.1 | 0.3500 ± 0.0000 | +0.0500 [")
    assert made[-1].startswith("1 variants beside the first row")


def test_every_setting_of_the_ablations_is_one() -> None:
    for settings, form in ((ablations.TOWER, TwoTowerConfig), (ablations.RANKER, RankerConfig)):
        defaults = form().model_dump()
        for setting in settings:
            tried = form.model_validate(setting).model_dump()
            assert {name for name in tried if tried[name] != defaults[name]} == setting.keys(), setting


def test_the_latest_question_of_each_user_is_one() -> None:
    splits = make_splits(tiny_world.ratings(), QUICK_SPLITS)
    asked = latest_questions(splits)
    assert asked["user_id"].sort().to_list() == splits.users["user_id"].unique().sort().to_list()
    cuts = splits.users.group_by("user_id").agg(pl.col("cut").max())
    assert asked.join(cuts, on=["user_id", "cut"], how="semi").height == asked.height


@pytest.mark.parametrize("cause", CAUSES)
def test_a_declared_shift_changes_the_window_and_nothing_else(cause: str) -> None:
    rng = np.random.default_rng(0)
    features, earlier = rng.random((2, 30, N_PLACES, len(FEATURE_NAMES))).astype(np.float32)
    requests = Requests(features=features.copy(), earlier=earlier, ranker=None)
    users = rng.permutation(30)[:20]
    moved = CAUSES[cause](requests, users, rng)
    assert np.array_equal(requests.features, features)
    assert moved.shape == (20, N_PLACES, len(FEATURE_NAMES))
    assert np.array_equal(moved, features[users], equal_nan=True) == (cause == NOTHING)


def test_a_share_of_alarms_has_its_exact_interval() -> None:
    assert share([False] * 20) == "0.000 [0.000, 0.168]"  # 1 - 0.025 ** (1 / 20)
    assert share([True, False]) == "0.500 [0.013, 0.987]"


def test_the_rate_of_a_log_counts_events_that_it_holds(tmp_path: Path) -> None:
    with SqliteLog(tmp_path) as log:
        found = event_log.rates(log, 1, seconds=0.05)
        n_stored = log.deliveries(EVENTS_TABLE).height
    assert found.keys() == set(event_log.BATCHES)
    assert all(rate > 0 for rates in found.values() for rate in rates)
    assert n_stored > sum(event_log.BATCHES)


@pytest.mark.slow
def test_each_stage_of_every_answer_is_timed_once_and_then_no_more() -> None:
    tiny = run_tiny_world()
    bundle = Bundle(
        movies=tiny.movies,
        ratings=tiny.ratings,
        generator=tiny.generator(indexed=True),
        ranker=tiny.ranker,
        versions={"ranker": "r1"},
    )
    with timed_stages() as times:
        served = historical_requests(bundle, 5, 7)
    assert served.requests.height == 7
    assert {stage: len(found) for stage, found in times.items()} == dict.fromkeys(STAGES, 7)
    whole = np.array(times.pop("whole answer"))
    assert (whole >= np.sum(list(times.values()), axis=0)).all()
    again = historical_requests(bundle, 5, 7)
    assert again.impressions.equals(served.impressions)
    assert len(times["ranker"]) == 7
    assert [block.history for block in blocks(bundle)] == ["median", "longest"]
    assert ") on 1" in scoring(bundle)


@pytest.mark.slow
def test_a_small_growth_run_trains_on_a_sample_of_the_catalogue() -> None:
    one = in_own_process(2_000, 17, {"n_epochs": 1, "full_softmax_until": 100, "n_negatives": 16})
    assert one.n_interactions == 2_000
    assert one.n_items > 100
    assert one.cpu_s > 0
    assert one.peak_gb > 0.1
