"""One run of one asset: read inputs at pinned versions, publish with full lineage, report the result to Dagster."""

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

from recsys_assets.asset_specs import ASSET_SPECS, CODE_VERSION_TAG, ancestors
from recsys_assets.resources import LakeResource, settings_file
from recsys_core.errors import ArtifactError
from recsys_core.lake.manifest import Lineage, Manifest
from recsys_core.tables import read_table

Published = dg.MaterializeResult[None]
"""What every asset returns: its content hash, and the metadata that the UI shows."""

SIGNIFICANT_DIGITS = 4
"""Digits of a float in the UI, which prints each digit that it is given; the artifacts hold the exact values."""

progress = logging.getLogger("recsys.progress")
"""Logs a line when each asset begins and ends; the command line shows these lines."""


class AssetRun:
    """Pins the current version of each input at its first read; the published lineage names these versions.

    For a partitioned asset, each instance makes one partition.
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
        self.spec = ASSET_SPECS[context.asset_key.path[-1]]
        self.parameters = config.model_dump(mode="json") if config else {}
        self._inputs: dict[str, str] = {}
        self._started = time.perf_counter()
        progress.info("%s", self._name)

    def folder(self, asset: str, partition: str | None = None) -> Path:
        """The verified files of an input, at the version that this run saw first.

        Raises:
            ArtifactError: the input is not declared, missing, or damaged.
        """
        if asset not in self.spec.parents:
            raise ArtifactError(f"{self.spec.name} reads {asset} without declaring it: add it to its deps")
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
        """The folders of several inputs, by name; see `folder`."""
        return {asset: self.folder(asset) for asset in assets}

    def table(self, asset: str, name: str | None = None) -> pl.DataFrame:
        """A table of an input, by default the one with the asset's name."""
        return read_table(self.folder(asset) / f"{name or asset}.parquet")

    def settings_of(self, asset: str) -> Mapping[str, JsonValue]:
        """The settings with which an input was made."""
        version = self.folder(asset).name
        return self.lake.store.verify(asset, version=version).lineage.parameters

    def log_progress(self, what: str) -> None:
        """Log what a long run is doing now."""
        progress.info("%s: %s", self.spec.name, what)

    def warn_of_rejected(self, rejected: pl.DataFrame) -> None:
        """Warn about rows that were set aside while a file was read (columns QUARANTINE), naming the first."""
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
            facts: numbers stored in the manifest; shown in the UI as well.
            metadata: shown in the UI only.

        Raises:
            ArtifactError: a declared input was not read.
        """
        self._refuse_unread()
        libraries = self.spec.library_versions()
        code = self.spec.code_version(self.parameters, libraries)
        lineage = Lineage(
            inputs=dict(sorted(self._inputs.items())),
            code_version=code,
            parameters=self.parameters,
            libraries=libraries,
            data_from=None if times is None else _bound(times.min()),
            data_until=None if times is None else _bound(times.max()),
            facts=dict(facts or {}),
        )
        manifest = self.lake.store.publish(self.spec.name, write, lineage, partition=self.partition)
        duration_s = time.perf_counter() - self._started
        progress.info("%s in %.1f s", self._name, duration_s, extra={"is_done": True})
        # The code version includes the parameters of this run. If the launchpad overrode them, Dagster also shows the
        # asset as out of date.
        return dg.MaterializeResult(
            data_version=dg.DataVersion(manifest.version),
            # The UI keeps this order: first the results, then the provenance.
            metadata=display_metadata(
                {**(metadata or {}), **(facts or {}), "duration_s": duration_s, **provenance(manifest)},
                self._kind_of_settings(),
            ),
            tags={CODE_VERSION_TAG: code},
        )

    def _refuse_unread(self) -> None:
        """A declared input that is missing in the lineage would make the asset stale forever."""
        read = {key.partition("/")[0] for key in self._inputs}
        # A partitioned input may have no partition yet.
        expected = [name for name in self.spec.parents if not ASSET_SPECS[name].is_partitioned]
        unread = [name for name in (*expected, *self.spec.outside) if name not in read]
        if unread:
            raise ArtifactError(
                f"{self.spec.name} declares {', '.join(unread)} without reading it: drop it from its deps"
            )

    def _kind_of_settings(self) -> str:
        """`trial`, the name of the settings file, or nothing for the defaults; *Plots* draws a line for each.

        A build is a trial if the launchpad gave this asset, or one above it, other settings than a refresh would use.
        """
        if self.parameters != self.spec.parameters() or any(map(self._was_a_trial, ancestors(self.spec.name))):
            return "trial"
        file = settings_file()
        return file.stem if file else ""

    def _was_a_trial(self, asset: str) -> bool:
        made = None if ASSET_SPECS[asset].is_partitioned else self.lake.store.current(asset)
        return made is not None and made.lineage.parameters != ASSET_SPECS[asset].parameters()

    @property
    def _name(self) -> str:
        return self.spec.name if self.partition is None else f"{self.spec.name} {self.partition}"


def together(context: dg.AssetExecutionContext, made: Mapping[str, Published]) -> Published:
    """The result of a run that made several partitions, as in a backfill; a single result is returned unchanged.

    Dagster gives all partitions of one run the same version, here a hash over the versions of the partitions. The lake
    knows the version of each partition; readers and the planner use that one.

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


def rounded(value: Any) -> Any:  # whatever Dagster takes as metadata
    """A float with four significant digits, or with one decimal from 1,000 on; anything else as it is.

    >>> rounded(0.17953216783), rounded(12345.678), rounded(7)
    (0.1795, 12345.7, 7)
    """
    if not isinstance(value, float):
        return value
    return round(value, 1) if abs(value) >= 10 ** (SIGNIFICANT_DIGITS - 1) else float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def display_metadata(metadata: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Metadata with rounded floats, and with the kind of settings in the name of each number.

    The UI draws one line through all builds of an asset that have a number of the same name. A build with other
    settings does not belong on that line, so its numbers have names of their own.

    Args:
        metadata: by label, in the order in which the UI shows it.
        kind: of settings, such as "trial"; empty for the defaults, whose numbers keep their names.
    """
    return {_label(name, value, kind): rounded(value) for name, value in metadata.items()}


def provenance(manifest: Manifest) -> dict[str, Any]:
    """Where an artifact comes from, for the UI."""
    n_bytes = sum(entry.bytes for entry in manifest.files.values())
    return {
        "version": manifest.version[:12],
        "dagster/size_bytes": n_bytes,  # the overview shows it beside the row count
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


def _label(name: str, value: object, kind: str) -> str:
    is_ours = isinstance(value, int | float) and not name.startswith("dagster/")
    return f"{name} ({kind})" if kind and is_ours else name


def _bound(value: object) -> int | None:
    return int(value) if isinstance(value, int) else None
