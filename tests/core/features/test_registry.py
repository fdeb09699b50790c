"""Which features there are, and that a change of any of them is noticed and named."""

import importlib
import json
import pkgutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest

from recsys_core import features, tables
from recsys_core.arrays import Float32s
from recsys_core.data import schemas
from recsys_core.data.histories import histories_of
from recsys_core.data.schemas import MOVIES_COLUMNS, RATINGS_COLUMNS
from recsys_core.features import exposures, registry, user_item
from recsys_core.features.feature import Feature
from recsys_core.features.items import item_days_known, item_mean_rating
from recsys_core.features.point_in_time import item_counts, share
from recsys_core.features.registry import (
    DEFAULTS,
    FEATURE_NAMES,
    FEATURES,
    GROUPS,
    FeatureSet,
    differences,
    feature_set,
    feature_set_version,
    features_of,
    names_of,
)
from recsys_core.features.schemas import ITEM_KEYS
from recsys_core.features.user_item import _covered
from recsys_core.feedback.schemas import IMPLICIT_COLUMNS, OUTCOMES_COLUMNS
from recsys_core.retrieval import training
from tests import source_edits
from tests.assets.projects import Project
from tests.core.features.codes import print_codes

PREFIX = {"item": "item_", "user": "user_", "user-item": "pair_", "context": "context_"}


def item_of_another_name(_: object) -> Float32s:
    return np.zeros(1, dtype=np.float32)


CHANGES: dict[str, object] = {
    "function": item_of_another_name,
    "entity": "context",
    "unit": "parsecs",
    "low": -3.5,
    "high": 7.5,
    "sources": ("ratings.user_id", "movies.title"),
    "default": 0.25,
    "may_be_missing": "sometimes",
    "max_age_days": 12,
    "dtype": "Float64",
}


def test_names_are_unique_and_begin_with_their_entity() -> None:
    assert len(set(FEATURE_NAMES)) == len(FEATURES)
    assert all(one.name.startswith(PREFIX[one.entity]) for one in FEATURES)
    assert sorted(name for entity in PREFIX for name in names_of(entity)) == sorted(FEATURE_NAMES)  # type: ignore[arg-type]


def test_the_order_is_that_of_the_groups_and_in_a_group_that_of_the_module() -> None:
    order = [group.__name__.rpartition(".")[2] for group in GROUPS]
    places = [(order.index(one.group), one.function.__code__.co_firstlineno) for one in FEATURES]
    assert places == sorted(places)


def test_whatever_any_module_declares_is_registered() -> None:
    """A group that nobody names would be computed by nobody."""
    modules = [
        importlib.import_module(one.name) for one in pkgutil.iter_modules(features.__path__, "recsys_core.features.")
    ]
    found = {id(value) for module in modules for value in vars(module).values() if isinstance(value, Feature)}
    assert found == {id(one) for one in FEATURES}


def test_every_feature_says_what_it_means_and_who_is_asked() -> None:
    assert all(len(one.description) > 20 and one.description.endswith(".") for one in FEATURES)
    assert all(one.unit and one.owner for one in FEATURES)
    assert all(one.low is None or one.high is None or one.low < one.high for one in FEATURES)


def test_every_source_is_a_column_that_exists() -> None:
    columns = {"ratings": set(RATINGS_COLUMNS), "movies": set(MOVIES_COLUMNS), "item_features": set(ITEM_KEYS)}
    columns |= {"impression_outcomes": set(OUTCOMES_COLUMNS), "implicit_feedback": set(IMPLICIT_COLUMNS)}
    columns["two_tower"] = {"vectors", "closed_form", "rating_model", "covisits", "neighbours"}
    for one in FEATURES:
        assert one.sources, one.name
        for source in one.sources:
            asset, column = source.split(".")
            assert column in columns[asset], f"{one.name}: {source}"


def test_defaults_are_numbers_within_the_bounds_or_missing() -> None:
    assert DEFAULTS.dtype == np.float32
    for one, default in zip(FEATURES, DEFAULTS, strict=True):
        assert np.isnan(default) or (one.low or 0.0) <= default <= (np.inf if one.high is None else one.high)
        assert one.default == default or np.isnan(default)


