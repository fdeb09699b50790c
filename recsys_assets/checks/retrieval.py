"""What must be true of the retrieval models and the index."""

import dagster as dg

from recsys_assets.resources import LakeResource

MIN_INDEX_RECALL = 0.99
"""Share of the exact result that the index must return; below it, the index loses more than the model gains."""

MAX_DIFFERENCE = 1e-4
"""Between a score of the index and the dot product of the towers: both sum float32 numbers, in different orders."""


@dg.asset_check(asset="two_tower", blocking=True, additional_deps=["splits", "ratings", "implicit_feedback"])
def no_tower_knows_its_future(lake: LakeResource) -> dg.AssetCheckResult:
    """Every retrieval model was fitted on exactly the ratings and clicks that its slice may see."""
    from recsys_core.data.splits import Splits
    from recsys_core.retrieval.model import fitted_digest
    from recsys_core.tables import read_table

    ratings = read_table(lake.store.open("ratings") / "every_rating.parquet")
    clicks = read_table(lake.store.open("implicit_feedback") / "implicit_feedback.parquet")
    splits, facts = Splits.load(lake.store.open("splits")), lake.store.verify("two_tower").lineage.facts
    allowed = {name: fitted_digest(ratings, clicks, splits, name) for name in splits.names}
    wrong = [name for name in splits.names if facts.get(f"fitted_on.{name}") != allowed[name]]
    return dg.AssetCheckResult(passed=not wrong, metadata={"wrong": dg.MetadataValue.json(wrong)})


@dg.asset_check(asset="two_tower", blocking=True, additional_deps=["item_features"])
def towers_number_the_items_as_the_features(lake: LakeResource) -> dg.AssetCheckResult:
    """In every slice, row n of the model's items and row n of the item features are the same movie."""
    from recsys_core.data.splits import Splits
    from recsys_core.features.tables import of_slice
    from recsys_core.retrieval.model import load_retrieval_model
    from recsys_core.tables import read_table

    items, folder = read_table(lake.store.open("item_features") / "item_features.parquet"), lake.store.open("two_tower")
    wrong = [
        name
        for name in Splits.load(lake.store.open("splits")).names
        if load_retrieval_model(folder, name).catalogue.item_ids.tolist() != of_slice(items, name)["item_id"].to_list()
    ]
    return dg.AssetCheckResult(passed=not wrong, metadata={"slices_at_fault": dg.MetadataValue.json(wrong)})


@dg.asset_check(asset="faiss_index", blocking=True, additional_deps=["two_tower", "item_embeddings"])
def index_belongs_to_the_towers(lake: LakeResource) -> dg.AssetCheckResult:
    """The index holds the same ids in the same order, and its scores are the dot products of the towers."""
    from recsys_core.data.splits import NOW
    from recsys_core.retrieval.index import ItemIndex
    from recsys_core.retrieval.model import ItemEmbeddings, load_retrieval_model
    from recsys_core.retrieval.report import embeddings_match

    difference = embeddings_match(
        ItemEmbeddings.load(lake.store.open("item_embeddings")),
        ItemIndex.load(lake.store.open("faiss_index")),
        load_retrieval_model(lake.store.open("two_tower"), NOW),
    )
    return dg.AssetCheckResult(passed=difference <= MAX_DIFFERENCE, metadata={"largest_difference": difference})


@dg.asset_check(asset="retrieval_report", blocking=True)
def index_finds_what_is_there(lake: LakeResource) -> dg.AssetCheckResult:
    """After saving and loading, the index returns at least 99 % of what an exact search finds."""
    from recsys_core.retrieval.report import RetrievalReport

    recall = RetrievalReport.load(lake.store.open("retrieval_report")).mean_index_recall()
    return dg.AssetCheckResult(passed=recall >= MIN_INDEX_RECALL, metadata={"index_recall": recall})
