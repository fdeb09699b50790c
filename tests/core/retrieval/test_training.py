"""Training: it learns what is there, nothing of the future, and the same again with the same seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import torch

from recsys_core.data.config import SplitsConfig
from recsys_core.data.histories import Histories, catalogue_of, histories_of
from recsys_core.data.movielens.reading import read_movies, read_ratings
from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.data.splits import fit_ratings, make_splits
from recsys_core.features.tables import item_features, of_slice
from recsys_core.feedback.schemas import IMPLICIT_COLUMNS
from recsys_core.retrieval.candidates import find_candidates
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.examples import Examples
from recsys_core.retrieval.index import ExactSearch
from recsys_core.retrieval.model import RetrievalModel
from recsys_core.retrieval.report import RECALL_AT, slice_recall
from recsys_core.retrieval.towers import HistoryBatch, TwoTower
from recsys_core.retrieval.training import (
    TrainingCallbacks,
    TrainingExtras,
    fit_linear_parts,
    train_retrieval_model,
)
from tests import tiny_world
from tests.core.worlds import QUICK_TRAINING, TinyRun, histories_from

FOREVER = 4_000_000_000
RAW = Path("data_lake/raw/ml-latest-small-2016.zip")


def weights_of(model: RetrievalModel) -> dict[str, npt.NDArray[np.float32]]:
    return {**vars(model.user_encoder), "trained_items": model.trained_items}


def same_weights(one: RetrievalModel, two: RetrievalModel) -> bool:
    first, second = weights_of(one), weights_of(two)
    return all(np.array_equal(first[name], second[name]) for name in first) and np.array_equal(one.losses, two.losses)


def table(rows: list[tuple[int, int, float, int]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RATINGS_COLUMNS, orient="row")


def fitted(ratings: pl.DataFrame, fit_end: int = FOREVER, config: TwoTowerConfig = QUICK_TRAINING) -> RetrievalModel:
    return train_retrieval_model(ratings, item_features(ratings, tiny_world.movies(), fit_end), fit_end, config).model


def from_nothing(tiny: TinyRun) -> RetrievalModel:
    """The first tower of the chain, which starts from no other."""
    return tiny.models[tiny.splits.names[0]]


def share_of_own_camp(model: RetrievalModel, ratings: pl.DataFrame) -> float:
    """Mean share of the ten best unseen items that the tiny world's truth says the user likes; chance gives 0.25."""
    users = histories_of(ratings.filter(pl.col("timestamp") < model.fit_end), model.catalogue)
    found = find_candidates(ExactSearch(vectors=model.trained_items), model.user_encoder.encode(users), users, 10)
    camp_of_user = tiny_world.CAMP_OF_USER[np.searchsorted(tiny_world.USER_IDS, users.user_ids)]
    camp_of_item = tiny_world.CAMP_OF_ITEM[np.searchsorted(tiny_world.ITEM_IDS, model.catalogue.item_ids)]
    return float((camp_of_item[found.item_idx] == camp_of_user[:, None])[found.item_idx >= 0].mean())


def by_popularity(model: RetrievalModel, n_likes: npt.NDArray[np.int64]) -> RetrievalModel:
    """The same catalogue, everything but the popularity set to nothing."""
    items = np.zeros_like(model.trained_items)
    items[:, -1] = n_likes
    return replace(model, trained_items=items)


