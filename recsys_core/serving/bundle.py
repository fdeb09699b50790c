"""The bundle: all artifacts that an answer needs, loaded together, and refused where their versions do not match."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.data.ratings_table import every_rating
from recsys_core.data.splits import NOW
from recsys_core.errors import ArtifactError
from recsys_core.features.tables import of_slice
from recsys_core.lake.manifest import Manifest
from recsys_core.lake.names import split_key
from recsys_core.lake.store import Lake
from recsys_core.ranking.inputs import CandidateGenerator, generator_of
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.index import ItemIndex
from recsys_core.retrieval.model import load_retrieval_model
from recsys_core.serving import GROWING_PARTS, PARTS
from recsys_core.tables import read_table


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A consistent set of artifacts, called its parts."""

    movies: pl.DataFrame
    ratings: pl.DataFrame  # every known rating, also those that a later one replaced
    generator: CandidateGenerator
    ranker: Ranker
    versions: dict[str, str]  # part -> version

    @cached_property
    def release(self) -> str:
        """Sixteen hex digits over the versions of all parts except the ratings, which grow while a release answers."""
        parts = {part: version for part, version in self.versions.items() if part not in GROWING_PARTS}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def learned_until(self) -> int:
        """The training cut-off, seconds UTC: later ratings change histories, but not the models."""
        return self.generator.model.fit_end


def load_bundle(lake: Lake) -> Bundle:
    """The current version of every part.

    Raises:
        ArtifactError: a part is missing or damaged, or was made from other versions than the current ones.
    """
    with lake.reading():
        manifests = {part: _manifest(lake, part) for part in PARTS}
        for part, manifest in manifests.items():
            _check_inputs(lake, part, manifest, manifests)
        return read_bundle({part: lake.open(part, version=manifest.version) for part, manifest in manifests.items()})


def read_bundle(folders: Mapping[str, Path]) -> Bundle:
    """The parts in these folders, each named by its version.

    Raises:
        ArtifactError: a part is missing or damaged, or numbers the items differently from another.
    """
    model, index = load_retrieval_model(folders["two_tower"], NOW), ItemIndex.load(folders["faiss_index"])
    items = of_slice(read_table(folders["item_features"] / "item_features.parquet"), NOW)
    _check_numbering("faiss_index", index.item_ids, model.rated_ids)
    _check_numbering("item_features", items["item_id"].to_numpy(), model.catalogue.item_ids)
    ranker = Ranker.load(folders["ranker"])
    # A request has few rows: on a busy machine, threads would wait for each other many times longer than the work takes
    # (`python -m benchmarks.parity`). The scores have the same bits.
    ranker.booster.set_param({"nthread": 1})
    return Bundle(
        movies=read_table(folders["movies"] / "movies.parquet"),
        ratings=every_rating(*(read_table(folders[name] / f"{name}.parquet") for name in GROWING_PARTS)),
        generator=generator_of(model, items, index),
        ranker=ranker,
        versions={part: folder.name for part, folder in folders.items()},
    )


def _manifest(lake: Lake, part: str) -> Manifest:
    manifest = lake.current(part)
    if manifest is None:
        raise ArtifactError(f"{part} has not been built yet: run `recsys run` first")
    return manifest


def _check_inputs(lake: Lake, part: str, made: Manifest, parts: dict[str, Manifest]) -> None:
    """Refuse a part that was made from another version of a part, also through artifacts in between.

    The ranker learns from the scores of the two-tower model through its training rows: a refresh that stops before the
    ranker leaves a ranker that learned from another model.
    """
    for name, version in made.lineage.inputs.items():
        if name not in parts:
            between = _made_as(lake, name, version)
            if between is not None:
                _check_inputs(lake, part, between, parts)
        elif parts[name].version != version:
            raise ArtifactError(
                f"{part} was made from {name} {version[:12]}, but {name} is now {parts[name].version[:12]}: "
                "run `recsys refresh`, so that all parts match"
            )


def _made_as(lake: Lake, key: str, version: str) -> Manifest | None:
    """The manifest of an input that is not a part; None where it is outside the lake or was removed by `gc`."""
    asset, partition = split_key(key)
    try:
        now = lake.current(asset, partition)
        return now if now is not None and now.version == version else lake.verify(asset, partition, version)
    except ArtifactError:
        return None


def _check_numbering(part: str, item_ids: npt.NDArray[np.int64], expected: npt.NDArray[np.int64]) -> None:
    if not np.array_equal(item_ids, expected):
        raise ArtifactError(f"{part} numbers the items differently from two_tower: run `recsys refresh`")
