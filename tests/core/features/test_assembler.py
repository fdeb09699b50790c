"""The block that the ranker reads: order, bounds, defaults, and that a user's numbers are the user's own."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_core.data.histories import Catalogue
from recsys_core.days import DAY_S
from recsys_core.features.assembler import (
    FRESH,
    MISSING,
    STALE,
    FeatureBlock,
    missing_shares,
    state_counts,
    user_feature_values,
)
from recsys_core.features.item_inputs import ItemInputs, item_inputs
from recsys_core.features.registry import DEFAULTS, FEATURE_NAMES, FEATURES, features_of, names_of
from recsys_core.features.schemas import EXAMPLE_KEYS, example_schema
from recsys_core.features.tables import user_features
from recsys_core.schema_errors import violations
from tests import tiny_world
from tests.core import embedded
from tests.core.features.asked import Asked, ask, column, equal, neighbours_of, no_user_parts, side_of
from tests.core.features.conftest import at_the_test
from tests.core.features.moments import futures
from tests.core.tables_by_hand import shuffled
from tests.core.worlds import Rating, histories_from

OF_THE_LIST = ("pair_retrieval_rank", "pair_retrieval_z")
"""What depends on the user's other candidates."""

AT = {name: at for at, name in enumerate(FEATURE_NAMES)}
ITEM, USER = names_of("item"), names_of("user")
AS_OF = 1_000_000_000
FOUR_YEARS = 1_461
"""Days after which what is counted of items counts as stale."""

SIDE = replace(
    side_of(
        [[1, 0], [0, 1], [1, 1], [2, 1]],
        shares=[[1, 0], [0, 1], [0, 0], [1, 0]],
        years=[1990, 2000, float("nan"), 2010],
    ),
    as_of=AS_OF,
)
FAN = neighbours_of(histories_from([[(item, 5.0, item) for item in range(4)]], 4))
"""Somebody who liked everything, so that nobody with a history is like nobody."""
SIDE = replace(SIDE, learned=replace(SIDE.learned, neighbours=FAN))
OF_A_HISTORY = {
    *USER[1:],
    *(one.name for one in FEATURES if one.unit in {"cosine", "EASE weight", "log(1 + lift)"}),
    "pair_neighbour_share",
    *("pair_genre_affinity", "pair_recent_genre_affinity", "pair_year_distance", "context_days_since_last"),
}
"""What cannot be known of somebody who has rated nothing."""

UNKNOWN = replace(SIDE, features=np.where(np.arange(4)[:, None] == 1, np.float32(np.nan), SIDE.features))
"""Item 1 stands in the catalogue, but not in `item_features`."""


def asked_by_hand(history: Sequence[Rating], requested_at: int = AS_OF + DAY_S, side: ItemInputs = SIDE) -> Asked:
    """One user, who is offered items 0, 1 and 2 and nothing in a fourth place."""
    one, users = np.ones((1, 2), dtype=np.float32), histories_from([history], 4)
    return Asked(
        users=users,
        requested_at=np.array([requested_at]),
        items=pl.DataFrame(),
        side=side,
        user_parts=replace(no_user_parts(users, side), trained=one, ease=one),
        item_idx=np.array([[0, 1, 2, -1]]),
    )


def rows_of(block: FeatureBlock, asked: Asked) -> pl.DataFrame:
    """The candidates as `ranking_examples` has them."""
    present = asked.item_idx >= 0
    places = np.argwhere(present)
    keys = {"slice": "test", "user_id": places[:, 0], "item_id": places[:, 1], "label": np.int8(0), "known_at": AS_OF}
    features = {name: block.values[present][:, at] for name, at in AT.items()}
    return pl.DataFrame(keys | features).cast({**EXAMPLE_KEYS})


def in_state(block: FeatureBlock, state: int, place: int = 0) -> set[str]:
    """The features of a candidate of the first user that are in a state."""
    return {name for name, at in AT.items() if block.states[0, place, at] == state}


def test_columns_follow_the_registry(asked: Asked) -> None:
    block = asked.block()
    assert block.values.shape == block.states.shape == (*asked.item_idx.shape, len(FEATURES))
    assert (block.values.dtype, block.states.dtype) == (np.float32, np.uint8)
    for name, values in zip(ITEM, asked.side.features.T, strict=True):
        assert equal(column(block, name)[:, 0], values[asked.item_idx[:, 0]]), name
    for one in features_of("user-item"):
        present = asked.item_idx >= 0
        assert equal(column(block, one.name)[present], asked.pairs.value(one)[present]), one.name
    for one in features_of("context"):
        assert equal(column(block, one.name)[:, 0], one(asked.requests)), one.name
    for at, name in enumerate(USER):
        assert equal(column(block, name)[:, 0], user_feature_values(asked.pairs)[:, at]), name


