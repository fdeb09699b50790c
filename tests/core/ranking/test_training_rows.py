"""The ranker's training rows: honest scores, the right labels, whole groups."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xgboost as xgb
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.data.splits import NOW, TEST, fit_ratings, known_ratings
from recsys_core.errors import ArtifactError, DataError
from recsys_core.features.registry import FEATURE_NAMES, feature_set, names_of
from recsys_core.features.tables import SliceFeatures, item_features_by_slice, of_slice, user_features_by_slice
from recsys_core.ranking.inputs import RankingInputs, generate_candidates
from recsys_core.ranking.training_rows import RankingExamples, examples_of_slices, make_examples, slice_rows
from recsys_core.retrieval.candidates import Candidates
from tests import tiny_world
from tests.core.worlds import N_CANDIDATES, QUICK_SPLITS, TinyRun


@pytest.fixture(scope="module")
def inputs(tiny: TinyRun) -> RankingInputs:
    known = known_ratings(tiny.ratings, tiny.splits, tiny.asked)
    return generate_candidates(
        tiny.generator(tiny.asked), known, tiny.splits.requests(tiny.asked), n_candidates=N_CANDIDATES
    )


def test_labels_are_the_likes_that_came_after_and_nothing_else(tiny: TinyRun, inputs: RankingInputs) -> None:
    rows = slice_rows(tiny.asked, inputs, tiny.ratings, tiny.splits)
    targets = tiny.splits.targets.filter(slice=tiny.asked)
    assert targets["rating"].min() >= LIKED
    wanted = set(targets.select("user_id", "item_id").iter_rows())
    labelled = rows.select("user_id", "item_id", "label").iter_rows()
    assert all((label == 1) == ((user, item) in wanted) for user, item, label in labelled)
    assert 0 < rows["label"].sum() < rows.height


def test_rows_are_each_users_candidates_in_the_order_of_retrieval(tiny: TinyRun, inputs: RankingInputs) -> None:
    rows = slice_rows(tiny.asked, inputs, tiny.ratings, tiny.splits)
    assert rows.columns == ["slice", "user_id", "item_id", "label", "known_at", *FEATURE_NAMES]
    assert rows["user_id"].unique(maintain_order=True).to_list() == inputs.users.user_ids.tolist()
    ids = tiny.models[tiny.asked].catalogue.item_ids
    for row, user_id in enumerate(inputs.users.user_ids.tolist()):
        own = rows.filter(user_id=user_id)
        assert own["item_id"].to_list() == ids[inputs.candidates.item_idx[row]].tolist()
        assert own["pair_retrieval_rank"].to_list() == list(range(1, N_CANDIDATES + 1))
        assert own["pair_retrieval_score"].is_sorted(descending=True)


def test_padding_gives_no_row(tiny: TinyRun, inputs: RankingInputs) -> None:
    item_idx, scores = inputs.candidates.item_idx.copy(), inputs.candidates.scores.copy()
    item_idx[0, 3:], scores[0, 3:] = -1, -np.inf
    item_idx[1], scores[1] = -1, -np.inf
    shorter = replace(inputs, candidates=Candidates(item_idx=item_idx, scores=scores))
    rows = slice_rows(tiny.asked, shorter, tiny.ratings, tiny.splits)
    first, second = inputs.users.user_ids[:2].tolist()
    assert rows.filter(user_id=first).height == 3
    assert rows.filter(user_id=second).is_empty()
    assert rows.height == 3 + (len(inputs.users.user_ids) - 2) * N_CANDIDATES


def test_no_item_of_a_users_own_past_is_a_row(tiny: TinyRun) -> None:
    for name in tiny.examples.rows["slice"].unique():
        known = known_ratings(tiny.ratings, tiny.splits, name)
        rows = tiny.examples.rows.filter(slice=name)
        assert rows.join(known, on=["user_id", "item_id"], how="semi").is_empty()


def test_a_tower_that_saw_the_labels_is_refused_in_every_slice(tiny: TinyRun) -> None:
    """The tower that serves knows all answers; nothing else about it is out of place."""
    for name in tiny.splits.asking:
        known = known_ratings(tiny.ratings, tiny.splits, name)
        honest, leaky = (
            generate_candidates(tiny.generator(which), known, tiny.splits.requests(name), n_candidates=N_CANDIDATES)
            for which in (name, NOW)
        )
        slice_rows(name, honest, tiny.ratings, tiny.splits)
        with pytest.raises(DataError, match="rebuild two_tower, because its scores may depend on the labels"):
            slice_rows(name, leaky, tiny.ratings, tiny.splits)


def test_a_label_is_known_when_its_window_has_ended(tiny: TinyRun) -> None:
    untils = dict(tiny.splits.cutoffs.select("slice", "until").iter_rows())
    for (name,), own in tiny.examples.rows.group_by("slice"):
        assert own["known_at"].unique().to_list() == [untils[str(name)]]


@given(share=st.floats(0, 1))
def test_no_label_that_was_settled_later_is_known_before_a_moment(tiny: TinyRun, share: float) -> None:
    """Whatever the moment: each like that a ranker may learn from was given before it; all later labels may turn."""
    examples = tiny.examples
    first, last = tiny.splits.fit_end(tiny.splits.names[0]), tiny.splits.last_until
    moment = first + round(share * (last - first))
    known = examples.known_before(moment)
    liked = known.filter(label=1).join(tiny.ratings, on=["user_id", "item_id"])
    assert liked.height == known["label"].sum()
    assert (liked["timestamp"] < moment).all()
    turned = pl.when(pl.col("known_at") > moment).then(1 - pl.col("label")).otherwise("label").cast(pl.Int8)
    other = replace(examples, rows=examples.rows.with_columns(label=turned))
    assert other.known_before(moment).equals(known)
    assert examples.rows.height - known.height == (examples.rows["known_at"] > moment).sum()


def test_all_that_was_known_before_a_window_is_the_windows_before_it(tiny: TinyRun) -> None:
    windows = tiny.splits.cutoffs["window"].unique(maintain_order=True).to_list()
    assert tiny.examples.evaluation_windows == tiny.splits.evaluation_windows
    assert tiny.examples.development == tiny.splits.development
    for at, window in enumerate(windows):
        known = tiny.examples.known_before(tiny.examples.start_of(window))
        before = [tiny.examples.of_window(earlier) for earlier in windows[:at]]
        assert known.equals(pl.concat([tiny.examples.rows.clear(), *before]))
        assert at == 0 or tiny.examples.window_before(window) == windows[at - 1]


def test_the_targets_of_a_window_are_those_of_all_its_slices(tiny: TinyRun) -> None:
    for window in tiny.splits.evaluation_windows:
        own = tiny.splits.targets.filter(pl.col("slice").is_in(tiny.splits.slices_of(window)))
        counted = own.group_by("user_id").agg(n_targets=pl.len().cast(pl.Int64)).sort("user_id")
        assert tiny.examples.targets_of(window).equals(counted)
        assert set(tiny.examples.of_window(window)["slice"]) <= set(tiny.splits.slices_of(window))


def test_every_target_is_counted_whether_retrieval_found_it_or_not(tiny: TinyRun) -> None:
    found = tiny.examples.rows.group_by("slice", "user_id").agg(found=pl.col("label").cast(pl.Int64).sum())
    both = tiny.examples.n_targets.join(found, on=["slice", "user_id"])
    assert both.height == tiny.examples.n_targets.height == tiny.splits.users.height
    assert (both["found"] <= both["n_targets"]).all()
    assert (both["found"] < both["n_targets"]).any()
    assert both["n_targets"].sum() == tiny.splits.targets.height


def test_only_the_slices_at_hand_are_counted(tiny: TinyRun) -> None:
    one = make_examples([tiny.examples.rows.filter(slice=tiny.asked)], tiny.splits)
    assert one.n_targets["slice"].unique().to_list() == [tiny.asked]


def test_examples_come_back_as_they_were(tiny: TinyRun, tmp_path: Path) -> None:
    tiny.examples.save(tmp_path)
    back = RankingExamples.load(tmp_path)
    assert back.rows.equals(tiny.examples.rows)
    assert back.n_targets.equals(tiny.examples.n_targets)
    assert back.cutoffs.equals(tiny.examples.cutoffs)
    assert back.feature_set == tiny.examples.feature_set == feature_set()
    (tmp_path / "n_targets.parquet").unlink()
    with pytest.raises(ArtifactError, match=r"n_targets\.parquet is missing"):
        RankingExamples.load(tmp_path)


def test_no_label_stands_in_what_its_row_was_made_from(tiny: TinyRun) -> None:
    """Of all likes of all slices: neither in the history of the user nor in what the tower was fitted on."""
    for name in tiny.examples.rows["slice"].unique():
        liked = tiny.examples.rows.filter(slice=name, label=1)
        assert liked.height > 0
        for made_from in (known_ratings, fit_ratings):
            table = made_from(tiny.ratings, tiny.splits, name)
            assert liked.join(table, on=["user_id", "item_id"], how="semi").is_empty(), made_from.__name__


def test_negatives_are_no_likes_and_the_hardest_of_the_catalogue(tiny: TinyRun, inputs: RankingInputs) -> None:
    """Whatever else a user has not rated, the tower puts below all of the user's rows: none of these is easy."""
    rows = slice_rows(tiny.asked, inputs, tiny.ratings, tiny.splits)
    liked = tiny.ratings.filter(pl.col("rating") >= LIKED).join(
        tiny.splits.users.filter(slice=tiny.asked), on="user_id"
    )
    until = tiny.splits.until(tiny.asked)
    negatives = rows.filter(label=0)
    assert negatives.join(liked.filter(pl.col("timestamp") < until), on=["user_id", "item_id"], how="semi").is_empty()
    scores = inputs.user_vectors @ inputs.generator.retriever.item_vectors.T  # (n_users, n_items)
    offered = inputs.candidates.item_idx
    rated = inputs.users.seen().toarray() > 0
    for user in range(inputs.users.n_users):
        left = ~rated[user]
        left[offered[user]] = False
        assert scores[user, left].max() <= scores[user, offered[user]].min() + 1e-5


