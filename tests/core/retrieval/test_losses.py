"""The losses: the sampled one means the full one, and is so on average because of its correction, not by luck."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from recsys_core.arrays import Float64s
from recsys_core.data.histories import Histories
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.examples import Examples, denoising, temporal, with_clicks
from recsys_core.retrieval.losses import Negatives, full_softmax, sampled_scores, sampled_softmax, sampler_of
from recsys_core.retrieval.towers import TwoTower, history_batch
from recsys_core.retrieval.training import _loss, train_retrieval_model
from tests.core.worlds import QUICK_TRAINING, TinyRun, histories_from

Change = Callable[[Negatives], Negatives]

WEIGHT = 0.1
SAMPLED = QUICK_TRAINING.model_copy(update={"full_softmax_until": 0, "n_negatives": 64})


def towers_of(n_items: int, seed: int = 0, dim: int = 6) -> TwoTower:
    """Towers with scores of some size, so that a softmax over them is far from flat."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    popularity = rng.normal(size=n_items).astype(np.float32)
    towers = TwoTower(rng.random((n_items, 3)).astype(np.float32), popularity, dim)
    with torch.no_grad():
        for parameter in towers.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return towers


def zipf_histories(seed: int, n_users: int, n_items: int) -> Histories:
    """A few items in nearly every history, most in few: popularity that a correction has to make up for."""
    rng = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, n_items + 1)
    users = []
    for n in rng.integers(3, 9, n_users):
        items = rng.choice(n_items, n, replace=False, p=popularity / popularity.sum())
        users.append([(int(item), rng.integers(1, 11) / 2, 10**9 + 5 * at) for at, item in enumerate(items)])
    return histories_from(users, n_items)


def whole_catalogue(users: Histories, examples: Examples) -> Negatives:
    """Each item drawn once, as was to be expected."""
    everything = np.arange(users.n_items)
    drawn = sampler_of(users, 4).with_expectations(examples, everything, everything[:0])
    ones = np.ones(users.n_items)
    return replace(drawn, n_drawn=ones.astype(np.int64), n_expected=ones)


def gradient(towers: TwoTower, loss: torch.Tensor) -> Float64s:
    towers.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    found = [one.grad for one in towers.parameters() if one.grad is not None]
    dense = [one.to_dense() if one.is_sparse else one for one in found]
    return np.concatenate([one.numpy().ravel() for one in dense]).astype(np.float64)


def both_gradients(towers: TwoTower, examples: Examples, negatives: Negatives) -> tuple[Float64s, Float64s]:
    """Of the full and of the sampled loss, by every parameter."""
    users = history_batch(examples.inputs)
    full = gradient(towers, full_softmax(towers.users(users), towers.items(), examples, WEIGHT))
    sampled = gradient(
        towers, sampled_softmax(towers.users(users, only_needed=True), towers, examples, negatives, WEIGHT)
    )
    return full, sampled


def as_drawn(negatives: Negatives) -> Negatives:
    return negatives


def without_correction(negatives: Negatives) -> Negatives:
    """Each draw counts alike, and all together as much as they should."""
    return replace(negatives, n_expected=np.full(len(negatives.item_idx), negatives.n_drawn.sum() / 50))


def with_flipped_sign(negatives: Negatives) -> Negatives:
    even = negatives.n_drawn.sum() / 50
    return replace(negatives, n_expected=even**2 / negatives.n_expected)


def relative_error(n_negatives: int, change: Change, n_batches: int = 250) -> float:
    """How far the mean gradient over random batches lies from that of the full softmax, in its length."""
    users, towers, rng = zipf_histories(1, n_users=60, n_items=50), towers_of(50), np.random.default_rng(2)
    sampler = sampler_of(users, n_negatives)
    full, sampled = np.zeros(0), np.zeros(0)
    for turn in range(n_batches):
        chosen = users.select(np.sort(rng.permutation(users.n_users)[:20]))
        examples = (temporal if turn % 2 else denoising)(chosen, rng)
        one, other = both_gradients(towers, examples, change(sampler.draw(examples, rng)))
        full, sampled = (one, other) if turn == 0 else (full + one, sampled + other)
    return float(np.linalg.norm(sampled - full) / np.linalg.norm(full))