def test_user_values_from_the_table_are_those_from_the_state_to_the_bit(asked_of_people: Asked) -> None:
    """Training reads a table that was made from all ratings; a request counts the state of the one who asks."""
    asked = asked_of_people
    table = user_features(embedded.ratings(), asked.items, asked.users.user_ids, asked.requested_at)
    values = table.select(pl.col(USER).fill_null(float("nan"))).to_numpy()
    assert equal(np.ascontiguousarray(values), user_feature_values(asked.pairs))
    from_table = asked.block(values)
    assert equal(from_table.values, asked.block().values)
    assert equal(from_table.states, asked.block().states)


def test_every_feature_of_the_tiny_world_keeps_its_declaration(asked: Asked) -> None:
    assert violations(rows_of(asked.block(), asked), example_schema()) == []


def test_every_feature_of_the_embedded_data_keeps_its_declaration(asked_of_people: Asked) -> None:
    assert violations(rows_of(asked_of_people.block(), asked_of_people), example_schema()) == []


def test_what_may_be_missing_is_missing_somewhere_and_nothing_is_constant(asked_of_people: Asked) -> None:
    """A feature that says the same of everything would be a fault of its code, or a waste."""
    rows = rows_of(asked_of_people.block(), asked_of_people)
    for one in FEATURES:
        values = rows[one.name].fill_nan(None).drop_nulls()
        assert values.n_unique() > 5, one.name
        assert values.is_finite().all()


def test_without_a_candidate_all_is_missing(asked: Asked) -> None:
    block, absent = asked.block(), asked.item_idx < 0
    assert absent.any()
    assert np.isnan(block.values[absent]).all()
    assert (block.states[absent] == MISSING).all()


def test_the_order_of_the_input_changes_no_bit(asked: Asked) -> None:
    again = at_the_test(shuffled(tiny_world.ratings()), shuffled(tiny_world.movies())).block()
    assert equal(again.values, asked.block().values)


@pytest.mark.slow
@pytest.mark.parametrize("end", [900_000_000, 1_100_000_000, 1_400_000_000])
def test_rows_appended_to_the_future_change_no_bit_of_any_feature(end: int) -> None:
    """Of anybody who was there then, asked at the end of the known past or in the second of a rating before it."""
    ratings, movies = embedded.ratings(), embedded.movies()
    past = ratings.filter(pl.col("timestamp") < end)
    asked = past.group_by("user_id").agg(
        requested_at=pl.when(pl.col("user_id").first() % 2 == 0).then(end).otherwise(pl.col("timestamp").max())
    )
    requests = asked.sort("user_id").head(60)
    expected = ask(past, movies, end, requests).block()
    assert np.isfinite(column(expected, "pair_liked_association")).any()
    for future in futures(end):
        again = ask(pl.concat([future, past]), movies, end, requests).block()
        assert equal(again.values, expected.values)
        assert equal(again.states, expected.states)


def test_what_comes_after_the_request_changes_no_bit(asked: Asked) -> None:
    """The stars of all targets, and all that is said after them, are swapped for others."""
    ratings = tiny_world.ratings()
    ends = pl.DataFrame({"user_id": asked.users.user_ids, "end": asked.requested_at})
    unknown = (pl.col("timestamp") >= pl.col("end")) & (pl.col("timestamp") >= asked.side.as_of)
    # Likes stay likes, so that the same users are asked.
    other = pl.when(unknown & (pl.col("rating") >= 4)).then(9 - pl.col("rating")).otherwise("rating").cast(pl.Float32)
    changed = ratings.join(ends, on="user_id", how="left").with_columns(rating=other).select(ratings.columns)
    assert not changed.equals(ratings)
    assert equal(at_the_test(changed, tiny_world.movies()).block().values, asked.block().values)


def test_a_user_alone_gets_the_bits_of_the_batch(asked_of_people: Asked) -> None:
    """Training sees many users at once, serving one: the same numbers, or the ranker reads something else."""
    block = asked_of_people.block()
    for row in range(asked_of_people.users.n_users):
        alone = asked_of_people.only([row]).block()
        assert equal(alone.values, block.values[[row]])
        assert equal(alone.states, block.states[[row]])
    backwards = list(range(asked_of_people.users.n_users))[::-1]
    assert equal(asked_of_people.only(backwards).block().values, block.values[::-1])