def test_the_towers_overfit_a_tiny_world_of_pairs() -> None:
    """Ten users who each love a trio of items of their own: shown one of the trio, the other two come first."""
    rows = [(user, 3 * user + n, 5.0, 10**9 + n) for user in range(10) for n in range(3)]
    movies = tiny_world.movies().clear()
    ratings = table(rows)
    config = TwoTowerConfig(dim=16, n_epochs=200, temporal_share=0.5, history_dropout=0, vector_dropout=0)
    model = train_retrieval_model(ratings, item_features(ratings, movies, FOREVER), FOREVER, config).model
    asked = histories_from([[(3 * user + n % 3, 5.0, 10**9)] for user in range(10) for n in range(3)], n_items=30)
    found = find_candidates(ExactSearch(vectors=model.trained_items), model.user_encoder.encode(asked), asked, 2)
    assert np.array_equal(found.item_idx // 3, np.repeat(np.arange(10), 3)[:, None] * [1, 1])
    assert model.losses[-10:].mean() < model.losses[:3].mean() / 3


def test_the_towers_recover_the_tiny_worlds_truth_better_than_popularity(tiny: TinyRun) -> None:
    popular = by_popularity(tiny.model, tiny.item_rows["n_likes"].to_numpy())
    assert share_of_own_camp(tiny.model, tiny.ratings) > 0.7
    assert share_of_own_camp(popular, tiny.ratings) < 0.35


def test_the_towers_predict_the_tiny_worlds_future_better_than_popularity(tiny: TinyRun) -> None:
    def recall(made: RetrievalModel, name: str) -> list[float]:
        return slice_recall(tiny.ratings, tiny.splits, made, name).filter(k=10)["recall"].to_list()

    learned, popular = [], []
    for name in [name for window in tiny.splits.evaluation_windows for name in tiny.splits.slices_of(window)]:
        model, n_likes = tiny.models[name], tiny.items.filter(slice=name)["n_likes"].to_numpy()
        learned += recall(model, name)
        popular += recall(by_popularity(model, n_likes), name)
    assert np.mean(learned) > np.mean(popular) + 0.15


def test_permuted_items_teach_nothing_beyond_popularity() -> None:
    """With the items dealt out anew among the ratings, a tower that still knew the camps would have to be leaking."""
    truth = tiny_world.ratings()
    dealt = np.random.default_rng(0).permutation(truth["item_id"].to_numpy())
    shuffled = truth.with_columns(item_id=pl.Series(dealt)).unique(["user_id", "item_id"], maintain_order=True)
    model = fitted(shuffled)
    likes = item_features(shuffled, tiny_world.movies(), FOREVER)["n_likes"].to_numpy()
    assert share_of_own_camp(model, shuffled) < share_of_own_camp(by_popularity(model, likes), shuffled) + 0.06


def clicks_of(rows: list[tuple[int, int, int]]) -> pl.DataFrame:
    """(user_id, item_id, timestamp), each of weight 1."""
    full = [(user, item, at, None, f"e{n}", None, 1.0) for n, (user, item, at) in enumerate(rows)]
    return pl.DataFrame(full, schema=IMPLICIT_COLUMNS, orient="row")


@pytest.mark.slow
def test_clicks_pull_what_was_clicked_towards_those_who_clicked(tiny: TinyRun) -> None:
    ratings, end = tiny.ratings, int(tiny.ratings["timestamp"].max()) + 100  # type: ignore[arg-type]
    item = int(tiny.model.catalogue.item_ids[0])
    raters = ratings.filter(item_id=item)["user_id"]
    others = ratings.filter(~pl.col("user_id").is_in(raters.implode()))["user_id"].unique().sort().to_list()[:6]
    items = item_features(ratings, tiny_world.movies(), end)

    def mean_score(clicks: pl.DataFrame | None) -> float:
        model = train_retrieval_model(ratings, items, end, QUICK_TRAINING, extras=TrainingExtras(clicks=clicks)).model
        users = histories_of(ratings, model.catalogue, np.array(others))
        return float((model.user_encoder.encode(users) @ model.trained_items[0]).mean())

    clicks = clicks_of([(user, item, end - 50) for user in others])
    assert mean_score(clicks) > mean_score(None) + 0.5
    assert mean_score(clicks.clear()) == mean_score(None)


def test_clicks_that_say_nothing_change_no_bit(tiny: TinyRun) -> None:
    """From the end on; on what the same user has rated; of an unknown item; of somebody who rated next to nothing."""
    end = from_nothing(tiny).fit_end
    seen = tiny.ratings.filter(pl.col("timestamp") < end)
    user, item = seen.select("user_id", "item_id").row(0)
    unrated = next(one for one in tiny.model.catalogue.item_ids if one not in seen.filter(user_id=user)["item_id"])
    mute = clicks_of([(user, unrated, end), (user, item, end - 5), (user, 999_999, end - 5), (999_999, item, end - 5)])
    assert same_weights(fitted_with(tiny, end, mute), fitted_with(tiny, end, None))
    assert not same_weights(fitted_with(tiny, end, clicks_of([(user, unrated, end - 1)])), fitted_with(tiny, end, None))


def fitted_with(tiny: TinyRun, end: int, clicks: pl.DataFrame | None) -> RetrievalModel:
    items = item_features(tiny.ratings, tiny.movies, end)
    return train_retrieval_model(tiny.ratings, items, end, QUICK_TRAINING, extras=TrainingExtras(clicks=clicks)).model


def test_ratings_from_the_end_on_change_no_bit(tiny: TinyRun) -> None:
    """Known users, new users and new items, beginning with the very second of fit_end."""
    expected = from_nothing(tiny)
    fit_end = expected.fit_end
    past = tiny.ratings.filter(pl.col("timestamp") < fit_end)
    future = table(
        [(user, item, 5.0, fit_end + n) for user in (11, 14, 99_999) for n, item in enumerate(range(90_000, 90_040))]
    )
    altered = pl.concat([past, future])
    features = item_features(altered, tiny.movies, fit_end)
    model = train_retrieval_model(altered, features, fit_end, QUICK_TRAINING).model
    assert same_weights(model, expected)
    assert np.array_equal(model.catalogue.item_ids, expected.catalogue.item_ids)
    assert np.array_equal(model.first_rated_at, expected.first_rated_at)
    assert model.fitted_on == expected.fitted_on


def test_the_order_of_the_rows_changes_no_bit(tiny: TinyRun) -> None:
    mixed = tiny.ratings.sample(fraction=1.0, shuffle=True, seed=3)
    assert same_weights(fitted(mixed, from_nothing(tiny).fit_end), from_nothing(tiny))


def test_the_same_seed_gives_the_same_tower_and_another_seed_another(tiny: TinyRun) -> None:
    expected = from_nothing(tiny)
    again = fitted(tiny.ratings, expected.fit_end)
    other = fitted(tiny.ratings, expected.fit_end, QUICK_TRAINING.model_copy(update={"seed": 18}))
    assert same_weights(again, expected)
    assert not same_weights(other, expected)


def test_a_refit_goes_on_from_the_weights_of_the_earlier_tower(tiny: TinyRun) -> None:
    """It is shorter than a first training, takes smaller steps, and begins where the other ended."""
    first, end = tiny.splits.names[0], tiny.model.fit_end
    start = train_retrieval_model(
        fit_ratings(tiny.ratings, tiny.splits, first),
        of_slice(tiny.items, first),
        tiny.splits.fit_end(first),
        QUICK_TRAINING,
    )
    items = item_features(tiny.ratings, tiny.movies, end)
    config = QUICK_TRAINING.model_copy(update={"refit_epochs": 1, "refit_learning_rate": 1e-9})
    trained = train_retrieval_model(tiny.ratings, items, end, config, extras=TrainingExtras(start=start))
    refit, places = trained.model, trained.model.catalogue.idx_of(start.model.catalogue.item_ids)
    assert len(refit.losses) == 1
    now, before = dict(trained.towers.named_parameters()), dict(start.towers.named_parameters())
    for name in ("rated.weight", "offered.weight", "item_bias"):
        np.testing.assert_allclose(now[name].detach()[places], before[name].detach(), atol=1e-6)
    for name in ("everyone", "rating_weight", "place_bias", "content_offered.weight"):
        np.testing.assert_allclose(now[name].detach(), before[name].detach(), atol=1e-6)
    assert not trained.towers.training
    longer = train_retrieval_model(tiny.ratings, items, end, QUICK_TRAINING, extras=TrainingExtras(start=start)).model
    assert len(longer.losses) == QUICK_TRAINING.refit_epochs
    assert not same_weights(longer, refit)
    assert longer.losses[0] < fitted(tiny.ratings, end).losses[0], "it has learned before"


def test_linear_parts_that_were_fitted_ahead_are_those_that_the_training_would_fit(tiny: TinyRun) -> None:
    end = tiny.model.fit_end
    users = histories_of(tiny.ratings.filter(pl.col("timestamp") < end), tiny.model.catalogue)
    parts, items = fit_linear_parts(users, end, QUICK_TRAINING), tiny.item_rows
    one = train_retrieval_model(tiny.ratings, items, end, QUICK_TRAINING, extras=TrainingExtras(linear=parts)).model
    other = train_retrieval_model(tiny.ratings, items, end, QUICK_TRAINING).model
    assert one.linear is parts
    assert same_weights(one, other)
    pairs = [
        (one.ease.target_factors, other.ease.target_factors),
        (one.trend.item_factors, other.trend.item_factors),
        (one.rating_model.factors, other.rating_model.factors),
        (one.neighbours.evidence, other.neighbours.evidence),
    ]
    assert all(np.array_equal(left, right) for left, right in pairs)


def test_a_click_changes_what_a_tower_says_it_was_fitted_on(tiny: TinyRun) -> None:
    """Also one that is not asked for; none that is not known yet."""
    end, (user, item) = from_nothing(tiny).fit_end, tiny.ratings.select("user_id", "item_id").row(0)
    plain = fitted_with(tiny, end, None).fitted_on
    assert fitted_with(tiny, end, clicks_of([(user, item, end - 1)])).fitted_on != plain
    assert fitted_with(tiny, end, clicks_of([(user, item, end)])).fitted_on == plain


@pytest.mark.slow
def test_training_leaves_the_process_its_threads_and_its_chance(tiny: TinyRun) -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3).tolist()
    torch.manual_seed(5)
    fitted(tiny.ratings, tiny.model.fit_end, TwoTowerConfig(dim=4, n_epochs=1, n_threads=threads + 1))
    assert torch.rand(3).tolist() == expected
    assert torch.get_num_threads() == threads


