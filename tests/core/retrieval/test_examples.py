"""Training examples: which ratings are inputs, and which are targets."""

from collections.abc import Callable

import numpy as np
import pytest

from recsys_core.data.histories import Histories
from recsys_core.retrieval.examples import Examples, denoising, target_weights, temporal, with_clicks
from tests.core.worlds import histories_from, pairs_of, random_histories

Make = Callable[[Histories, np.random.Generator], Examples]


class FixedDraws(np.random.Generator):
    """Draws the same number again and again, so that an example can be worked out by hand."""

    def __init__(self, value: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.value = value

    def random(self, size: int) -> np.ndarray:
        return np.full(size, self.value)


def rows_of(users: Histories) -> set[tuple[int, int, float, int]]:
    columns = (users.rows, users.item_idx, users.ratings, users.timestamps)
    return set(zip(*(column.tolist() for column in columns), strict=True))


def at_times(*times: int) -> Histories:
    """One user who rated item 0, 1, 2, ... at these times."""
    return histories_from([[(item, 4.0, time) for item, time in enumerate(times)]], n_items=len(times))


def shown_and_asked(examples: Examples) -> tuple[list[int], list[int]]:
    return examples.inputs.item_idx.tolist(), examples.targets.item_idx.tolist()


@pytest.mark.parametrize(
    ("times", "draw", "inputs", "targets"),
    [
        ((1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 0.25, [0, 1, 2, 3, 4], [5, 6]),  # sqrt(1/4) is half; 15 % of ten: two
        ((1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 0.82, [0, 1, 2, 3, 4, 5, 6, 7, 8], [9]),  # the history ends first
        ((1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 0.0, [0], [1, 2]),  # two seconds are enough for an input
        ((1, 2, 3, 3, 3, 3, 7, 8, 9, 10), 0.25, [0, 1], [2, 3, 4, 5]),  # the cut falls into a second
        ((1, 2, 3, 4, 5, 6, 8, 8, 8, 8), 0.25, [0, 1, 2, 3, 4], [5, 6, 7, 8, 9]),  # the last second stays whole
        ((5, 5, 5, 5), 0.5, [], [0, 1, 2, 3]),  # all at once: nothing precedes anything
        ((1, 2), 0.99, [0], [1]),
    ],
)
def test_a_temporal_example_by_hand(times: tuple[int, ...], draw: float, inputs: list[int], targets: list[int]) -> None:
    assert shown_and_asked(temporal(at_times(*times), FixedDraws(draw))) == (inputs, targets)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_shown_lies_strictly_before_what_is_asked(seed: int) -> None:
    users = random_histories(seed, n_users=40, n_items=25)
    examples = temporal(users, np.random.default_rng(seed))
    for user in range(users.n_users):
        inputs, targets = examples.inputs.select(np.array([user])), examples.targets.select(np.array([user]))
        if users.lengths[user]:
            assert targets.lengths[0] > 0
        if inputs.lengths[0]:
            assert inputs.timestamps.max() < targets.timestamps.min()


@pytest.mark.parametrize("seed", range(20))
def test_ratings_of_one_second_are_never_parted(seed: int) -> None:
    users = random_histories(seed, n_users=40, n_items=25)
    examples = temporal(users, np.random.default_rng(seed))
    whole = set(zip(users.rows.tolist(), users.timestamps.tolist(), strict=True))
    for part in (examples.inputs, examples.targets):
        seconds = set(zip(part.rows.tolist(), part.timestamps.tolist(), strict=True))
        of_them = sum((int(row), int(at)) in seconds for row, at in zip(users.rows, users.timestamps, strict=True))
        assert seconds <= whole
        assert of_them == len(part.item_idx)


@pytest.mark.parametrize("make", [temporal, denoising])
@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_both_shown_and_asked(make: Make, seed: int) -> None:
    users = random_histories(seed, n_users=40, n_items=25)
    examples = make(users, np.random.default_rng(seed))
    inputs, targets = pairs_of(examples.inputs), pairs_of(examples.targets)
    assert not inputs & targets
    assert inputs | targets <= pairs_of(users)


def test_denoising_hides_between_a_fifth_and_four_fifths_and_asks_for_all_of_it() -> None:
    users = histories_from([[(item, 4.0, item) for item in range(2_000)]] * 50, n_items=2_000)
    examples = denoising(users, np.random.default_rng(0))
    hidden_share = examples.targets.lengths / users.lengths
    assert 0.15 < hidden_share.min() < 0.3
    assert 0.7 < hidden_share.max() < 0.85
    assert np.array_equal(examples.inputs.lengths + examples.targets.lengths, users.lengths)


@pytest.mark.parametrize("make", [temporal, denoising])
def test_parts_keep_each_users_stars_and_times(make: Make) -> None:
    users = random_histories(3, n_users=30, n_items=20)
    examples = make(users, np.random.default_rng(1))
    for part in (examples.inputs, examples.targets):
        assert np.array_equal(part.user_ids, users.user_ids)
        assert rows_of(part) <= rows_of(users)


@pytest.mark.parametrize("make", [temporal, denoising])
def test_users_without_history_give_empty_examples(make: Make) -> None:
    some = make(histories_from([[], [(0, 4.0, 1), (1, 4.0, 2)], []], n_items=2), np.random.default_rng(0))
    assert some.inputs.lengths[[0, 2]].tolist() == some.targets.lengths[[0, 2]].tolist() == [0, 0]
    none = make(histories_from([[], []], n_items=2), np.random.default_rng(0))
    assert none.inputs.lengths.tolist() == none.targets.lengths.tolist() == [0, 0]


def test_target_weights_by_hand() -> None:
    one = [(0, 4.0, 1), (1, 3.5, 2), (2, 5.0, 3), (3, 0.5, 4)]
    targets = histories_from([one, [], [(0, 4.5, 1)]], n_items=4)
    # Four targets: over the root of four. One target: as it is.
    examples = Examples(inputs=targets, targets=targets)
    assert target_weights(examples, other_weight=0.1).tolist() == pytest.approx([0.5, 0.05, 0.5, 0.05, 1.0])
    assert target_weights(examples, other_weight=0.0).tolist() == [0.5, 0.0, 0.5, 0.0, 1.0]
    nobody = histories_from([[]], n_items=1)
    assert target_weights(Examples(inputs=nobody, targets=nobody), other_weight=0.1).shape == (0,)


def test_clicks_are_asked_for_with_their_own_weight_and_never_shown() -> None:
    inputs = histories_from([[(0, 4.0, 10)], []], n_items=6)
    targets = histories_from([[(1, 5.0, 20)], [(2, 3.0, 5)]], n_items=6)
    clicked = histories_from([[(3, 0.25, 9), (4, 0.5, 11)], [(5, 0.25, 1)]], n_items=6)
    examples = Examples(inputs=inputs, targets=targets)
    later = with_clicks(examples, clicked, only_later=True)
    assert later.inputs is inputs
    assert later.targets.item_idx.tolist() == [1, 4, 2, 5], "the click at 9 lies before what is inputs"
    assert later.targets.offsets.tolist() == [0, 2, 4]
    assert target_weights(later, other_weight=0.1) == pytest.approx(np.array([1, 0.5, 0.1, 0.25]) / np.sqrt(2))
    anytime = with_clicks(examples, clicked, only_later=False)
    assert anytime.targets.item_idx.tolist() == [1, 3, 4, 2, 5]


def test_without_clicks_nothing_moves() -> None:
    users = histories_from([[(0, 4.0, 10), (1, 2.0, 20)]], n_items=2)
    examples = Examples(inputs=users, targets=users)
    none = with_clicks(examples, histories_from([[]], n_items=2), only_later=False)
    assert none.targets.item_idx.tolist() == [0, 1]
    assert target_weights(none, 0.2).tolist() == target_weights(examples, 0.2).tolist()