def within_users(rows: pl.DataFrame, score: str) -> float:
    """AUC over the pairs of a like and another row of the same user: how often the like has the higher score."""
    pairs = rows.filter(label=1).join(rows.filter(label=0), on=["slice", "user_id"], suffix="_other")
    above, equal = pl.col(score) > pl.col(f"{score}_other"), pl.col(score) == pl.col(f"{score}_other")
    return float(pairs.select((above + equal * 0.5).mean()).item())


def test_a_user_alone_says_nothing_about_a_label(tiny: TinyRun) -> None:
    """An adversary with trees deep enough to learn by heart reads the user features alone, and is asked what it read.

    Likes and negatives of a request share its user, so no pair of them can be told apart. Negatives that were made
    apart, from another user or another time, could be.
    """
    rows, names = tiny.examples.rows, names_of("user")
    matrix = xgb.DMatrix(rows.select(names).to_numpy(), label=rows["label"].to_numpy())
    learnt_by_heart = {"objective": "binary:logistic", "max_depth": 12, "min_child_weight": 0, "seed": 0, "nthread": 1}
    adversary = xgb.train(learnt_by_heart, matrix, num_boost_round=30)
    judged = rows.with_columns(guess=pl.Series(adversary.predict(matrix)))
    assert within_users(judged, "guess") == pytest.approx(0.5, abs=0.02)
    assert within_users(judged, "pair_retrieval_score") > 0.55, "so the measure sees what a row does tell"


