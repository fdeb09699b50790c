"""What is declared, and that a change of it is noticed."""

from dataclasses import fields, replace

import polars as pl
import pytest

from recsys_core.features import contract
from recsys_core.features.contract import FEATURE_NAMES, feature_set_version, names_of, violations
from recsys_core.features.declarations import FEATURES, Feature

CHANGES = {
    "name": "another",
    "entity": "pair",
    "unit": "parsecs",
    "description": "Another meaning.",
    "low": -3.5,
    "high": 7.5,
    "may_be_missing": "sometimes",
}


def kept() -> dict[str, float | None]:
    """A row within all bounds; missing where that is allowed."""
    return {f.name: None if f.may_be_missing else (f.low or 0.0) for f in FEATURES}


def test_names_are_unique_and_begin_with_their_entity() -> None:
    assert len(set(FEATURE_NAMES)) == len(FEATURES)
    assert all(feature.name.startswith(feature.entity + "_") for feature in FEATURES)
    assert [*names_of("item"), *names_of("user"), *names_of("pair")] == list(FEATURE_NAMES)


def test_every_feature_says_what_it_means() -> None:
    assert all(len(feature.description) > 20 and feature.description.endswith(".") for feature in FEATURES)
    assert all(f.low is None or f.high is None or f.low < f.high for f in FEATURES)


def test_the_version_is_sixteen_hex_digits_and_stable() -> None:
    assert len(feature_set_version()) == 16
    assert int(feature_set_version(), 16) >= 0
    assert feature_set_version() == feature_set_version()


def test_the_changes_tried_below_are_all_that_can_be_declared() -> None:
    assert set(CHANGES) == {field.name for field in fields(Feature)}


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("at", [0, 10])
def test_any_change_of_a_declaration_is_another_version(monkeypatch: pytest.MonkeyPatch, field: str, at: int) -> None:
    before = feature_set_version()
    changed = [*FEATURES]
    changed[at] = replace(FEATURES[at], **{field: CHANGES[field]})  # type: ignore[arg-type]
    monkeypatch.setattr(contract, "FEATURES", tuple(changed))
    assert feature_set_version() != before


@pytest.mark.parametrize("features", [FEATURES[::-1], FEATURES[:-1], FEATURES + FEATURES[:1]])
def test_order_and_number_of_features_are_part_of_the_version(
    monkeypatch: pytest.MonkeyPatch, features: tuple[Feature, ...]
) -> None:
    before = feature_set_version()
    monkeypatch.setattr(contract, "FEATURES", features)
    assert feature_set_version() != before


def test_a_row_within_its_bounds_violates_nothing() -> None:
    schema = dict.fromkeys(FEATURE_NAMES, pl.Float32)
    assert violations(pl.DataFrame([kept()], schema=schema)) == []
    assert violations(pl.DataFrame([], schema=schema)) == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("item_like_share", 1.01, r"item_like_share leaves \[0.0, 1.0\] in 1 rows"),
        ("item_mean_rating", 0.0, "item_mean_rating leaves"),
        ("item_age_years", -2.0, "item_age_years leaves"),
        ("pair_retrieval_rank", 0.0, "pair_retrieval_rank leaves"),
        ("item_days_known", None, "item_days_known is missing in 1 rows"),
        ("pair_retrieval_score", float("nan"), "pair_retrieval_score is missing in 1 rows"),
    ],
)
def test_a_value_out_of_bounds_and_a_forbidden_gap_are_named(name: str, value: float | None, sentence: str) -> None:
    rows = pl.DataFrame([kept() | {name: value}], schema=dict.fromkeys(FEATURE_NAMES, pl.Float32))
    (found,) = violations(rows)
    assert pl.Series([found]).str.contains(sentence).all(), found


@pytest.mark.parametrize(
    ("unit", "factor", "typical"),
    [("days", 86_400, 30), ("years", 365, 20), ("stars", 20, 3.5), ("share", 100, 0.1)],
    ids=["seconds for days", "days for years", "percent for stars", "percent for shares"],
)
def test_another_unit_leaves_the_bounds(unit: str, factor: float, typical: float) -> None:
    """Of every feature with that unit, at a value that is quite usual in it."""
    measured = [feature.name for feature in FEATURES if feature.unit == unit]
    assert measured
    for name in measured:
        value = 2000.0 if name == "user_mean_liked_year" else typical
        declared, other = (
            pl.DataFrame([kept() | {name: one}], schema=dict.fromkeys(FEATURE_NAMES, pl.Float32))
            for one in (value, value * factor)
        )
        assert violations(declared) == []
        assert violations(other) != [], name


def test_an_absent_column_is_named() -> None:
    rows = pl.DataFrame([kept()], schema=dict.fromkeys(FEATURE_NAMES, pl.Float32)).drop("user_like_share")
    assert violations(rows) == ["user_like_share is absent"]


def test_an_infinite_value_breaks_the_contract_of_a_feature_without_bounds() -> None:
    rows = pl.DataFrame(
        {feature.name: [feature.low or 0.0] for feature in FEATURES},
        schema_overrides=dict.fromkeys(FEATURE_NAMES, pl.Float32),
    )
    assert violations(rows) == []
    broken = rows.with_columns(pair_retrieval_score=pl.lit(float("inf"), pl.Float32))
    assert violations(broken) == ["pair_retrieval_score is infinite in 1 rows"]