@pytest.mark.slow
def test_a_failing_training_gives_back_the_threads_as_well(tiny: TinyRun) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    threads = torch.get_num_threads()
    config = TwoTowerConfig(dim=4, n_epochs=1, n_threads=threads + 1)
    with pytest.raises(KeyboardInterrupt):
        train_retrieval_model(
            tiny.ratings, tiny.item_rows, tiny.model.fit_end, config, TrainingCallbacks(after_step=stop)
        )
    assert torch.get_num_threads() == threads


def test_progress_counts_every_step_once(tiny: TinyRun) -> None:
    told: list[tuple[int, int]] = []
    config = TwoTowerConfig(dim=4, n_epochs=3, batch_users=50)
    train_retrieval_model(
        tiny.ratings,
        tiny.item_rows,
        tiny.model.fit_end,
        config,
        TrainingCallbacks(after_step=lambda *step: told.append(step)),
    )
    n = told[0][1]
    assert told == [(done, n) for done in range(1, n + 1)]
    assert n % 3 == 0


def test_users_with_one_rating_teach_nothing_and_nobody_at_all_is_no_fault() -> None:
    pair = [(1, 10, 5.0, 10**9), (1, 11, 4.0, 10**9 + 5), (2, 10, 5.0, 10**9), (2, 11, 5.0, 10**9 + 9)]
    single = [(3, 10, 1.0, 10**9 + 7)]
    items = item_features(table(pair), tiny_world.movies().clear(), FOREVER)
    config = TwoTowerConfig(dim=4, n_epochs=2)
    with_single = train_retrieval_model(table(pair + single), items, FOREVER, config).model
    assert same_weights(with_single, train_retrieval_model(table(pair), items, FOREVER, config).model)
    nobody = train_retrieval_model(table(single), items, FOREVER, config).model
    assert nobody.losses.tolist() == [0, 0]
    assert np.isfinite(nobody.trained_items).all()


