"""Accuracy per user: the right numbers, over all targets and all users with targets."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from recsys_core.data.histories import Catalogue
from recsys_core.errors import DataError
from recsys_core.evaluation.accuracy import HEADLINE, METRICS, compare, per_user_metrics, summarise
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.protocols import lists_table
from recsys_core.evaluation.report import OURS, EvalReport
from recsys_core.metrics.ranking import ndcg_at_k
from tests.core.evaluation.conftest import Judged, Judging
from tests.core.tables_by_hand import shuffled

EVALKIT = Path(__file__).parents[3].parent / "shared" / "evalkit" / "evalkit.py"
CATALOGUE = Catalogue(item_ids=np.arange(1000))


@pytest.fixture(scope="module")
def evalkit() -> ModuleType:
    """The scorer that knows nothing of this project."""
    if not EVALKIT.is_file():
        pytest.skip(f"no independent scorer at {EVALKIT}")
    spec = importlib.util.spec_from_file_location("evalkit", EVALKIT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def targets_of(items: dict[int, list[int]]) -> pl.DataFrame:
    pairs = [(user, item) for user, own in items.items() for item in own]
    return pl.DataFrame(pairs, schema={"user_id": pl.Int64, "item_id": pl.Int64}, orient="row")


def lists_of(items: dict[int, list[int]], model: str = "ours") -> pl.DataFrame:
    width = max(len(own) for own in items.values())
    ranked = np.array([own + [-1] * (width - len(own)) for own in items.values()], dtype=np.int64)
    return lists_table(model, np.array(list(items)), ranked, CATALOGUE)


def test_metrics_by_hand() -> None:
    """Targets at ranks 1 and 3 of three to be found."""
    row = per_user_metrics(lists_of({1: [7, 8, 9]}), targets_of({1: [7, 9, 500]})).row(0, named=True)
    best = 1 + 1 / np.log2(3) + 1 / 2
    assert (row["model"], row["user_id"], row["n_targets"]) == ("ours", 1, 3)
    assert row["recall@10"] == row["recall@200"] == pytest.approx(2 / 3)
    assert row["ndcg@10"] == pytest.approx((1 + 1 / 2) / best)
    assert row["map@10"] == pytest.approx((1 + 2 / 3) / 3)
    assert (row["mrr@10"], row["hit@10"]) == (1, 1)


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_reads_as_many_places_as_its_name_says(metric: str) -> None:
    k = int(metric.split("@")[1])
    for place, found in ((k, True), (k + 1, False)):
        lists = lists_of({1: [*range(1, place), 777]})
        assert (per_user_metrics(lists, targets_of({1: [777]}))[metric].item() > 0) is found


def test_targets_that_retrieval_missed_count_in_the_ideal() -> None:
    """The ranker puts every candidate right, and still scores no more than a perfect ranker of these candidates."""
    lists, targets = lists_of({1: [7, 8]}), targets_of({1: [7, 8, 500, 501, 502]})
    over_all = per_user_metrics(lists, targets)[HEADLINE].item()
    ceiling = ndcg_at_k(np.array([[True, True] + [False] * 8]), np.array([5])).item()
    assert over_all == pytest.approx(ceiling)
    assert over_all < 0.6
    assert per_user_metrics(lists, targets_of({1: [7, 8]}))[HEADLINE].item() == 1, "conditional on the candidates"


def test_a_user_whom_a_model_does_not_list_scores_zero_and_stays() -> None:
    lists = pl.concat([lists_of({1: [7], 2: [7]}, "all"), lists_of({1: [7]}, "choosy")])
    found = per_user_metrics(lists, targets_of({1: [7], 2: [7], 3: [7]}))
    assert found.group_by("model", maintain_order=True).len()["len"].to_list() == [3, 3]
    assert found.filter(model="choosy")["hit@10"].to_list() == [1, 0, 0]


def test_a_listed_user_without_targets_is_not_judged() -> None:
    found = per_user_metrics(lists_of({1: [7], 9: [7]}), targets_of({1: [7]}))
    assert found["user_id"].to_list() == [1]


def test_a_list_longer_than_the_longest_metric_is_cut() -> None:
    items = list(range(250))
    found = per_user_metrics(lists_of({1: items}), targets_of({1: [199, 200]}))
    assert found["recall@200"].item() == 0.5
    assert found["recall@100"].item() == 0


def test_every_value_lies_between_zero_and_one(report: EvalReport) -> None:
    values = report.per_user.select(*METRICS)
    assert values.null_count().sum_horizontal().item() == 0
    assert (values.min_horizontal() >= 0).all()
    assert (values.max_horizontal() <= 1).all()


def test_the_order_of_the_rows_changes_nothing(judged: Judged, report: EvalReport) -> None:
    again = per_user_metrics(shuffled(judged.own(judged.baselines)), shuffled(judged.targets))
    for model in ("popularity", "ease"):
        assert again.filter(model=model).equals(judged.own(report.per_user).filter(model=model))


@pytest.mark.parametrize("seed", range(3))
def test_the_independent_scorer_agrees(evalkit: ModuleType, judging: Judging, seed: int) -> None:
    judged = judging(seed)
    report = judged.report()
    ours = lists_table(OURS, judged.stages.users.user_ids, judged.stages.ranked, judged.stages.catalogue)
    for model, lists in (("ease", judged.own(judged.baselines).filter(model="ease")), (OURS, ours)):
        user_ids, theirs = evalkit.per_user(lists, judged.targets)
        found = judged.own(report.per_user).filter(model=model)
        assert found["user_id"].to_list() == user_ids
        for metric, values in theirs.items():
            np.testing.assert_allclose(found[metric].to_numpy(), values, rtol=0, atol=1e-12, err_msg=metric)


def test_the_independent_scorer_agrees_on_long_and_odd_lists(evalkit: ModuleType) -> None:
    """Longer than 200, shorter than 10, absent; one target and hundreds."""
    rng = np.random.default_rng(0)
    lists = {user: rng.permutation(1000)[: rng.choice([1, 9, 10, 199, 200, 230])].tolist() for user in range(80)}
    targets = {user: rng.permutation(1000)[: rng.choice([1, 2, 10, 11, 400])].tolist() for user in range(20, 100)}
    user_ids, theirs = evalkit.per_user(lists_of(lists), targets_of(targets))
    found = per_user_metrics(lists_of(lists), targets_of(targets))
    assert found["user_id"].to_list() == user_ids
    assert set(METRICS) - set(theirs) == {"mrr@10"}
    for metric, values in theirs.items():
        np.testing.assert_allclose(found[metric].to_numpy(), values, rtol=0, atol=1e-12, err_msg=metric)


def test_only_metrics_over_the_full_catalogue_are_reported() -> None:
    assert HEADLINE in METRICS
    assert all(name.split("@")[0] in {"recall", "ndcg", "map", "mrr", "hit"} for name in METRICS)


CONFIG = EvaluationConfig(n_draws=500)


def per_user_of(values: dict[str, list[float]], window: str = "w", protocol: str = "refitted") -> pl.DataFrame:
    """Every metric has the same value; users are numbered from 1."""
    tables = []
    for model, own in values.items():
        about = {name: [value] * len(own) for name, value in (("protocol", protocol), ("window", window))}
        about |= {"model": [model] * len(own), "user_id": list(range(1, len(own) + 1)), "n_targets": [1] * len(own)}
        tables.append(pl.DataFrame(about | dict.fromkeys(METRICS, own)))
    return pl.concat(tables)


@pytest.fixture
def models() -> dict[str, list[float]]:
    rng = np.random.default_rng(0)
    theirs = rng.random(60) * 0.5
    ours = theirs + 0.1 + rng.normal(0, 0.02, 60)
    return {"ours": ours.tolist(), "theirs": theirs.tolist(), "noise": rng.permutation(ours).tolist()}


def test_every_model_has_every_metric_over_all_users(models: dict[str, list[float]]) -> None:
    found = summarise(per_user_of(models), CONFIG)
    assert found.columns == ["protocol", "window", "model", "metric", "mean", "low", "high", "n"]
    assert found.select("model", "metric").rows() == [(model, metric) for model in models for metric in METRICS]
    assert found["n"].unique().to_list() == [60]
    assert found.filter(model="ours")["mean"].to_list() == pytest.approx([np.mean(models["ours"])] * len(METRICS))
    assert (found["low"] < found["mean"]).all()
    assert (found["mean"] < found["high"]).all()


def test_the_same_seed_gives_the_same_interval_whatever_else_is_in_the_table(models: dict[str, list[float]]) -> None:
    alone = summarise(per_user_of({"theirs": models["theirs"]}), CONFIG)
    assert summarise(per_user_of(models), CONFIG).filter(model="theirs").equals(alone)
    other = summarise(per_user_of({"theirs": models["theirs"]}), EvaluationConfig(n_draws=500, seed=18))
    assert other["low"][0] != alone["low"][0]


def test_two_models_that_do_the_same_get_the_same_interval(models: dict[str, list[float]]) -> None:
    """Every row of the table is drawn alike, so that no model is luckier than another."""
    found = summarise(per_user_of({"one": models["ours"], "other": models["ours"]}), CONFIG)
    assert found.select("mean", "low", "high").unique().height == 1


def test_a_paired_lead_is_found_where_separate_intervals_overlap(models: dict[str, list[float]]) -> None:
    per_user = per_user_of(models)
    lead = compare(per_user, "ours", (HEADLINE,), CONFIG).row(0, named=True)
    assert (lead["other"], lead["kind"], lead["n"]) == ("theirs", "difference", 60)
    assert lead["mean"] == pytest.approx(np.mean(models["ours"]) - np.mean(models["theirs"]))
    assert 0.09 < lead["low"] < lead["high"] < 0.11
    ours, theirs = (summarise(per_user, CONFIG).filter(model=m, metric=HEADLINE) for m in ("ours", "theirs"))
    assert ours["low"].item() < theirs["high"].item() + 0.05


def test_each_other_model_has_a_difference_and_a_ratio(models: dict[str, list[float]]) -> None:
    found = compare(per_user_of(models), "ours", (HEADLINE,), CONFIG)
    assert found.select("other", "kind").rows() == [
        ("theirs", "difference"), ("theirs", "ratio"), ("noise", "difference"), ("noise", "ratio")
    ]  # fmt: skip
    ratio = found.filter(other="theirs", kind="ratio")["mean"].item()
    assert ratio == pytest.approx(np.mean(models["ours"]) / np.mean(models["theirs"]))


def test_pairs_are_made_by_user_not_by_row(models: dict[str, list[float]]) -> None:
    per_user = per_user_of(models)
    theirs = per_user.filter(model="theirs")
    mixed = pl.concat([per_user.filter(model="ours"), theirs.reverse()])
    ordered = pl.concat([per_user.filter(model="ours"), theirs])
    assert compare(mixed, "ours", (HEADLINE,), CONFIG).equals(compare(ordered, "ours", (HEADLINE,), CONFIG))


def test_a_model_judged_on_other_users_is_refused() -> None:
    with pytest.raises(DataError, match="different users"):
        compare(per_user_of({"ours": [0.1, 0.2], "theirs": [0.1]}), "ours", (HEADLINE,), CONFIG)


def test_no_lead_is_claimed_between_equals() -> None:
    """A/A: of a hundred pairs that differ by chance alone, about five intervals exclude 0."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(100):
        per_user = per_user_of({"ours": rng.random(50).tolist(), "theirs": rng.random(50).tolist()})
        row = compare(per_user, "ours", (HEADLINE,), CONFIG).row(0, named=True)
        alarms += row["low"] > 0 or row["high"] < 0
    assert alarms <= 12


