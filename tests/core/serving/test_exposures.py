"""What users were shown and clicked, followed one by one."""

from random import Random

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.histories import Catalogue
from recsys_core.features.exposures import FATIGUE_S, Exposures, Marks, exposure_log
from recsys_core.feedback.exposures import SHOWN_COLUMNS, Exposed
from recsys_core.feedback.schemas import CLICKS_COLUMNS
from recsys_core.serving.exposures import UserExposures, observations
from recsys_core.serving.requests import Clicked, Shown

T0 = 1_500_000_000
CATALOGUE = Catalogue(item_ids=np.array([10, 20, 30]))


def followed(exposed: Exposed, chance: Random) -> UserExposures:
    """Told of everything in some order, as of clients and queues."""
    users, told = UserExposures(catalogue=CATALOGUE), observations(exposed)
    for user_id, what in chance.sample(told, len(told)):
        if isinstance(what, Shown):
            users.observe_shown(user_id, what)
        else:
            users.observe_click(user_id, what)
    return users


def sorted_marks(marks: Marks) -> list[tuple[int, int]]:
    return sorted(zip(marks.times.tolist(), marks.item_idx.tolist(), strict=True))


def alike(one: Exposures, other: Exposures) -> bool:
    """But for the order of what happened in one second, which means nothing."""
    pairs = ((one.shown, other.shown), (one.clicked, other.clicked))
    same = all(sorted_marks(a) == sorted_marks(b) and (a.offsets == b.offsets).all() for a, b in pairs)
    return same and one.requested_at.tolist() == other.requested_at.tolist()


SECONDS = st.integers(0, 12)
ITEMS = st.sampled_from([10, 20, 30, 99])
USERS = st.sampled_from([1, 2])
SLOTS = st.lists(st.tuples(USERS, ITEMS, SECONDS))
CLICKS = st.lists(st.tuples(USERS, ITEMS, SECONDS))


@given(SLOTS, CLICKS, USERS, SECONDS, st.randoms(use_true_random=False))
def test_it_knows_at_any_moment_what_is_cut_from_the_whole_log(slots, clicks, user_id, at, chance) -> None:  # type: ignore[no-untyped-def]
    """Each request in a second of its own, told in whatever order."""
    shown = pl.DataFrame(
        [(f"r{user}-{second}", user, item, T0 + second) for user, item, second in slots],
        schema=SHOWN_COLUMNS,
        orient="row",
    )
    clicked = pl.DataFrame(
        [(user, item, T0 + second, None, f"e{n}", T0 + second) for n, (user, item, second) in enumerate(clicks)],
        schema=CLICKS_COLUMNS,
        orient="row",
    )
    found = followed(Exposed(shown=shown, clicks=clicked), chance).before(user_id, T0 + at)
    cut = exposure_log(shown, clicked, CATALOGUE).before(np.array([user_id]), np.array([T0 + at]))
    assert alike(found, cut)


def test_an_item_that_a_request_showed_before_counts_once() -> None:
    users = UserExposures(catalogue=CATALOGUE)
    for items, at in (((10, 20, 10), 5), ((10,), 5), ((20, 30), 6)):
        users.observe_shown(1, Shown(request_id="r", item_ids=items, timestamp=T0 + at))
    users.observe_shown(1, Shown(request_id="another", item_ids=(10,), timestamp=T0 + 5))
    users.observe_shown(2, Shown(request_id="r", item_ids=(10,), timestamp=T0 + 5))
    assert sorted_marks(users.before(1, T0 + 9).shown) == [(T0 + 5, 0), (T0 + 5, 0), (T0 + 5, 1), (T0 + 6, 2)]
    assert sorted_marks(users.before(2, T0 + 9).shown) == [(T0 + 5, 0)]


def test_somebody_unnamed_and_somebody_new_were_shown_nothing() -> None:
    users = UserExposures(catalogue=CATALOGUE)
    users.observe_shown(1, Shown(request_id="r", item_ids=(10,), timestamp=T0))
    users.observe_click(1, Clicked(item_id=10, timestamp=T0))
    for user_id in (None, 2):
        found = users.before(user_id, T0 + 9)
        assert not len(found.shown.item_idx)
        assert not len(found.clicked.item_idx)
        assert found.shown.offsets.tolist() == found.clicked.offsets.tolist() == [0, 0]


def test_what_is_too_old_to_count_is_left_out() -> None:
    users = UserExposures(catalogue=CATALOGUE)
    users.observe_shown(1, Shown(request_id="r", item_ids=(10,), timestamp=T0))
    assert len(users.before(1, T0 + FATIGUE_S).shown.item_idx) == 1
    assert len(users.before(1, T0 + FATIGUE_S + 1).shown.item_idx) == 0


def test_a_log_is_told_as_answers_and_clicks() -> None:
    shown = pl.DataFrame([("a", 1, 10, T0), ("a", 1, 20, T0), ("b", 1, 10, T0 + 1)], schema=SHOWN_COLUMNS, orient="row")
    clicks = pl.DataFrame([(1, 10, T0 + 2, "a", "e", T0 + 3)], schema=CLICKS_COLUMNS, orient="row")
    assert observations(Exposed(shown=shown, clicks=clicks)) == [
        (1, Shown(request_id="a", item_ids=(10, 20), timestamp=T0)),
        (1, Shown(request_id="b", item_ids=(10,), timestamp=T0 + 1)),
        (1, Clicked(item_id=10, timestamp=T0 + 2)),
    ]