N_EXAMS = QUICK_SPLITS.n_windows - QUICK_SPLITS.n_teaching


def rows_before(tiny: TinyRun, names: list[str]) -> pl.DataFrame:
    return tiny.examples.rows.filter(pl.col("slice").is_in(names))


def test_every_slice_that_asks_gives_rows_and_the_last_none(tiny: TinyRun) -> None:
    names = tiny.examples.rows["slice"].unique(maintain_order=True).to_list()
    assert names == tiny.splits.asking
    assert NOW not in names


def test_the_targets_of_the_test_change_no_row_of_any_other_window(tiny: TinyRun) -> None:
    tests = tiny.splits.slices_of(TEST)
    without = replace(tiny.splits, targets=tiny.splits.targets.filter(~pl.col("slice").is_in(tests)))
    again = examples_of_slices(tiny.ratings, without, tiny.features, tiny.models.__getitem__, n_candidates=N_CANDIDATES)
    others = [name for name in tiny.splits.asking if name not in tests]
    assert again.rows.filter(pl.col("slice").is_in(others)).equals(rows_before(tiny, others))
    assert again.rows.drop("label").equals(tiny.examples.rows.drop("label"))
    assert again.rows.filter(pl.col("slice").is_in(tests))["label"].sum() == 0


def test_each_slice_asks_its_own_tower(tiny: TinyRun) -> None:
    asked: list[str] = []
    examples_of_slices(
        tiny.ratings,
        tiny.splits,
        tiny.features,
        lambda name: (asked.append(name), tiny.models[name])[1],
        n_candidates=10,
    )
    assert asked == tiny.splits.asking