def test_other_candidates_change_only_what_compares_them(asked: Asked) -> None:
    first = asked.only(range(asked.users.n_users), slice(0, 1)).block()
    for name in set(FEATURE_NAMES) - set(OF_THE_LIST):
        assert equal(column(first, name), column(asked.block(), name)[:, :1]), name


@pytest.mark.parametrize("n_users", [0, 1])
def test_few_users_are_no_exception(asked: Asked, n_users: int) -> None:
    block = asked.only(range(n_users)).block()
    assert block.values.shape == (n_users, asked.item_idx.shape[1], len(FEATURES))
    assert n_users or state_counts(block) == {}


def test_where_everything_is_known_everything_is_fresh() -> None:
    history = [(3, 5.0, AS_OF - 9), (1, 1.0, AS_OF)]
    block = asked_by_hand(history).block()
    assert in_state(block, FRESH) == set(FEATURE_NAMES)
    assert np.isfinite(block.values[0, 0]).all()


def test_an_empty_history_is_nothing_rated_and_the_rest_of_the_user_is_missing() -> None:
    block = asked_by_hand([]).block()
    assert in_state(block, MISSING) == OF_A_HISTORY
    assert column(block, "user_n_ratings")[0, :3].tolist() == [0, 0, 0]
    assert np.isnan(block.values[0, 0, [AT[name] for name in OF_A_HISTORY]]).all()
    assert np.isfinite(block.values[0, 0, [AT[name] for name in ITEM]]).all()
    assert state_counts(block) == {name: {"missing": 3} for name in FEATURE_NAMES if name in OF_A_HISTORY}
    assert violations(rows_of(block, asked_by_hand([])), example_schema()) == []


def test_unknown_users_and_those_who_rated_nothing_of_the_catalogue_are_answered_alike() -> None:
    """Of a new user nothing stands in the ratings; of another only a movie that came after the snapshot."""
    last, stranger = 10**6, 10**6 + 1
    ratings, as_of = tiny_world.ratings(), tiny_world.FIRST_DAY + 2000 * tiny_world.DAY
    late = pl.DataFrame([(last, 1, 5.0, as_of + 5)], schema=ratings.schema, orient="row")
    requests = pl.DataFrame({"user_id": [11, last, stranger], "requested_at": as_of + 9})
    asked = ask(pl.concat([ratings, late]), tiny_world.movies(), as_of, requests)
    assert asked.users.lengths.tolist()[1:] == [0, 0]
    block = asked.block()
    for row in (1, 2):
        states = block.states[row, 0]
        assert {name for name, at in AT.items() if states[at] == MISSING} >= OF_A_HISTORY
        assert column(block, "user_n_ratings")[row, 0] == 0
    values = block.values[1:, 0, [AT[name] for name in USER]]
    assert equal(values[0], values[1])


def test_an_item_that_was_never_counted_is_read_as_its_declared_defaults() -> None:
    """Missing is a state of its own; what the ranker reads instead is what it would expect of a newcomer."""
    history = [(3, 5.0, AS_OF - 9), (0, 1.0, AS_OF)]
    block = asked_by_hand(history, side=UNKNOWN).block()
    assert in_state(block, MISSING, place=1) == set(ITEM)
    assert in_state(block, MISSING, place=0) == set()
    defaults = DEFAULTS[[AT[name] for name in ITEM]]
    assert equal(block.values[0, 1, [AT[name] for name in ITEM]], defaults)
    missing = {name for name, default in zip(ITEM, defaults, strict=True) if np.isnan(default)}
    assert missing == {"item_like_share", "item_mean_rating", "item_days_known", "item_age_years"}
    assert violations(rows_of(block, asked_by_hand(history)), example_schema()) == []
    counts = state_counts(block)
    assert {name: counts[name] for name in ITEM} == {name: {"missing": 1} for name in ITEM}


def test_an_item_that_item_features_lacks_comes_to_the_ranker_as_unknown(asked: Asked) -> None:
    """By way of the table: an item of the catalogue loses its row."""
    lost = int(asked.item_idx[1, 0])
    ids = asked.items["item_id"].to_numpy()
    items = asked.items.filter(pl.col("item_id") != ids[lost])
    side = item_inputs(items, ITEM, Catalogue(item_ids=ids), asked.side.learned, asked.side.as_of)
    block, whole = replace(asked, side=side).block(), asked.block()
    assert (block.states[1, 0, [AT[name] for name in ITEM]] == MISSING).all()
    other = asked.item_idx != lost
    item_columns = [AT[name] for name in ITEM]
    assert equal(block.values[other][:, item_columns], whole.values[other][:, item_columns])