def test_what_may_be_missing_is_read_as_missing_and_only_what_is_counted_ahead_ages() -> None:
    """The trees have met such a gap in training: a number in its stead would be one that means something else."""
    for one in FEATURES:
        assert not one.may_be_missing or np.isnan(one.default), one.name
        assert (one.max_age_days is not None) == (one.entity == "item"), one.name


def test_features_of_an_entity_keep_the_order_of_the_columns() -> None:
    for entity in PREFIX:
        own = features_of(entity)  # type: ignore[arg-type]
        assert [FEATURES.index(one) for one in own] == sorted(FEATURES.index(one) for one in own)


def test_the_version_is_sixteen_hex_digits_and_survives_json() -> None:
    assert len(feature_set_version()) == 16
    assert int(feature_set_version(), 16) >= 0
    stored = json.loads(json.dumps(feature_set(), allow_nan=False))
    assert feature_set_version(stored) == feature_set_version()
    assert differences(stored) == []


def declaring(monkeypatch: pytest.MonkeyPatch, changed: tuple[Feature[Any], ...]) -> FeatureSet:
    """The feature set of code that declares these features."""
    monkeypatch.setattr(registry, "FEATURES", changed)
    return feature_set.__wrapped__()


def test_the_changes_tried_below_are_all_that_count() -> None:
    assert set(CHANGES) == {field.name for field in fields(Feature)} - {"owner"}


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("at", [0, 10, 20])
def test_any_change_of_a_declaration_is_another_version(monkeypatch: pytest.MonkeyPatch, field: str, at: int) -> None:
    changed = list(FEATURES)
    changed[at] = replace(FEATURES[at], **{field: CHANGES[field]})  # type: ignore[arg-type]
    assert feature_set_version(declaring(monkeypatch, tuple(changed))) != feature_set_version()


def test_who_is_asked_may_change_without_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tuple(replace(one, owner="team:next") for one in FEATURES)
    assert feature_set_version(declaring(monkeypatch, changed)) == feature_set_version()


@pytest.mark.parametrize("changed", [FEATURES[::-1], FEATURES[:-1], FEATURES[1:]])
def test_order_and_number_of_features_are_part_of_the_version(
    monkeypatch: pytest.MonkeyPatch, changed: tuple[Feature[Any], ...]
) -> None:
    assert feature_set_version(declaring(monkeypatch, changed)) != feature_set_version()


def altered(change: Callable[[FeatureSet], object]) -> FeatureSet:
    """The feature set of a ranker of another time, as JSON brings it back."""
    theirs = deepcopy(feature_set())
    change(theirs)
    stored: FeatureSet = json.loads(json.dumps(theirs))
    return stored


FIRST, LAST = FEATURE_NAMES[0], FEATURE_NAMES[-1]


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (lambda theirs: theirs.pop(LAST), [f"{LAST} is new"]),
        (lambda theirs: theirs.update(user_height={"unit": "cm"}), ["user_height is gone"]),
        (lambda theirs: theirs[FIRST].update(high=2.0), [f"{FIRST}: high was 2.0 and is 1.0"]),
        (lambda theirs: theirs[FIRST].update(unit="percent"), [f"{FIRST}: unit was percent and is share"]),
        (lambda theirs: theirs[FIRST].pop("default"), [f"{FIRST}: default was None and is 0.0"]),
        (lambda theirs: theirs[FIRST].update(code="0"), [f"the code of {FIRST} changed"]),
        (
            lambda theirs: [theirs[name].update(code="0") for name in (LAST, FIRST)],
            [f"the code of {FIRST}, {LAST} changed"],
        ),
        (lambda theirs: theirs.update({FIRST: theirs.pop(FIRST)}), ["the order of the features changed"]),
        (
            lambda theirs: (theirs.pop(LAST), theirs[FIRST].update(low=-1.0)),
            [f"{LAST} is new", f"{FIRST}: low was -1.0 and is 0.0"],
        ),
    ],
    ids=["new", "gone", "range", "unit", "undeclared", "code", "code of two", "order", "two at once"],
)
def test_what_differs_is_named(change: Callable[[FeatureSet], object], sentences: list[str]) -> None:
    theirs = altered(change)
    assert differences(theirs) == sentences
    assert feature_set_version(theirs) != feature_set_version()