def test_a_catalogue_that_everybody_knows_by_heart_trains_without_a_nan() -> None:
    """Where all items were shown, the softmax is over nothing; such a row must not spoil the weights."""
    ratings = table([(user, item, 5.0, 10**9 + item) for user in range(40) for item in (1, 2)])
    items = item_features(ratings, tiny_world.movies().clear(), FOREVER)
    model = train_retrieval_model(ratings, items, FOREVER, TwoTowerConfig(dim=4, n_epochs=30, batch_users=8)).model
    assert np.isfinite(model.losses).all()
    assert all(np.isfinite(values).all() for values in weights_of(model).values())


def test_only_likes_teach_where_other_ratings_weigh_nothing() -> None:
    ratings = tiny_world.ratings().with_columns(rating=pl.lit(3.0, pl.Float32))
    model = fitted(ratings, config=TwoTowerConfig(dim=4, n_epochs=2, other_weight=0))
    assert model.losses.tolist() == [0, 0]


@pytest.mark.slow
def test_a_sample_of_the_catalogue_teaches_the_tiny_world_nearly_as_well(tiny: TinyRun) -> None:
    """Above the size where the whole catalogue is compared; here every catalogue is above it."""
    sampled = QUICK_TRAINING.model_copy(update={"full_softmax_until": 0, "n_negatives": 32})
    model, full = (fitted(tiny.ratings, tiny.model.fit_end, config) for config in (sampled, QUICK_TRAINING))
    assert share_of_own_camp(model, tiny.ratings) > share_of_own_camp(full, tiny.ratings) - 0.05
    assert same_weights(model, fitted(tiny.ratings, tiny.model.fit_end, sampled))


