"""Everything that one answer needs, taken from the lake together and refused when the parts do not belong together."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_core.data.splits import TEST
from recsys_core.errors import ArtifactError
from recsys_core.features.slices import of_slice
from recsys_core.lake.manifest import Manifest
from recsys_core.lake.store import Lake
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.index import ItemIndex
from recsys_core.retrieval.storage import load_tower
from recsys_core.retrieval.training import FittedTower
from recsys_core.tables import read_table

PARTS = ("movies", "ratings", "item_features", "two_tower", "item_embeddings", "faiss_index", "ranker")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """One consistent set of parts."""

    movies: pl.DataFrame
    ratings: pl.DataFrame
    item_rows: pl.DataFrame  # item_features as of the tower's fit_end
    tower: FittedTower
    index: ItemIndex
    ranker: Ranker
    versions: dict[str, str]  # part -> version


def load_bundle(lake: Lake) -> Bundle:
    """The current version of every part.

    Raises:
        ArtifactError: a part is missing, damaged, or was made from other versions than the rest.
    """
    with lake.reading():
        manifests = {part: _manifest(lake, part) for part in PARTS}
        _check_together(manifests)
        folders = {part: lake.open(part, version=manifest.version) for part, manifest in manifests.items()}
        bundle = Bundle(
            movies=read_table(folders["movies"] / "movies.parquet"),
            ratings=read_table(folders["ratings"] / "ratings.parquet"),
            item_rows=of_slice(read_table(folders["item_features"] / "item_features.parquet"), TEST),
            tower=load_tower(folders["two_tower"], TEST),
            index=ItemIndex.load(folders["faiss_index"]),
            ranker=Ranker.load(folders["ranker"]),
            versions={part: manifest.version for part, manifest in manifests.items()},
        )
    if not np.array_equal(bundle.index.item_ids, bundle.tower.catalogue.item_ids):
        raise ArtifactError("faiss_index numbers the items otherwise than two_tower does: run `recsys refresh`")
    return bundle


def _manifest(lake: Lake, part: str) -> Manifest:
    manifest = lake.current(part)
    if manifest is None:
        raise ArtifactError(f"{part} has not been built yet: run `recsys run` first")
    return manifest


def _check_together(manifests: dict[str, Manifest]) -> None:
    for part, manifest in manifests.items():
        for name, version in manifest.lineage.inputs.items():
            if name in manifests and manifests[name].version != version:
                raise ArtifactError(
                    f"{part} was made from {name} {version[:12]}, but {name} is now {manifests[name].version[:12]}: "
                    "run `recsys refresh`, so that all parts belong together"
                )
