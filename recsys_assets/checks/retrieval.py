"""What must hold of retrieval."""

import dagster as dg

from recsys_assets.resources import LakeResource

LEAST_INDEX_RECALL = 0.99
"""Share of the exact answer that the index must give; below it, the index rather than the model limits the product."""

LARGEST_DIFFERENCE = 1e-4
"""Between a score of the index and the towers' dot product: float32 sums in another order, no more."""


@dg.asset_check(asset="two_tower", blocking=True, additional_deps=["splits", "ratings", "implicit_feedback"])
def no_tower_knows_its_future(lake: LakeResource) -> dg.AssetCheckResult:
    """Every tower was fitted on exactly the ratings and clicks that models of its slice may see."""
    from recsys_core.data.splits import Splits
    from recsys_core.retrieval.training import fitted_digest
    from recsys_core.tables import read_table

    ratings = read_table(lake.store.open("ratings") / "every_rating.parquet")
    clicks = read_table(lake.store.open("implicit_feedback") / "implicit_feedback.parquet")
    splits, facts = Splits.load(lake.store.open("splits")), lake.store.verify("two_tower").lineage.facts
    allowed = {name: fitted_digest(ratings, clicks, splits, name) for name in splits.names}
    wrong = [name for name in splits.names if facts.get(f"fitted_on.{name}") != allowed[name]]
    return dg.AssetCheckResult(passed=not wrong, metadata={"wrong": dg.MetadataValue.json(wrong)})


@dg.asset_check(asset="two_tower", blocking=True, additional_deps=["item_features"])
def towers_number_the_items_as_the_features(lake: LakeResource) -> dg.AssetCheckResult:
    """Row n of a tower's items and row n of its slice's features are the same movie, in every slice."""
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
    """Ids in the same order, and the index's scores are the towers' dot products."""
    from recsys_core.data.splits import NOW
    from recsys_core.retrieval.index import ItemIndex
    from recsys_core.retrieval.model import load_retrieval_model
    from recsys_core.retrieval.report import embeddings_match
    from recsys_core.retrieval.vectors import ItemEmbeddings

    difference = embeddings_match(
        ItemEmbeddings.load(lake.store.open("item_embeddings")),
        ItemIndex.load(lake.store.open("faiss_index")),
        load_retrieval_model(lake.store.open("two_tower"), NOW),
    )
    return dg.AssetCheckResult(passed=difference <= LARGEST_DIFFERENCE, metadata={"largest_difference": difference})


@dg.asset_check(asset="retrieval_report", blocking=True)
def index_finds_what_is_there(lake: LakeResource) -> dg.AssetCheckResult:
    """After saving and loading, the index gives at least 99 % of the exact answer."""
    from recsys_core.retrieval.report import RetrievalReport

    recall = RetrievalReport.load(lake.store.open("retrieval_report")).mean_index_recall()
    return dg.AssetCheckResult(passed=recall >= LEAST_INDEX_RECALL, metadata={"index_recall": recall})
