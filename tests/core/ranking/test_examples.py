"""The ranker's training rows: honest scores, the right labels, whole groups."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xgboost as xgb

from recsys_core.data.schemas import LIKED
from recsys_core.data.splits import EXAMS, TEST, VALIDATION, fit_ratings, known_ratings
from recsys_core.errors import ArtifactError, DataError
from recsys_core.features.registry import FEATURE_NAMES, feature_set, names_of
from recsys_core.ranking.examples import RankingExamples, make_examples, slice_rows
from recsys_core.ranking.inputs import RankingInputs, propose
from recsys_core.retrieval.candidates import Candidates
from tests.core.worlds import N_CANDIDATES, TinyRun

HOLDOUT = "test_holdout_15"


@pytest.fixture(scope="module")
def inputs(tiny: TinyRun) -> RankingInputs:
    known = known_ratings(tiny.ratings, tiny.splits, VALIDATION)
    return propose(tiny.proposer(VALIDATION), known, tiny.splits.requests(VALIDATION), n_candidates=N_CANDIDATES)


def test_labels_are_the_likes_that_came_after_and_nothing_else(tiny: TinyRun, inputs: RankingInputs) -> None:
    rows = slice_rows(VALIDATION, inputs, tiny.ratings, tiny.splits)
    targets = tiny.splits.targets.filter(slice=VALIDATION)
    assert targets["rating"].min() >= LIKED
    wanted = set(targets.select("user_id", "item_id").iter_rows())
    labelled = rows.select("user_id", "item_id", "label").iter_rows()
    assert all((label == 1) == ((user, item) in wanted) for user, item, label in labelled)
    assert 0 < rows["label"].sum() < rows.height


def test_rows_are_each_users_candidates_in_the_order_of_retrieval(tiny: TinyRun, inputs: RankingInputs) -> None:
    rows = slice_rows(VALIDATION, inputs, tiny.ratings, tiny.splits)
    assert rows.columns == ["slice", "user_id", "item_id", "label", *FEATURE_NAMES]
    assert rows["user_id"].unique(maintain_order=True).to_list() == inputs.users.user_ids.tolist()
    ids = tiny.towers[VALIDATION].catalogue.item_ids
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
    rows = slice_rows(VALIDATION, shorter, tiny.ratings, tiny.splits)
    first, second = inputs.users.user_ids[:2].tolist()
    assert rows.filter(user_id=first).height == 3
    assert rows.filter(user_id=second).is_empty()
    assert rows.height == 3 + (len(inputs.users.user_ids) - 2) * N_CANDIDATES


def test_no_item_of_a_users_own_past_is_a_row(tiny: TinyRun) -> None:
    for name in tiny.examples.rows["slice"].unique():
        known = known_ratings(tiny.ratings, tiny.splits, name)
        rows = tiny.examples.rows.filter(slice=name)
        assert rows.join(known, on=["user_id", "item_id"], how="semi").is_empty()


@pytest.mark.parametrize("name", [HOLDOUT, VALIDATION])
def test_a_tower_that_saw_the_labels_is_refused(tiny: TinyRun, name: str) -> None:
    """The test's tower knows the held-out likes; nothing else about it is out of place."""
    known = known_ratings(tiny.ratings, tiny.splits, name)
    honest, leaky = (
        propose(tiny.proposer(which), known, tiny.splits.requests(name), n_candidates=N_CANDIDATES)
        for which in (name, TEST)
    )
    slice_rows(name, honest, tiny.ratings, tiny.splits)
    with pytest.raises(DataError, match="rebuild two_tower, because its scores could know the answers"):
        slice_rows(name, leaky, tiny.ratings, tiny.splits)


def test_a_ranker_learns_for_an_exam_from_its_own_holdouts(tiny: TinyRun) -> None:
    for exam in EXAMS:
        lessons = tiny.examples.lessons(exam)
        assert lessons["slice"].unique(maintain_order=True).to_list() == tiny.splits.holdouts(exam)
        assert tiny.examples.nearest_holdout(exam) == tiny.splits.holdouts(exam)[-1]
        until = tiny.splits.fit_end(exam)
        labels = lessons.filter(label=1).join(tiny.ratings, on=["user_id", "item_id"])
        assert labels["timestamp"].max() < until


def test_every_target_is_counted_whether_retrieval_found_it_or_not(tiny: TinyRun) -> None:
    found = tiny.examples.rows.group_by("slice", "user_id").agg(found=pl.col("label").cast(pl.Int64).sum())
    both = tiny.examples.n_targets.join(found, on=["slice", "user_id"])
    assert both.height == tiny.examples.n_targets.height == tiny.splits.users.filter(pl.col("slice") != TEST).height
    assert (both["found"] <= both["n_targets"]).all()
    assert (both["found"] < both["n_targets"]).any()
    assert both["n_targets"].sum() == tiny.splits.targets.filter(pl.col("slice") != TEST).height


def test_only_the_slices_at_hand_are_counted(tiny: TinyRun) -> None:
    one = make_examples([tiny.examples.rows.filter(slice=HOLDOUT)], tiny.splits)
    assert one.n_targets["slice"].unique().to_list() == [HOLDOUT]


def test_examples_come_back_as_they_were(tiny: TinyRun, tmp_path: Path) -> None:
    tiny.examples.save(tmp_path)
    back = RankingExamples.load(tmp_path)
    assert back.rows.equals(tiny.examples.rows)
    assert back.n_targets.equals(tiny.examples.n_targets)
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
    rows = slice_rows(VALIDATION, inputs, tiny.ratings, tiny.splits)
    liked = tiny.ratings.filter(pl.col("rating") >= LIKED).join(
        tiny.splits.users.filter(slice=VALIDATION), on="user_id"
    )
    until = tiny.splits.fit_end(TEST)
    negatives = rows.filter(label=0)
    assert negatives.join(liked.filter(pl.col("timestamp") < until), on=["user_id", "item_id"], how="semi").is_empty()
    scores = inputs.user_vectors @ inputs.proposer.item_vectors.T  # (n_users, n_items)
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