def test_a_tower_of_another_slice_is_refused(tiny: TinyRun) -> None:
    first = tiny.splits.asking[0]
    with pytest.raises(DataError, match=f"the model of slice {first} was fitted on ratings"):
        examples_of_slices(tiny.ratings, tiny.splits, tiny.features, lambda _: tiny.models[tiny.asked], n_candidates=10)


def future(fit_end: int) -> pl.DataFrame:
    """Likes from the very second of a cut-off on: by new users of all items, and by all users of new items."""
    strangers = [(10**6 + n % 7, int(item), 5.0, fit_end + n // 9) for n, item in enumerate(tiny_world.ITEM_IDS)]
    known = [(int(user), 10**6 + n % 5, 5.0, fit_end + n // 9) for n, user in enumerate(tiny_world.USER_IDS)]
    return pl.DataFrame(strangers + known, schema=RATINGS_COLUMNS, orient="row")


@pytest.mark.parametrize("at", range(N_EXAMS))
def test_rows_appended_to_the_future_change_no_bit_of_any_feature(tiny: TinyRun, at: int) -> None:
    """Of items, of users, and of pairs, as the ranker reads them, all computed anew for the slices before a window."""
    start = tiny.examples.start_of(tiny.splits.evaluation_windows[at])
    names = tiny.splits.cutoffs.filter(pl.col("until") <= start)["slice"].to_list()
    assert names
    splits = replace(tiny.splits, cutoffs=tiny.splits.cutoffs.filter(pl.col("slice").is_in(names)))
    altered = pl.concat([tiny.ratings.filter(pl.col("timestamp") < start), future(start)])
    items = item_features_by_slice(altered, tiny.movies, splits)
    users = user_features_by_slice(altered, items, splits)
    features = SliceFeatures(items=items, users=users)
    again = examples_of_slices(altered, splits, features, tiny.models.__getitem__, n_candidates=N_CANDIDATES)
    for name in names:
        assert of_slice(items, name).equals(of_slice(tiny.items, name))
        assert of_slice(users, name).equals(of_slice(tiny.users, name))
        assert of_slice(again.rows, name).equals(of_slice(tiny.examples.rows, name))
        assert np.isfinite(again.rows["pair_retrieval_z"].to_numpy()).all()
