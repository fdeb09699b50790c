"""Stage 4, retrieval: the retrieval models, the item vectors, their index, and how many likes they find."""

import dagster as dg

from recsys_assets.asset_specs import versioned_asset
from recsys_assets.metadata.retrieval import (
    embeddings_metadata,
    index_metadata,
    retrieval_metadata,
    training_metadata,
    validation_curve,
)
from recsys_assets.pools import TRAINING
from recsys_assets.publishing import AssetRun, Published
from recsys_assets.resources import LakeResource
from recsys_assets.settings import from_settings
from recsys_core.retrieval.config import IndexConfig, TwoTowerConfig


@from_settings("two_tower")
class TwoTowerRun(dg.Config, TwoTowerConfig):
    """How the towers are built and trained."""


@from_settings("faiss_index")
class FaissIndexRun(dg.Config, IndexConfig):
    """How the item vectors are searched."""


@versioned_asset(
    deps=["ratings", "splits", "item_features", "implicit_feedback"],
    form=TwoTowerRun,
    libraries=["torch", "safetensors", "numpy", "scipy", "polars", "pyarrow"],
    kinds=["pytorch"],
    pool=TRAINING,
)
def two_tower(context: dg.AssetExecutionContext, config: TwoTowerRun, lake: LakeResource) -> Published:
    """The retrieval models: one per slice, fitted only on the ratings and clicks that this slice may see.

    Each starts from the weights of the model before it. The last has learned from everything that is known, and it
    serves. The others are evaluated, and propose the candidates that the ranker is trained on; they have not seen the
    answers. Look at `training`: if the loss falls and recall does not, the towers overfit.
    """
    from functools import partial

    from recsys_core.data.splits import Splits
    from recsys_core.retrieval.model import retrieval_facts, save_retrieval_models
    from recsys_core.retrieval.training import fit_retrieval_models

    run = AssetRun(context, lake, config)
    ratings, splits = run.table("ratings", "every_rating"), Splits.load(run.folder("splits"))
    items, clicks = run.table("item_features"), run.table("implicit_feedback")
    curve = validation_curve(ratings, splits, config, run.log_progress)
    models = fit_retrieval_models(ratings, items, splits, config, curve, clicks)
    return run.publish(
        partial(save_retrieval_models, models),
        times=ratings.filter(ratings["timestamp"] < max(model.fit_end for model in models.values()))["timestamp"],
        facts=retrieval_facts(models),
        metadata=training_metadata(models, curve),
    )


@versioned_asset(deps=["two_tower"], libraries=["numpy"], kinds=["numpy"])
def item_embeddings(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """The vector of every movie, from the retrieval model of `two_tower` that serves.

    Item vectors are the same for all users, so they are computed once and not at each request. Look at `lengths`: a
    movie with a very long vector is recommended to nearly all users.
    """
    from recsys_core.data.splits import NOW
    from recsys_core.retrieval.model import embed_items, load_retrieval_model

    run = AssetRun(context, lake)
    embeddings = embed_items(load_retrieval_model(run.folder("two_tower"), NOW))
    n_items, d = embeddings.vectors.shape
    facts = {"n_items": n_items, "n_dimensions": d}
    return run.publish(embeddings.save, facts=facts, metadata=embeddings_metadata(embeddings))


@versioned_asset(deps=["item_embeddings"], form=FaissIndexRun, libraries=["faiss-cpu", "numpy"], kinds=["faiss"])
def faiss_index(context: dg.AssetExecutionContext, config: FaissIndexRun, lake: LakeResource) -> Published:
    """The vectors of `item_embeddings` in a FAISS index that is searched by inner product.

    It lets a request consider a few hundred movies instead of all, since the ranker is too slow to score the whole
    catalogue. Up to a size the index is exact; above it, an inverted file. Look at `kind` for which one this is.
    """
    from recsys_core.retrieval.index import build_index
    from recsys_core.retrieval.model import ItemEmbeddings

    run = AssetRun(context, lake, config)
    embeddings = ItemEmbeddings.load(run.folder("item_embeddings"))
    index = build_index(embeddings.vectors, embeddings.item_ids, config)
    return run.publish(index.save, metadata=index_metadata(index))


@versioned_asset(
    deps=["ratings", "splits", "two_tower", "faiss_index"],
    libraries=["faiss-cpu", "numpy", "polars", "pyarrow"],
    kinds=["polars"],
)
def retrieval_report(context: dg.AssetExecutionContext, lake: LakeResource) -> Published:
    """How many liked movies of the development windows are among the candidates, and what the index loses.

    Made from the models of `two_tower` and the index of `faiss_index`. A movie that retrieval misses cannot be ranked.
    Look at `recall_by_k` for recall by the number of candidates, and at `index_frontier` for the speed and recall of
    other indexes.
    """
    from functools import partial

    from recsys_core.data.splits import NOW, Splits
    from recsys_core.retrieval.index import ItemIndex
    from recsys_core.retrieval.model import load_retrieval_model
    from recsys_core.retrieval.report import retrieval_report as make_report

    run = AssetRun(context, lake)
    ratings, splits = run.table("ratings", "every_rating"), Splits.load(run.folder("splits"))
    model_of = partial(load_retrieval_model, run.folder("two_tower"))
    report = make_report(ratings, splits, model_of, ItemIndex.load(run.folder("faiss_index")))
    return run.publish(
        report.save, facts=report.headline(), metadata=retrieval_metadata(report, ratings, model_of(NOW))
    )
