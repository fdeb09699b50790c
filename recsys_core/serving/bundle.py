"""Everything that one answer needs, taken from the lake together and refused when the parts do not belong together."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.splits import TEST
from recsys_core.errors import ArtifactError
from recsys_core.features.slices import of_slice
from recsys_core.lake.manifest import Manifest
from recsys_core.lake.names import split_key
from recsys_core.lake.store import Lake
from recsys_core.ranking.inputs import Proposer, proposer_of
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
    proposer: Proposer
    ranker: Ranker
    versions: dict[str, str]  # part -> version


def load_bundle(lake: Lake) -> Bundle:
    """The current version of every part.

    Raises:
        ArtifactError: a part is missing, damaged, or was made from other versions than the rest.
    """
    with lake.reading():
        manifests = {part: _manifest(lake, part) for part in PARTS}
        for part, manifest in manifests.items():
            _check_inputs(lake, part, manifest, manifests)
        folders = {part: lake.open(part, version=manifest.version) for part, manifest in manifests.items()}
        tower, index = load_tower(folders["two_tower"], TEST), ItemIndex.load(folders["faiss_index"])
        items = of_slice(read_table(folders["item_features"] / "item_features.parquet"), TEST)
        _check_numbering("faiss_index", index.item_ids, tower)
        _check_numbering("item_features", items["item_id"].to_numpy(), tower)
        return Bundle(
            movies=read_table(folders["movies"] / "movies.parquet"),
            ratings=read_table(folders["ratings"] / "ratings.parquet"),
            proposer=proposer_of(tower, items, index),
            ranker=Ranker.load(folders["ranker"]),
            versions={part: manifest.version for part, manifest in manifests.items()},
        )


def _manifest(lake: Lake, part: str) -> Manifest:
    manifest = lake.current(part)
    if manifest is None:
        raise ArtifactError(f"{part} has not been built yet: run `recsys run` first")
    return manifest


def _check_inputs(lake: Lake, part: str, made: Manifest, parts: dict[str, Manifest]) -> None:
    """Refuse a part that any other version of a part went into, also by way of what lies between.

    The ranker reads the tower's scores through its training rows: a refresh that stops before the ranker leaves one
    that learnt from another tower.
    """
    for name, version in made.lineage.inputs.items():
        if name not in parts:
            between = _made_as(lake, name, version)
            if between is not None:
                _check_inputs(lake, part, between, parts)
        elif parts[name].version != version:
            raise ArtifactError(
                f"{part} was made from {name} {version[:12]}, but {name} is now {parts[name].version[:12]}: "
                "run `recsys refresh`, so that all parts belong together"
            )


def _made_as(lake: Lake, key: str, version: str) -> Manifest | None:
    """How an input that is no part was made; None where it lies outside the lake or was collected."""
    asset, partition = split_key(key)
    try:
        now = lake.current(asset, partition)
        return now if now is not None and now.version == version else lake.verify(asset, partition, version)
    except ArtifactError:
        return None


def _check_numbering(part: str, item_ids: npt.NDArray[np.int64], tower: FittedTower) -> None:
    if not np.array_equal(item_ids, tower.catalogue.item_ids):
        raise ArtifactError(f"{part} numbers the items otherwise than two_tower does: run `recsys refresh`")
