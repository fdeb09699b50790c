"""Each held-out like has one fate."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import TEST
from recsys_core.evaluation.funnel import FATES, Stages, fates, funnel
from recsys_core.evaluation.protocols import REFITTED
from recsys_core.evaluation.report import OURS, EvalReport
from tests.core.evaluation.conftest import Judged, Judging

Listing = Callable[..., Stages]

ONE = pl.DataFrame({"user_id": [1], "item_id": [10]})


@pytest.mark.parametrize(
    ("item_id", "exact", "found", "ranked", "fate"),
    [
        (999, [0, 1], [0, 1], [0, 1], "not in the catalogue"),
        (60, [0, 1], [0, 1], [0, 1], "filtered as seen"),
        (10, [1, 2], [1, 2], [1, 2], "missed by the towers"),
        (10, [], [], [], "missed by the towers"),
        (10, [0, 1], [1, 2], [1, 2], "missed by the index"),
        (10, [1, 0], [1, 0], [1, 2, 0], "ranked below k"),
        (10, [1, 0], [1, 0], [2, 1], "ranked below k"),
        (10, [1, 0], [1, 0], [], "ranked below k"),
        (10, [1, 2], [1, 0], [0, 1], "hit"),
        (10, [1, 0], [1, 0], [1, 0], "hit"),
    ],
)
def test_every_fate_can_be_met(
    listing: Listing, item_id: int, exact: list[int], found: list[int], ranked: list[int], fate: str
) -> None:
    target = pl.DataFrame({"user_id": [1], "item_id": [item_id]})
    assert fates(listing(exact, found, ranked), target, k=2)["fate"].to_list() == [fate]


def test_another_users_list_does_not_count(listing: Listing) -> None:
    target = pl.DataFrame({"user_id": [2], "item_id": [10]})
    assert fates(listing([0], [0], [0]), target, k=2)["fate"].to_list() == ["missed by the towers"]


def test_somebody_whom_no_stage_served_keeps_the_fate(two_users: Stages) -> None:
    target = pl.DataFrame({"user_id": [77], "item_id": [10]})
    assert fates(two_users, target, k=2).rows() == [(77, 10, "missed by the towers")]


@pytest.mark.parametrize("k", [1, 5, 10, 30])
def test_each_target_has_one_fate_and_the_shares_are_whole(judged: Judged, k: int) -> None:
    found = fates(judged.stages, judged.targets, k)
    assert found.select("user_id", "item_id").equals(judged.targets.select("user_id", "item_id")), "in the same order"
    assert set(found["fate"]) <= set(FATES)
    table = funnel(found)
    assert table["fate"].to_list() == list(FATES)
    assert table["n_targets"].sum() == judged.targets.height
    assert table["share"].sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [30, 12, 10])
def test_hits_are_those_of_the_recall(judging: Judging, seed: int, width: int) -> None:
    """A second way to the same number, also where the final list is shorter than what was found."""
    judged = judging(seed)
    judged = judged.with_stages(lambda one: replace(one.stages, ranked=one.stages.ranked[:, :width]))
    report = judged.report()
    own = report.per_user.filter(model=OURS, protocol=REFITTED, window=TEST)
    hits = (own["recall@10"] * own["n_targets"]).sum()
    assert report.funnel.filter(fate="hit")["n_targets"].item() == pytest.approx(hits)


def test_found_and_ranked_agree_with_the_recall_of_all_candidates(judged: Judged, report: EvalReport) -> None:
    own = report.per_user.filter(model="two-tower", protocol=REFITTED, window=TEST)
    reached = report.funnel.filter(pl.col("fate").is_in(["ranked below k", "hit"]))["n_targets"].sum()
    assert (own["recall@50"] * own["n_targets"]).sum() == pytest.approx(reached)


def test_a_better_final_order_turns_losses_into_hits_and_nothing_else(judged: Judged) -> None:
    wanted = {(user, item) for user, item in judged.targets.select("user_id", "item_id").iter_rows()}
    ids, ranked = judged.stages.catalogue.item_ids, judged.stages.ranked
    is_target = np.array(
        [[item >= 0 and (user, ids[item]) in wanted for item in own]
         for user, own in zip(judged.stages.users.user_ids.tolist(), ranked.tolist(), strict=True)]
    )  # fmt: skip
    best = np.take_along_axis(ranked, np.argsort(~is_target, axis=1, kind="stable"), axis=1)
    before = funnel(fates(judged.stages, judged.targets, 10))["n_targets"].to_list()
    after = funnel(fates(replace(judged.stages, ranked=best), judged.targets, 10))["n_targets"].to_list()
    assert after[:4] == before[:4]
    assert after[5] == before[4] + before[5], "no user of this world has more than ten targets among the found"


def test_no_targets_are_an_empty_funnel(two_users: Stages) -> None:
    table = funnel(fates(two_users, ONE.head(0), k=2))
    assert table["n_targets"].to_list() == [0] * len(FATES)
    assert table["share"].to_list() == [0.0] * len(FATES)