def test_a_catalogue_as_large_as_the_limit_is_compared_as_a_whole(tiny: TinyRun) -> None:
    expected = from_nothing(tiny)
    n_items = expected.catalogue.n_items
    at_limit, above = (
        fitted(tiny.ratings, expected.fit_end, QUICK_TRAINING.model_copy(update={"full_softmax_until": limit}))
        for limit in (n_items, n_items - 1)
    )
    assert same_weights(at_limit, expected)
    assert not same_weights(above, expected)


def test_the_loss_by_hand() -> None:
    """Two items left after masking, equal scores: ln 2 for each target, whatever the weights."""
    from recsys_core.retrieval.training import _loss

    towers = TwoTower(np.zeros((3, 2), dtype=np.float32), np.zeros(3, dtype=np.float32), 4)
    with torch.no_grad():
        towers.offered.weight.zero_()
    one, other = histories_from([[(0, 5.0, 1)], []], 3), histories_from([[(1, 5.0, 2), (2, 1.0, 3)], []], 3)
    loss = _loss(towers, Examples(inputs=one, targets=other), TwoTowerConfig(), torch.Generator())
    assert loss.item() == pytest.approx(np.log(2))


def test_dropout_keeps_the_expected_weight_of_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept counts for what is hidden: otherwise all vectors would grow when serving drops nothing."""
    weights: list[torch.Tensor] = []
    seen = TwoTower.users

    def spy(self: TwoTower, batch: HistoryBatch, kept: torch.Tensor, *, only_needed: bool) -> torch.Tensor:
        weights.append(kept)
        return seen(self, batch, kept, only_needed=only_needed)

    monkeypatch.setattr(TwoTower, "users", spy)
    fitted(tiny_world.ratings(), config=TwoTowerConfig(dim=4, n_epochs=3, history_dropout=0.4))
    drawn = torch.cat(weights)
    assert sorted(drawn.unique().tolist()) == pytest.approx([0, 1 / 0.6])
    assert drawn.mean().item() == pytest.approx(1, abs=0.05)


def test_serving_drops_nothing(tiny: TinyRun) -> None:
    users: Histories = histories_of(tiny.ratings, tiny.model.catalogue)
    first = tiny.model.user_encoder.encode(users)
    assert np.array_equal(first, tiny.model.user_encoder.encode(users))
    assert np.array_equal(tiny.model.trained_items, tiny.model.trained_items)


@pytest.mark.slow
def test_on_real_ratings_the_towers_beat_popularity() -> None:
    ratings, movies = read_ratings(RAW).table, read_movies(RAW).table
    splits = make_splits(ratings, SplitsConfig(n_refits=1))
    name = f"{splits.development[-1]}_1"
    fit_end = splits.fit_end(name)
    items = item_features(ratings, movies, fit_end)
    rated = catalogue_of(ratings.filter(pl.col("timestamp") < fit_end)).item_ids
    assert np.array_equal(items.filter(pl.col("n_ratings") > 0)["item_id"].to_numpy(), rated)
    model = train_retrieval_model(ratings, items, fit_end, TwoTowerConfig(n_epochs=20)).model
    popular = by_popularity(model, items["n_likes"].to_numpy())
    learned, base = (slice_recall(ratings, splits, one, name) for one in (model, popular))
    assert learned["k"].unique().sort().to_list() == list(RECALL_AT)
    for k in (20, 100):
        assert learned.filter(k=k)["recall"].mean() > 1.1 * base.filter(k=k)["recall"].mean()