def test_each_protocol_and_window_is_a_group_of_its_own(models: dict[str, list[float]]) -> None:
    early, late = (per_user_of(models, window) for window in ("early", "late"))
    frozen = per_user_of({model: own[:10] for model, own in models.items()}, "late", "frozen")
    together = pl.concat([early, late, frozen])
    for function in (lambda table: summarise(table, CONFIG), lambda table: compare(table, "ours", (HEADLINE,), CONFIG)):
        found = function(together)
        assert found.select("protocol", "window").unique(maintain_order=True).rows() == [
            ("refitted", "early"), ("refitted", "late"), ("frozen", "late")
        ]  # fmt: skip
        for part in (early, late, frozen):
            alone = function(part)
            assert found.join(alone.select("protocol", "window").unique(), on=["protocol", "window"]).equals(alone)


def test_a_user_of_two_windows_is_one_unit_of_chance(models: dict[str, list[float]]) -> None:
    """What a pool says twice of the same users narrows no interval, of a mean or of a lead."""
    once = per_user_of(models)
    twice = pl.concat([once, once])
    for function in (lambda table: summarise(table, CONFIG), lambda table: compare(table, "ours", (HEADLINE,), CONFIG)):
        one, two = function(once), function(twice)
        assert two["n"].to_list() == [120] * two.height
        for column in ("mean", "low", "high"):
            assert two[column].to_list() == pytest.approx(one[column].to_list())


def test_as_many_users_that_are_different_people_are_surer(models: dict[str, list[float]]) -> None:
    """The counterpart: the same values of other users are news."""
    once = per_user_of(models)
    others = pl.concat([once, once.with_columns(pl.col("user_id") + 1000)])
    width = pl.col("high") - pl.col("low")
    narrow, wide = (summarise(table, CONFIG).select(width).to_series().to_numpy() for table in (others, once))
    assert (narrow < 0.85 * wide).all()


def test_a_pool_weighs_every_answer_alike(models: dict[str, list[float]]) -> None:
    """Not every window: a window of ten users says a sixth of what one of sixty says."""
    few = {model: [1.0] * 10 for model in models}
    found = summarise(pl.concat([per_user_of(models), per_user_of(few)]), CONFIG).filter(model="ours", metric=HEADLINE)
    assert found["mean"].item() == pytest.approx((sum(models["ours"]) + 10) / 70)
