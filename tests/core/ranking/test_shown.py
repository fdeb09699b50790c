"""Shown slots teach the ranker: only where the outcome was known before the exam, and where they teach an order."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import TEST, VALIDATION
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.features.schemas import EXAMPLE_KEYS
from recsys_core.feedback.outcomes import OUTCOMES_COLUMNS
from recsys_core.feedback.records import pack_features
from recsys_core.ranking.ranker import fit_ranker
from recsys_core.ranking.shown import is_shown, shown_rows
from tests.core.worlds import QUICK_RANKER, TinyRun

Slot = dict[str, Any]


def slot(position: int, label: int, **changes: Any) -> Slot:
    read = np.full(len(FEATURE_NAMES), position, dtype=np.float32)
    values = {
        "request_id": "r1",
        "user_id": 7,
        "item_id": 100 + position,
        "position": position,
        "release": "v1",
        "policy": "greedy",
        "propensity": 1.0,
        "feature_set": feature_set_version(),
        "features": pack_features(read),
        "feature_states": bytes(len(FEATURE_NAMES)),
        "shown_at": 0,
        "settled_at": 1,
        "label": label,
        "event_id": None,
    }
    return values | changes


def rows_of(tiny: TinyRun, *slots: Slot) -> pl.DataFrame:
    return shown_rows(pl.DataFrame(slots, schema=OUTCOMES_COLUMNS), tiny.splits)


def test_a_request_is_a_slice_of_its_own_for_every_exam_after_it(tiny: TinyRun) -> None:
    rows = rows_of(tiny, slot(2, 1), slot(1, 0))
    assert rows.columns == [*EXAMPLE_KEYS, *FEATURE_NAMES]
    assert rows["slice"].unique(maintain_order=True).to_list() == [
        "validation_holdout_shown/r1", "test_holdout_shown/r1"
    ]  # fmt: skip
    assert rows.select("item_id", "label", FEATURE_NAMES[-1]).rows() == [(101, 0, 1.0), (102, 1, 2.0)] * 2
    assert rows.select(is_shown()).to_series().all()
    assert not tiny.examples.rows.select(is_shown()).to_series().any()


def test_an_outcome_that_was_not_settled_before_an_exam_does_not_teach_for_it(tiny: TinyRun) -> None:
    first, second = tiny.splits.fit_end(VALIDATION), tiny.splits.fit_end(TEST)
    for settled_at, n_exams in ((first, 2), (first + 1, 1), (second, 1), (second + 1, 0)):
        rows = rows_of(tiny, slot(1, 0, settled_at=settled_at), slot(2, 1, settled_at=settled_at))
        assert rows["slice"].n_unique() == n_exams, settled_at


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"label": 0}, id="none was liked"),
        pytest.param({"label": 1}, id="all were liked"),
        pytest.param({"user_id": None}, id="of nobody we know"),
        pytest.param({"feature_set": "another"}, id="with other features"),
    ],
)
def test_what_teaches_no_order_is_left_out(tiny: TinyRun, changes: Slot) -> None:
    assert rows_of(tiny, slot(1, 0), slot(2, 1)).height == 4
    left = rows_of(tiny, slot(1, 0) | changes, slot(2, 1) | changes)
    assert left.is_empty()
    assert left.columns == [*EXAMPLE_KEYS, *FEATURE_NAMES]


@pytest.mark.parametrize("n_features", [0, 2, len(FEATURE_NAMES) + 1])
def test_a_slot_with_another_number_of_features_is_no_lesson(tiny: TinyRun, n_features: int) -> None:
    odd = slot(3, 0, features=bytes(4 * n_features), feature_states=bytes(n_features))
    assert rows_of(tiny, slot(1, 0), slot(2, 1), odd).equals(rows_of(tiny, slot(1, 0), slot(2, 1)))


def test_with_nothing_shown_the_examples_are_as_they_were(tiny: TinyRun) -> None:
    none = shown_rows(pl.DataFrame(schema=OUTCOMES_COLUMNS), tiny.splits)
    assert tiny.examples.with_shown(none).rows.equals(tiny.examples.rows)


def test_the_ranker_learns_from_what_was_shown(tiny: TinyRun) -> None:
    """Of the slots of many requests, those with the lesser values were liked: a ranker that learns must turn round."""
    requests = [
        slot(position, int(position > 5), request_id=f"r{n}", user_id=n)
        for n in range(200)
        for position in range(1, 11)
    ]
    rows = rows_of(tiny, *requests)
    both = tiny.examples.with_shown(rows)
    assert both.nearest_holdout(TEST) == tiny.splits.holdouts(TEST)[-1], "what was shown is none"
    lessons = both.lessons(TEST)
    assert lessons.filter(is_shown()).height == 2000
    taught = fit_ranker(lessons, tiny.examples.feature_set, QUICK_RANKER)
    probe = np.array([[position] * len(FEATURE_NAMES) for position in range(1, 11)], dtype=np.float32)
    scores = taught.score(probe)
    assert scores[5:].min() > scores[:5].max()
    assert taught.n_candidates == tiny.ranker.n_candidates