def every_draw(batch: Histories) -> Iterator[tuple[float, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """(chance, drawn from the batch, drawn from the catalogue) of two and one draws, all that are possible."""
    one = [
        (1 / batch.n_users / batch.lengths[row], int(item))
        for row, item in zip(batch.rows, batch.item_idx, strict=True)
    ]
    for (p, first), (q, second), third in product(one, one, range(batch.n_items)):
        yield p * q / batch.n_items, np.array([first, second]), np.array([third])


def small_world() -> tuple[Histories, Examples]:
    """Five users; the first is asked for item 1 after item 0 and rates item 2 later; nobody rated item 6."""
    users = histories_from(
        [
            [(0, 5.0, 1), (1, 4.0, 2), (2, 5.0, 3)],
            [(0, 4.0, 1), (3, 4.0, 2)],
            [(0, 2.0, 1), (1, 4.0, 2)],
            [(3, 4.0, 1), (4, 5.0, 2), (5, 1.0, 3)],
            [(0, 4.0, 1), (2, 4.0, 2)],
        ],
        n_items=7,
    )
    inputs = [[(0, 5.0, 1)], *([(int(users.item_idx[at]), 4.0, 1)] for at in users.offsets[1:-1])]
    targets = [[(1, 4.0, 2)], [(3, 4.0, 2)], [(1, 4.0, 2)], [(4, 5.0, 2), (5, 1.0, 3)], [(2, 4.0, 2)]]
    return users, Examples(inputs=histories_from(inputs, 7), targets=histories_from(targets, 7))


def pair_of(examples: Examples, other: int) -> Examples:
    rows = np.array([0, other])
    return replace(examples, inputs=examples.inputs.select(rows), targets=examples.targets.select(rows))


BORN = np.array([0, 0, 9, 0, 2, 2, 3])
"""First ratings in the small world, whose first user is asked for something in second 2, as two of the others are:
items 2 and 6 were not there yet, item 2 although the user rates it later."""


def unborn_world() -> tuple[Histories, Examples]:
    users, examples = small_world()
    return users, replace(examples, first_rated_at=BORN)


def test_an_item_first_rated_after_the_last_target_has_no_mass_and_no_gradient_in_the_full_loss() -> None:
    """Nobody could have chosen it: to call it a negative would teach that new items are disliked."""
    _, examples = unborn_world()
    one, towers = pair_of(examples, 1), towers_of(7)  # of both the last target is in second 2
    items = towers.items().detach().requires_grad_()
    vectors = towers.users(history_batch(one.inputs)).detach()
    loss = full_softmax(vectors, items, one, WEIGHT)
    loss.backward()  # type: ignore[no-untyped-call]
    assert items.grad is not None
    touched = items.grad.abs().sum(dim=1).numpy() > 0
    assert touched.tolist() == [False, True, False, True, True, True, False], "item 0 was shown to both"
    scores = (vectors @ items.T).detach().numpy()
    expected = []
    for row, targets in enumerate([1, 3]):
        allowed = [item for item in range(1, 7) if BORN[item] <= 2]
        expected.append(np.log(np.exp(scores[row, allowed]).sum()) - scores[row, targets])
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_an_item_first_rated_in_the_second_of_the_last_target_is_a_negative() -> None:
    _, examples = small_world()
    masses = []
    for second in (2, 3):
        made = replace(pair_of(examples, 1), first_rated_at=np.where(np.arange(7) == 4, second, 0))
        items = towers_of(7).items().detach().requires_grad_()
        full_softmax(torch.ones(2, 7), items, made, WEIGHT).backward()  # type: ignore[no-untyped-call]
        assert items.grad is not None
        masses.append(items.grad[4].abs().sum().item())
    assert masses[0] > 0 == masses[1]


def test_a_target_that_was_clicked_before_its_first_rating_stays_in_both_losses() -> None:
    """The only click is older than any rating of the item; it is asked for all the same."""
    users = histories_from([[(0, 5.0, 1), (1, 5.0, 2)], [(0, 4.0, 1), (3, 4.0, 2)]], 5)
    inputs = histories_from([[(0, 5.0, 1)], [(0, 4.0, 1)]], 5)
    targets = histories_from([[(1, 5.0, 2)], [(3, 4.0, 2)]], 5)
    clicked = histories_from([[(4, 0.5, 2)], []], 5)
    born = replace(Examples(inputs=inputs, targets=targets), first_rated_at=np.array([0, 0, 9, 0, 9]))
    examples = with_clicks(born, clicked, only_later=True)
    assert examples.is_not_yet_rated(np.array([0, 1]), np.array([4, 4])).tolist() == [True, True]
    towers = towers_of(5)
    vectors = towers.users(history_batch(examples.inputs))
    items = towers.items()
    full = full_softmax(vectors, items, examples, WEIGHT)
    assert full.item() < 50, "a masked target would cost as much as the least of all floats"
    own = (vectors @ items.T)[0]
    shares = torch.log_softmax(own[[1, 3, 4]], dim=0)  # neither what was shown nor the unborn item 2
    other = torch.log_softmax((vectors @ items.T)[1, [1, 3]], dim=0)  # of the other user item 4 is unborn
    weights = np.array([1, 0.5, 1]) / np.sqrt([2, 2, 1])
    by_hand = -(weights[0] * shares[0] + weights[1] * shares[2] + weights[2] * other[1]) / weights.sum()
    assert full.item() == pytest.approx(by_hand.item(), rel=1e-5)
    both = both_gradients(towers, examples, whole_catalogue(users, examples))
    np.testing.assert_allclose(both[1], both[0], atol=1e-6)


def test_an_item_first_rated_after_the_last_target_has_no_mass_in_the_sampled_loss() -> None:
    users, examples = unborn_world()
    for seed in range(10):
        negatives = sampler_of(users, 200).draw(examples, np.random.default_rng(seed))
        assert {2, 6} <= set(negatives.item_idx.tolist())
        towers = towers_of(7)
        scores = sampled_scores(towers.users(history_batch(examples.inputs)), towers, examples, negatives)
        drawn = torch.exp(scores.drawn).detach().numpy()
        last = np.array([2, 2, 2, 3, 2])
        not_yet_rated = BORN[negatives.item_idx] > last[:, None]
        assert not drawn[not_yet_rated].any()
        assert drawn[~not_yet_rated & ~negatives.is_own].all()
        assert 2 not in negatives.later_items[negatives.later_rows == 0], "rated later, and born later"


@pytest.mark.parametrize("make", [temporal, denoising])
def test_with_unborn_items_both_losses_are_one_given_the_whole_catalogue(
    make: Callable[[Histories, np.random.Generator], Examples],
) -> None:
    users, towers, rng = zipf_histories(0, n_users=30, n_items=40), towers_of(40), np.random.default_rng(0)
    last = make(users, rng).targets.timestamps.max()
    first = np.where(rng.random(40) < 0.4, last - rng.integers(0, 30, 40), 0)
    for item, at in zip(users.item_idx, users.timestamps, strict=True):
        first[item] = min(first[item], at)  # no item is rated before its first rating
    examples = replace(make(users, rng), first_rated_at=first)
    rows = np.arange(users.n_users)[:, None]
    assert 0.01 < examples.is_not_yet_rated(rows, np.arange(40)).mean() < 0.9
    full, sampled = both_gradients(towers, examples, whole_catalogue(users, examples))
    np.testing.assert_allclose(sampled, full, atol=1e-6)


def test_the_full_softmax_by_hand() -> None:
    """Three items left, scores 0, 0 and ln 2: shares 1/4, 1/4 and 1/2; a like and a dislike weigh as told."""
    examples = Examples(
        inputs=histories_from([[(0, 5.0, 1)]], 4), targets=histories_from([[(1, 5.0, 2), (3, 1.0, 3)]], 4)
    )
    items = torch.tensor([[9.0], [0.0], [0.0], [np.log(2)]], dtype=torch.float32)
    loss = full_softmax(torch.ones(1, 1), items, examples, other_weight=0.5)
    assert loss.item() == pytest.approx((np.log(4) + 0.5 * np.log(2)) / 1.5)


@pytest.mark.parametrize("make", [temporal, denoising])
def test_with_the_whole_catalogue_as_negatives_both_losses_are_one(
    make: Callable[[Histories, np.random.Generator], Examples],
) -> None:
    users, towers = zipf_histories(0, n_users=30, n_items=40), towers_of(40)
    examples = make(users, np.random.default_rng(0))
    full, sampled = both_gradients(towers, examples, whole_catalogue(users, examples))
    np.testing.assert_allclose(sampled, full, atol=1e-6)


@pytest.mark.parametrize(("world", "gone"), [(small_world, [0]), (unborn_world, [0, 2, 6])], ids=["all", "unborn"])
def test_over_all_possible_draws_the_sum_and_its_gradient_are_those_of_the_catalogue(
    world: Callable[[], tuple[Histories, Examples]], gone: list[int]
) -> None:
    """Exact enumeration: each company that the first user may have in a batch of two, each outcome of three draws."""
    users, examples = world()
    towers, sampler, row = towers_of(7), sampler_of(users, 3), torch.tensor([0])
    vectors = towers.users(history_batch(examples.inputs))
    counted = [item for item in range(7) if item not in gone]  # item 0 is shown, others are unborn
    full = torch.exp((vectors @ towers.items().T)[0, counted]).sum()
    expected_sum, expected_gradient = 0.0, np.zeros(0)
    for other in range(1, users.n_users):
        pair = pair_of(examples, other)
        total = torch.zeros(())
        inputs = towers.users(history_batch(pair.inputs), only_needed=True)
        for chance, from_batch, from_catalogue in every_draw(users.select(np.array([0, other]))):
            negatives = sampler.with_expectations(pair, from_batch, from_catalogue)
            total = total + chance * torch.exp(sampled_scores(inputs, towers, pair, negatives).log_sum(row))[0]
        expected_sum += total.item() / (users.n_users - 1)
        part = gradient(towers, total) / (users.n_users - 1)
        expected_gradient = part if other == 1 else expected_gradient + part
    assert expected_sum == pytest.approx(full.item(), rel=1e-5)
    np.testing.assert_allclose(expected_gradient, gradient(towers, full), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_the_mean_gradient_approaches_that_of_the_full_softmax() -> None:
    few, many = relative_error(20, as_drawn), relative_error(600, as_drawn)
    assert many < 0.04
    assert many < few / 2


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [without_correction, with_flipped_sign])
def test_without_correction_or_with_its_sign_flipped_the_gradient_is_another(wrong: Change) -> None:
    """However much is drawn: five times the error that the corrected gradient is allowed."""
    assert relative_error(600, wrong, n_batches=60) > 0.2


def test_an_accidental_hit_has_no_mass() -> None:
    """Everybody is asked for the same two items and was shown the same third; popularity makes all three hits."""
    users = histories_from([[(0, 5.0, 1), (1, 5.0, 2), (2, 4.0, 3)] for _ in range(6)] + [[(3, 5.0, 1)] * 1] * 2, 8)
    inputs = histories_from([[(0, 5.0, 1)]] * 6 + [[]] * 2, 8)
    targets = histories_from([[(1, 5.0, 2), (2, 4.0, 3)]] * 6 + [[(3, 5.0, 1)]] * 2, 8)
    examples, towers = Examples(inputs=inputs, targets=targets), towers_of(8)
    negatives = sampler_of(users, 200).draw(examples, np.random.default_rng(0))
    assert {0, 1, 2} <= set(negatives.item_idx.tolist())
    scores = sampled_scores(towers.users(history_batch(inputs)), towers, examples, negatives)
    log_sum = scores.log_sum(torch.arange(8))
    mass = torch.exp(scores.drawn - log_sum[:, None]).detach().numpy()  # (n_users, n_negatives)
    own = torch.exp(scores.own - log_sum[scores.own_rows]).detach().numpy()
    for row in range(8):
        rated = np.isin(negatives.item_idx, users.item_idx[users.offsets[row] : users.offsets[row + 1]])
        assert rated.any()
        assert mass[row, rated].max() < 1e-6
        assert mass[row, ~rated].min() > 1e-6
        assert mass[row].sum() + own[scores.own_rows.numpy() == row].sum() == pytest.approx(1, abs=1e-5)


def test_a_user_alone_in_a_batch_and_one_who_knows_the_catalogue_give_finite_gradients() -> None:
    knows_all = [(item, 5.0, item) for item in range(6)]
    users = histories_from([knows_all, [(0, 5.0, 1), (1, 5.0, 2)]], 6)
    towers = towers_of(6)
    for rows in ([0], [1], [0, 1]):
        chosen = users.select(np.array(rows))
        for seed in range(20):
            rng = np.random.default_rng(seed)
            examples = denoising(chosen, rng)
            negatives = sampler_of(users, 4).draw(examples, rng)
            vectors = towers.users(history_batch(examples.inputs), only_needed=True)
            assert np.isfinite(gradient(towers, sampled_softmax(vectors, towers, examples, negatives, WEIGHT))).all()
            vectors = towers.users(history_batch(examples.inputs))
            assert np.isfinite(gradient(towers, full_softmax(vectors, towers.items(), examples, WEIGHT))).all()


def test_who_was_shown_the_whole_catalogue_teaches_nothing() -> None:
    knows_all, none = [(item, 5.0, item) for item in range(6)], histories_from([[]], 6)
    towers, examples = towers_of(6), Examples(inputs=histories_from([knows_all], 6), targets=none)
    loss = full_softmax(towers.users(history_batch(examples.inputs)), towers.items(), examples, WEIGHT)
    assert not gradient(towers, loss).any()


def test_the_serving_score_is_the_plain_dot_product(tiny: TinyRun) -> None:
    """No trace of the correction: the exported vectors are what the parameters say, the bias included."""
    trained = train_retrieval_model(tiny.ratings, tiny.item_rows, tiny.model.fit_end, SAMPLED)
    model, plain = trained.model, {name: one.numpy() for name, one in trained.towers.state_dict().items()}
    bias = plain["item_bias"] + plain["popularity_weight"] * plain["log_popularity"]
    vectors = plain["offered.weight"] + plain["content"] @ plain["content_offered.weight"].T
    items, nobody = model.trained_items, model.user_encoder.encode(histories_from([[]], len(bias)))
    np.testing.assert_allclose(items, np.concatenate([vectors, bias[:, None]], axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(nobody @ items.T, [vectors @ plain["everyone"] + bias], rtol=1e-4, atol=1e-5)


class Largest(TorchDispatchMode):
    """Remembers the largest number of entries of any tensor that is made, of a sparse one those that it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, torch.Tensor) and func is not torch.ops.aten.detach.default:
                self.entries = max(self.entries, one._values().numel() if one.is_sparse else one.numel())
        return made


def test_a_step_makes_nothing_that_grows_with_users_times_items() -> None:
    """The biases of the items are the largest thing: one number per item, whatever the number of users."""
    n_items = 50_000
    users, towers = zipf_histories(0, n_users=64, n_items=n_items), towers_of(n_items, dim=4)
    examples = denoising(users, np.random.default_rng(0))
    negatives = sampler_of(users, 32).draw(examples, np.random.default_rng(0))
    with Largest() as largest:
        _loss(towers, examples, TwoTowerConfig(), torch.Generator(), negatives).backward()  # type: ignore[no-untyped-call]
    assert largest.entries == n_items
    with Largest() as largest:
        _loss(towers, examples, TwoTowerConfig(), torch.Generator())
    assert largest.entries == 64 * n_items