def test_a_movie_without_year_and_genres_is_missing_there_and_nowhere_else() -> None:
    """Item 2 has neither; the history has both."""
    side = replace(SIDE, features=SIDE.features.copy())
    side.features[2, ITEM.index("item_age_years")] = np.nan
    block = asked_by_hand([(3, 5.0, AS_OF - 9), (0, 1.0, AS_OF)], side=side).block()
    gaps = {"item_age_years", "pair_genre_affinity", "pair_recent_genre_affinity", "pair_year_distance"}
    assert in_state(block, MISSING, place=2) == gaps
    assert np.isnan(block.values[0, 2, [AT[name] for name in gaps]]).all()
    assert {name: n for name, n in state_counts(block).items() if name in gaps} == {
        name: {"missing": 1} for name in gaps
    }


@pytest.mark.parametrize(("seconds", "is_stale"), [(-1, False), (0, False), (1, True), (10 * 365 * DAY_S, True)])
def test_a_snapshot_older_than_declared_is_stale_and_read_as_its_defaults(seconds: int, *, is_stale: bool) -> None:
    history = [(3, 5.0, AS_OF - 9), (1, 1.0, AS_OF)]
    block = asked_by_hand(history, AS_OF + FOUR_YEARS * DAY_S + seconds).block()
    assert in_state(block, STALE) == (set(ITEM) if is_stale else set())
    values = block.values[0, :3, : len(ITEM)]
    assert equal(values, np.tile(DEFAULTS[: len(ITEM)] if is_stale else SIDE.features[0], (3, 1)))
    assert state_counts(block).get("item_like_share", {}) == ({"stale": 3} if is_stale else {})
    assert not in_state(block, STALE) & set(USER), "what is computed at the request is never old"


def test_what_is_missing_does_not_grow_stale() -> None:
    block = asked_by_hand([(3, 5.0, AS_OF)], AS_OF + 2 * FOUR_YEARS * DAY_S, UNKNOWN).block()
    assert in_state(block, MISSING, place=1) >= set(ITEM)
    assert in_state(block, STALE, place=0) == set(ITEM)
    assert state_counts(block)["item_like_share"] == {"missing": 1, "stale": 2}


def test_each_request_has_an_age_of_its_own(asked: Asked) -> None:
    late = asked.requested_at.copy()
    late[2] = asked.side.as_of + (FOUR_YEARS + 1) * DAY_S
    is_stale = (replace(asked, requested_at=late).block().states == STALE).any(axis=(1, 2))
    assert np.flatnonzero(is_stale).tolist() == [2]


def test_a_request_from_before_the_snapshot_is_not_stale() -> None:
    """Training asks at most at the cut-off; an answer for an earlier moment is no fault of the snapshot's age."""
    assert in_state(asked_by_hand([(3, 5.0, 9)], 10).block(), STALE) == set()


def test_places_without_a_candidate_do_not_count_as_missing() -> None:
    everything_else = asked_by_hand([(3, 5.0, AS_OF - 9), (1, 1.0, AS_OF)])
    block = replace(everything_else, item_idx=np.array([[0, 1, -1, -1]])).block()
    assert (block.states[0, 2:] == MISSING).all()
    assert state_counts(block) == {}


def test_a_fresh_value_is_a_number_and_any_other_its_default(asked_of_people: Asked) -> None:
    block, present = asked_of_people.block(), asked_of_people.item_idx >= 0
    is_fresh = block.states == FRESH
    assert np.isfinite(block.values[is_fresh]).all()
    lacking = present[..., None] & ~is_fresh
    assert lacking.any()
    assert equal(block.values[lacking], np.broadcast_to(DEFAULTS, lacking.shape)[lacking])


FIRST, SECOND, THIRD = FEATURE_NAMES[:3]


def test_null_and_nan_both_count_and_the_worst_comes_first() -> None:
    table = pl.DataFrame({"slice": ["a"] * 4, FIRST: [1.0, 2.0, 3.0, 4.0], SECOND: [None, float("nan"), 1.0, 2.0]})
    assert missing_shares(table).rows() == [(SECOND, 0.5), (FIRST, 0.0)]


def test_equals_keep_the_order_of_the_registry() -> None:
    table = pl.DataFrame({THIRD: [1.0], FIRST: [1.0], SECOND: [1.0]})
    assert missing_shares(table)["feature"].to_list() == [FIRST, SECOND, THIRD]


def test_a_table_without_rows_misses_nothing() -> None:
    assert missing_shares(pl.DataFrame(schema={FIRST: pl.Float32})).rows() == [(FIRST, 0.0)]


def test_a_table_without_features_has_none() -> None:
    assert missing_shares(pl.DataFrame({"slice": ["a"]})).is_empty()
