"""Accuracy per user: the right numbers, over all targets and all users with targets."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from recsys_core.data.histories import Catalogue
from recsys_core.evaluation.accuracy import HEADLINE, METRICS, per_user_metrics
from recsys_core.evaluation.lists import lists_table
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