@pytest.mark.parametrize("field", feature_set()[FIRST])
def test_no_field_of_a_declaration_changes_unnoticed(field: str) -> None:
    (sentence,) = differences(altered(lambda theirs: theirs[LAST].update({field: "another"})))
    assert LAST in sentence
    assert field in sentence


@dataclass(frozen=True)
class Edit:
    """A change of one definition; and the features whose code it changes, by their names or groups."""

    where: object
    before: str
    after: str
    changes: tuple[str, ...]


EDITS = {
    "its own function": Edit(item_mean_rating, "2 * items.n_ratings", "3 * items.n_ratings", ("item_mean_rating",)),
    "a helper beside it": Edit(
        _covered, "np.float32(1)", "np.float32(2)", ("pair_genre_affinity", "pair_recent_genre_affinity")
    ),
    "a constant beside it": Edit((user_item, "N_STRONGEST"), "50", "51", ("pair_strongest_association",)),
    "a helper of other modules": Edit(
        share,
        "np.maximum(whole, 1)",
        "np.maximum(whole, 2)",
        tuple(
            f"item_{kind}_share" for kind in ("popularity", "recent", "year", "newest_like", "newer_like", "new_like")
        ),
    ),
    "what a like is": Edit((schemas, "LIKED"), "4.0", "4.5", ("items", "users", "user_item", "context")),
    "how a history is read": Edit(histories_of, "item_idx >= 0", "item_idx > 0", ("user_item", "context")),
    "for how long it tires to be shown something": Edit(
        (exposures, "FATIGUE_DAYS"), "30", "31", ("user_item", "context")
    ),
    "its docstring": Edit(
        item_mean_rating,
        '"""Mean of the item\'s ratings; missing without ratings."""',
        '"""Mean of all ratings; missing without ratings."""',
        (),
    ),
    "the docstring of a helper": Edit(
        share,
        '"""Part / whole; 0 of 0 is 0, because nothing happened."""',
        '"""Part / whole; 0 of 0 is zero, since nothing happened."""',
        (),
    ),
    "a comment": Edit(
        item_days_known,
        "days = (items.times - items.first_at) / DAY_S",
        "# days\ndays = (items.times - items.first_at) / DAY_S",
        (),
    ),
    "an empty line": Edit(
        item_counts,
        "recent, year = RECENT_DAYS * DAY_S, YEAR_DAYS * DAY_S\nfirst_at = by_item.first_times(item_ids)",
        "recent, year = RECENT_DAYS * DAY_S, YEAR_DAYS * DAY_S\n\n\nfirst_at = by_item.first_times(item_ids)",
        (),
    ),
    "how a table is stored": Edit(tables, "import pyarrow as pa", "import os\nimport pyarrow as pa", ()),
    "how a tower is trained": Edit(training, "import logging", "import logging\nimport os", ()),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the sources, to be edited and mended."""
    return Project.new(tmp_path_factory.mktemp("sources") / "project")


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_the_code_of_a_feature_is_what_it_reaches_and_not_what_people_read(sources: Project, edit: Edit) -> None:
    before = {name: one["code"] for name, one in feature_set().items()}
    good = source_edits.edit(sources.source, edit.where, edit.before, edit.after)
    try:
        after = sources.call(print_codes).json()
    finally:
        (sources.source / source_edits.file_of(edit.where)).write_text(good, encoding="utf-8")
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {one.name for one in FEATURES if {one.name, one.group} & set(edit.changes)}


def test_the_copy_says_the_same_as_the_sources(sources: Project) -> None:
    assert sources.call(print_codes).json() == {name: one["code"] for name, one in feature_set().items()}
