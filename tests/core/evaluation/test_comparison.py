"""Means with intervals, and paired comparisons."""

import numpy as np
import polars as pl
import pytest

from recsys_core.errors import DataError
from recsys_core.evaluation.accuracy import HEADLINE, METRICS
from recsys_core.evaluation.comparison import compare, summarise
from recsys_core.evaluation.config import EvaluationConfig

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
