"""Beyond accuracy, per model."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.data.histories import Catalogue
from recsys_core.evaluation.beyond_accuracy import Audience, beyond_accuracy
from recsys_core.evaluation.protocols import lists_table
from tests.core.evaluation.conftest import Judged
from tests.core.worlds import histories_from

CATALOGUE = Catalogue(item_ids=np.array([10, 20, 30, 40]))
AUDIENCE = Audience(
    users=histories_from([[(0, 5.0, 1)], [(1, 5.0, 1)]], 4),
    catalogue=CATALOGUE,
    items=pl.DataFrame({"genres": [["Comedy"], ["Drama"], ["Comedy"], ["Drama"]], "n_ratings": [8, 4, 2, 1]}),
    n_trained_users=8,
)


def values_of(ranked: list[list[int]], k: int = 2) -> dict[str, float]:
    lists = lists_table("ours", AUDIENCE.users.user_ids, np.array(ranked), CATALOGUE)
    found = beyond_accuracy(lists, AUDIENCE, k)
    assert found["model"].unique().to_list() == ["ours"]
    return dict(found.select("metric", "value").iter_rows())


def test_numbers_by_hand() -> None:
    """User 1 of comedies is shown comedies, user 2 of dramas one of each."""
    found = values_of([[0, 2], [1, 0]])
    assert found["coverage"] == 3 / 4
    assert found["novelty"] == pytest.approx(((0 + 2) / 2 + (1 + 0) / 2) / 2)
    assert found["popularity"] == pytest.approx(((0.875 + 0.375) / 2 + (0.625 + 0.875) / 2) / 2)
    assert found["diversity"] == pytest.approx((0 + 1) / 2)
    assert found["gini"] == pytest.approx((-3 * 0 - 1 * 1 + 1 * 1 + 3 * 2) / (4 * 4))
    assert found["genre_miscalibration"] == pytest.approx((0 + np.log(1 / (0.99 / 2 + 0.01))) / 2)


def test_only_the_first_k_places_count() -> None:
    assert values_of([[0, 2, 3], [0, 2, 1]]) == values_of([[0, 2], [0, 2]])


def test_what_is_undefined_for_everybody_is_nan_without_a_warning() -> None:
    """Lists of one item hold no pair."""
    found = values_of([[0, 2], [1, 0]], k=1)
    assert np.isnan(found["diversity"])
    assert found["coverage"] == 0.5


def test_a_user_without_a_list_does_not_count_for_what_lists_look_like() -> None:
    assert values_of([[0, 2], [-1, -1]])["popularity"] == pytest.approx((0.875 + 0.375) / 2)


def test_listed_items_outside_the_catalogue_are_passed_over() -> None:
    lists = lists_table("ours", AUDIENCE.users.user_ids, np.array([[0, 1]] * 2), Catalogue(item_ids=np.array([10, 99])))
    found = dict(beyond_accuracy(lists, AUDIENCE, 2).select("metric", "value").iter_rows())
    assert found["coverage"] == 1 / 4


def test_every_model_has_every_metric(judged: Judged) -> None:
    found = beyond_accuracy(judged.own(judged.baselines), judged.audience, 10)
    assert found.height == 2 * 6
    assert found["value"].is_finite().all()
    bounded = found.filter(pl.col("metric").is_in(["coverage", "gini", "popularity", "diversity"]))["value"]
    assert bounded.is_between(0, 1).all()


def test_random_lists_are_as_popular_as_the_average_item(judged: Judged) -> None:
    """Seen items are left out, and these are the popular ones: hence a little below one half."""
    found = beyond_accuracy(judged.own(judged.baselines), judged.audience, 10).filter(metric="popularity")["value"]
    assert found.is_between(0.3, 0.5).all()


def test_the_most_popular_items_are_popular_and_not_novel(judged: Judged) -> None:
    items = judged.audience.items
    best = np.argsort(-items["n_ratings"].to_numpy(), kind="stable")[:10]
    same = np.tile(best, (judged.stages.users.n_users, 1))
    lists = lists_table("same", judged.stages.users.user_ids, same, judged.stages.catalogue)
    found = beyond_accuracy(pl.concat([lists, judged.own(judged.baselines)]), replace(judged.audience), 10)
    by_model = {model: dict(own.select("metric", "value").iter_rows()) for (model,), own in found.group_by("model")}
    assert by_model["same"]["popularity"] > 0.9
    assert by_model["same"]["novelty"] < by_model["ease"]["novelty"]
    assert by_model["same"]["coverage"] == 10 / judged.stages.catalogue.n_items
    assert by_model["same"]["gini"] > by_model["ease"]["gini"]
