"""How much retrieval finds, and whether tower, vectors and index belong together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys_core.data.splits import TEST, known_ratings
from recsys_core.retrieval.config import IndexConfig
from recsys_core.retrieval.index import build_index
from recsys_core.retrieval.model import ItemEmbeddings, embed_items, item_vectors, user_vectors
from recsys_core.retrieval.report import RECALL_AT, RetrievalReport, embeddings_match, latest_users, retrieval_report
from recsys_core.retrieval.training import train_retrieval_model
from tests.core.worlds import QUICK_TRAINING, TinyRun, histories_from


@pytest.fixture(scope="module")
def report(tiny: TinyRun) -> RetrievalReport:
    return retrieval_report(tiny.ratings, tiny.splits, tiny.models.__getitem__, tiny.index)


def asking_slices(tiny: TinyRun) -> list[str]:
    """Of the development windows."""
    own = [name for window in tiny.splits.development for name in tiny.splits.slices_of(window)]
    return [name for name in own if name in tiny.splits.asking]


def slow_recall(tiny: TinyRun, name: str, user_id: int, k: int) -> float:
    """One user, one item at a time."""
    model = tiny.models[name]
    known = known_ratings(tiny.ratings, tiny.splits, name).filter(user_id=user_id).sort("timestamp", "item_id")
    idx = {item_id: at for at, item_id in enumerate(model.catalogue.item_ids.tolist())}
    rows = [
        (idx[i], s, t)
        for _, i, s, t in known.select("user_id", "item_id", "rating", "timestamp").iter_rows()
        if i in idx
    ]
    query = user_vectors(model, histories_from([rows], len(idx)))[0]
    unseen = [item for item in idx if item not in set(known["item_id"])]
    offered = item_vectors(model)
    best = sorted(unseen, key=lambda item: -float(query @ offered[idx[item]]))[:k]
    wanted = set(tiny.splits.targets.filter(slice=name, user_id=user_id)["item_id"])
    return len(wanted & set(best)) / len(wanted)


def test_recall_agrees_with_a_loop_over_users_and_items(tiny: TinyRun, report: RetrievalReport) -> None:
    for name in asking_slices(tiny):
        for user_id in tiny.splits.users_of(name)[:6].tolist():
            for k in (10, 50):
                found = report.recall.filter(k=k, slice=name, user_id=user_id)["recall"].item()
                assert found == pytest.approx(slow_recall(tiny, name, user_id, k))


def test_every_user_of_the_development_windows_counts_at_every_k(tiny: TinyRun, report: RetrievalReport) -> None:
    asked = [(name, user_id) for name in asking_slices(tiny) for user_id in tiny.splits.users_of(name).tolist()]
    assert len(asked) > 20
    for k in RECALL_AT:
        assert report.recall.filter(k=k).select("slice", "user_id").rows() == asked
    means = [report.mean_recall(k) for k in RECALL_AT]
    assert means == sorted(means)
    assert not report.recall["recall"].is_nan().any()


def test_targets_outside_the_catalogue_keep_recall_below_one(tiny: TinyRun, report: RetrievalReport) -> None:
    """500 candidates are the whole catalogue here; what is missed came out after the cut-off."""
    for name in asking_slices(tiny):
        catalogue = tiny.models[name].catalogue.item_ids.tolist()
        reachable = (
            tiny.splits.targets.filter(slice=name)
            .group_by("user_id")
            .agg(share=pl.col("item_id").is_in(catalogue).mean())
            .sort("user_id")["share"]
        )
        assert report.recall.filter(k=500, slice=name)["recall"].to_list() == pytest.approx(reachable.to_list())


def test_the_report_never_reads_the_targets_of_the_last_two_windows(tiny: TinyRun, report: RetrievalReport) -> None:
    judged = [name for window in tiny.splits.evaluation_windows[-2:] for name in tiny.splits.slices_of(window)]
    assert set(tiny.splits.slices_of(TEST)) < set(judged)
    without = replace(tiny.splits, targets=tiny.splits.targets.filter(~pl.col("slice").is_in(judged)))
    again = retrieval_report(tiny.ratings, without, tiny.models.__getitem__, tiny.index)
    assert again.recall.equals(report.recall)
    assert again.index_recall.equals(report.index_recall)


def test_a_flat_index_loses_nothing_on_the_queries_of_those_who_rated_last(
    tiny: TinyRun, report: RetrievalReport
) -> None:
    assert report.index_recall["user_id"].to_list() == tiny.ratings["user_id"].unique().sort().to_list()
    assert report.mean_index_recall() == 1.0


def test_the_latest_users_come_with_the_latest_of_their_ratings(tiny: TinyRun) -> None:
    last = tiny.ratings.sort("timestamp", "user_id").tail(1)
    again = last.with_columns(rating=pl.lit(0.5, pl.Float32), timestamp=pl.col("timestamp") + 9)
    users = latest_users(pl.concat([tiny.ratings, again]), tiny.model, n=2)
    assert last["user_id"].item() in users.user_ids.tolist()
    assert users.n_users == 2
    assert (np.diff(users.user_ids) > 0).all()
    row = users.user_ids.tolist().index(last["user_id"].item())
    own = slice(users.offsets[row], users.offsets[row + 1])
    rated = users.item_idx[own] == tiny.model.catalogue.idx_of(last["item_id"].to_numpy())
    assert users.ratings[own][rated].tolist() == [0.5]


def test_a_report_comes_back_as_it_was(report: RetrievalReport, tmp_path: Path) -> None:
    report.save(tmp_path)
    back = RetrievalReport.load(tmp_path)
    assert back.recall.equals(report.recall)
    assert back.index_recall.equals(report.index_recall)


def test_tower_vectors_and_index_of_one_build_match(tiny: TinyRun) -> None:
    assert embeddings_match(tiny.embeddings, tiny.index, tiny.model) < 1e-5
    inverted = build_index(tiny.embeddings.vectors, tiny.embeddings.item_ids, IndexConfig(flat_until=0, n_probe=1))
    assert embeddings_match(tiny.embeddings, inverted, tiny.model) < 1e-5


def test_fewer_items_than_are_asked_for_still_match(tiny: TinyRun) -> None:
    few = tiny.item_rows.head(4)
    model = train_retrieval_model(tiny.ratings, few, tiny.model.fit_end, QUICK_TRAINING).model
    embeddings = embed_items(model)
    for config in (IndexConfig(), IndexConfig(flat_until=0)):
        index = build_index(embeddings.vectors, embeddings.item_ids, config)
        assert embeddings_match(embeddings, index, model) < 1e-5


def test_rows_shifted_against_their_ids_are_noticed(tiny: TinyRun) -> None:
    ids, vectors = tiny.embeddings.item_ids, tiny.embeddings.vectors
    shifted = ItemEmbeddings(vectors=np.roll(vectors, 1, axis=0), item_ids=ids)
    index = build_index(shifted.vectors, ids, IndexConfig())
    assert embeddings_match(shifted, index, tiny.model) > 0.1  # both shifted alike
    assert embeddings_match(shifted, tiny.index, tiny.model) > 0.1
    assert embeddings_match(tiny.embeddings, index, tiny.model) > 0.1


def test_other_ids_never_match(tiny: TinyRun) -> None:
    ids, vectors = tiny.embeddings.item_ids, tiny.embeddings.vectors
    assert embeddings_match(tiny.embeddings, build_index(vectors, ids + 1, IndexConfig()), tiny.model) == np.inf
    renamed = ItemEmbeddings(vectors=vectors, item_ids=ids + 1)
    assert embeddings_match(renamed, build_index(vectors, ids + 1, IndexConfig()), tiny.model) == np.inf


def test_vectors_of_another_seed_or_of_another_length_never_match(tiny: TinyRun) -> None:
    for config in (QUICK_TRAINING.model_copy(update={"seed": 99}), QUICK_TRAINING.model_copy(update={"dim": 8})):
        other = train_retrieval_model(tiny.ratings, tiny.item_rows, tiny.model.fit_end, config).model
        stale = embed_items(other)
        index = build_index(stale.vectors, stale.item_ids, IndexConfig())
        assert embeddings_match(stale, index, tiny.model) > 0.1
        assert embeddings_match(tiny.embeddings, index, tiny.model) > 0.1
        assert embeddings_match(stale, tiny.index, tiny.model) > 0.1
