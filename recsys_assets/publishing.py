"""One run of one asset: read inputs at pinned versions, publish with full lineage, tell Dagster what was published."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pydantic
from pydantic import JsonValue

from recsys_assets.metadata.numbers import shown
from recsys_assets.recipes import CODE_VERSION_TAG, RECIPES, ancestors
from recsys_assets.resources import LakeResource, settings_file
from recsys_core.errors import ArtifactError
from recsys_core.lake.manifest import Lineage, Manifest
from recsys_core.tables import read_table

Published = dg.MaterializeResult[None]
"""What every asset returns: its content hash and what is worth seeing of it."""

progress = logging.getLogger("recsys.progress")
"""One line as each asset begins and ends; the command line shows them."""


class AssetRun:
    """Reads the current version of each input once, and remembers which; the published lineage names them.

    Of a partitioned asset, one of these makes one partition.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        lake: LakeResource,
        config: pydantic.BaseModel | None = None,
        partition: str | None = None,
    ) -> None:
        self.context = context
        self.lake = lake
        self.partition = partition
        self.recipe = RECIPES[context.asset_key.path[-1]]
        self.parameters = config.model_dump(mode="json") if config else {}
        self._inputs: dict[str, str] = {}
        self._started = time.perf_counter()
        progress.info("%s", self._name)

    def folder(self, asset: str, partition: str | None = None) -> Path:
        """The verified files of an input, at the version that this run saw first.

        Raises:
            ArtifactError: the input is not declared, missing, or damaged.
        """
        if asset not in self.recipe.parents:
            raise ArtifactError(f"{self.recipe.name} reads {asset} without declaring it: add it to its deps")
        key = asset if partition is None else f"{asset}/{partition}"
        pinned = self._inputs.get(key)
        if pinned is None:
            manifest = self.lake.store.current(asset, partition)
            if manifest is None:
                raise ArtifactError(f"{key} has not been built yet: run `recsys refresh`, which builds what is missing")
            pinned = manifest.version
        self._inputs[key] = pinned
        return self.lake.store.open(asset, partition, pinned)

    def folders(self, assets: Iterable[str]) -> dict[str, Path]:
        """`folder` of several inputs, by name."""
        return {asset: self.folder(asset) for asset in assets}

    def table(self, asset: str, name: str | None = None) -> pl.DataFrame:
        """A table of an input, by default the one that is named like the asset."""
        return read_table(self.folder(asset) / f"{name or asset}.parquet")

    def settings_of(self, asset: str) -> Mapping[str, JsonValue]:
        """The settings that an input was made with."""
        version = self.folder(asset).name
        return self.lake.store.verify(asset, version=version).lineage.parameters

    def tell(self, what: str) -> None:
        """Say what a long run is doing now."""
        progress.info("%s: %s", self.recipe.name, what)

    def tell_rejected(self, rejected: pl.DataFrame) -> None:
        """Warn of what was set aside (QUARANTINE) while a file was read, naming the first."""
        if rejected.is_empty():
            return
        file, line, column, reason, value = rejected.row(0)
        progress.warning(
            "%s: %d set aside; the first is %s, line %d%s: %s (%r); all are on the asset's page in `recsys ui`",
            self._name, rejected.height, file, line, f", {column}" if column else "", reason, value,
        )  # fmt: skip

    def read_from_outside(self, name: str, version: str) -> "AssetRun":
        """Record an input that is not in the lake: a data set's file, a day's log; returns this run."""
        self._inputs[name] = version
        return self

    def publish(
        self,
        write: Callable[[Path], None],
        *,
        times: pl.Series | None = None,
        facts: Mapping[str, JsonValue] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Published:
        """Store what `write` puts into a folder, and report it under its content hash.

        Args:
            write: fills an empty folder.
            times: timestamps of the events that went in; their range goes into the manifest.
            facts: numbers worth keeping with the artifact; shown in the UI as well.
            metadata: shown in the UI only.

        Raises:
            ArtifactError: an input is declared that was not read.
        """
        self._refuse_unread()
        libraries = self.recipe.library_versions()
        code = self.recipe.code_version(self.parameters, libraries)
        lineage = Lineage(
            inputs=dict(sorted(self._inputs.items())),
            code_version=code,
            parameters=self.parameters,
            libraries=libraries,
            data_from=None if times is None else _bound(times.min()),
            data_until=None if times is None else _bound(times.max()),
            facts=dict(facts or {}),
        )
        manifest = self.lake.store.publish(self.recipe.name, write, lineage, partition=self.partition)
        duration_s = time.perf_counter() - self._started
        progress.info("%s in %.1f s", self._name, duration_s, extra={"is_done": True})
        # The version of the parameters that really ran: where the launchpad overrode them, Dagster too then shows the
        # asset as out of step with the settings.
        return dg.MaterializeResult(
            data_version=dg.DataVersion(manifest.version),
            # The UI keeps this order: first what the asset says, then where it comes from.
            metadata=shown(
                {**(metadata or {}), **(facts or {}), "duration_s": duration_s, **provenance(manifest)},
                self._kind_of_settings(),
            ),
            tags={CODE_VERSION_TAG: code},
        )

    def _refuse_unread(self) -> None:
        """An input that the lineage lacks would look new for ever."""
        read = {key.partition("/")[0] for key in self._inputs}
        expected = [name for name in self.recipe.parents if not RECIPES[name].is_partitioned]  # there may be no day yet
        unread = [name for name in (*expected, *self.recipe.outside) if name not in read]
        if unread:
            raise ArtifactError(
                f"{self.recipe.name} declares {', '.join(unread)} without reading it: drop it from its deps"
            )

    def _kind_of_settings(self) -> str:
        """What sets this build apart from others of the asset: a trial, or the name of a settings file.

        It is a trial where the launchpad gave this asset, or one above it, other settings than a refresh would take.
        """
        if self.parameters != self.recipe.parameters() or any(map(self._was_a_trial, ancestors(self.recipe.name))):
            return "trial"
        file = settings_file()
        return file.stem if file else ""

    def _was_a_trial(self, asset: str) -> bool:
        made = None if RECIPES[asset].is_partitioned else self.lake.store.current(asset)
        return made is not None and made.lineage.parameters != RECIPES[asset].parameters()

    @property
    def _name(self) -> str:
        return self.recipe.name if self.partition is None else f"{self.recipe.name} {self.partition}"


def together(context: dg.AssetExecutionContext, made: Mapping[str, Published]) -> Published:
    """The result of a run that made several partitions, as in a backfill; of one alone it is that one's.

    Dagster gives the partitions of one run one version between them, here a hash over theirs. Which version each has,
    the lake knows; that is what is read and judged.

    Args:
        context: of the run.
        made: partition -> its result, in order; at least one.
    """
    first, *others = made.values()
    if not others:
        return first
    versions = hashlib.sha256()
    for partition, one in made.items():
        context.add_asset_metadata(one.metadata or {}, partition_key=partition)
        versions.update(f"{partition} {one.data_version}\n".encode())
    return dg.MaterializeResult(data_version=dg.DataVersion(versions.hexdigest()), tags=first.tags)


def _bound(value: object) -> int | None:
    return int(value) if isinstance(value, int) else None


def provenance(manifest: Manifest) -> dict[str, Any]:
    """Where an artifact comes from, for the UI."""
    n_bytes = sum(entry.bytes for entry in manifest.files.values())
    return {
        "version": manifest.version[:12],
        "dagster/size_bytes": n_bytes,  # which the overview shows beside the row count
        "inputs": {name: version[:12] for name, version in manifest.lineage.inputs.items()},
        "parameters": dict(manifest.lineage.parameters),
        **(
            {
                "data_from": dg.MetadataValue.timestamp(float(manifest.lineage.data_from)),
                "data_until": dg.MetadataValue.timestamp(float(manifest.lineage.data_until)),
            }
            if manifest.lineage.data_from is not None and manifest.lineage.data_until is not None
            else {}
        ),
    }
