"""Declare assets, and record for the planner how each is made: its code, parents, settings and libraries.

`versioned_asset` is the project's only way to declare an asset. It derives the code version from the source, so no
version is bumped by hand, and records the spec, so that `recsys refresh --plan` and Dagster use the same facts.
"""

import functools
import hashlib
import inspect
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import dagster as dg
import pydantic

from recsys_assets import pools
from recsys_assets.resources import PROJECT, LakeResource
from recsys_assets.runs import failures_with_remedy, resend_lost_interrupts
from recsys_assets.settings import validate
from recsys_core.feedback.records import FIRST_DAY
from recsys_core.fingerprint import code_version, library_version

Function = TypeVar("Function", bound=Callable[..., object])

CODE_VERSION_TAG = "dagster/code_version"

arrival_days = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC")
"""The partitions of logged interactions: one per UTC day of arrival that is over. The current day has none, because its
log may still grow. The planner also waits for a grace period (`grace_s`)."""

FEATURE_PAGES = {
    "item_features": ("items",),
    "user_features": ("users",),
    "ranking_examples": ("items", "users", "user_item", "context"),
}
"""Asset -> its groups of features, each of which has a page of its own; a test compares them with the registry."""


@dataclass(frozen=True, kw_only=True)
class VersionedAssetSpec:
    """How one asset is made.

    `source` is the version of the code alone, as this process loaded it. It is computed once, at declaration: if a
    module is edited during a long run, the run's results must be stale afterwards, not labelled with the new code.
    """

    name: str
    stage: str
    source: str
    parents: tuple[str, ...]
    outside: tuple[str, ...]
    form: type[pydantic.BaseModel] | None
    libraries: tuple[str, ...]
    is_partitioned: bool

    def parameters(self) -> dict[str, Any]:
        """The settings that a run without launchpad input uses."""
        return self.form().model_dump(mode="json") if self.form else {}

    def code_version(self, parameters: Mapping[str, object], libraries: Mapping[str, str]) -> str:
        """The version of the source with these parameters and versions of libraries."""
        content = json.dumps([self.source, dict(parameters), dict(libraries)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def library_versions(self) -> dict[str, str]:
        """The installed version of each library."""
        return {name: library_version(name) for name in self.libraries}


ASSET_SPECS: dict[str, VersionedAssetSpec] = {}
"""Every declared asset by name; filled as the asset modules are imported."""


def ancestors(asset: str) -> set[str]:
    """All assets that an asset is made from, directly or indirectly."""
    parents = set(ASSET_SPECS[asset].parents)
    return parents.union(*map(ancestors, parents))


def pages_of(asset: str, stage: str) -> list[str]:
    """The pages that explain an asset, as paths from the project's folder; the one of its stage first."""
    groups = FEATURE_PAGES.get(asset, ())
    return [f"docs/stages/{stage}.md", *(f"docs/features/{group}.md" for group in groups)]


class DagsterOptions(TypedDict, total=False):
    """How Dagster shows and runs an asset; none of these options changes the asset's bytes."""

    kinds: Sequence[str]  # file formats and libraries, shown as icons
    pool: str  # of `pools`: only one asset of a pool is made at a time
    partitions_def: dg.PartitionsDefinition[str]  # a backfill of several partitions is one run over all of them


def versioned_asset(
    *,
    deps: Sequence[str] = (),
    outside: Sequence[str] = (),
    form: type[pydantic.BaseModel] | None = None,
    libraries: Sequence[str] = (),
    **options: Unpack[DagsterOptions],
) -> Callable[[Callable[..., object]], dg.AssetsDefinition]:
    """Declare an asset whose code version follows from its source, settings and libraries.

    Args:
        deps: assets that it reads.
        outside: names of inputs that are not in the lake; the planner asks for their versions.
        form: its settings, as shown in the launchpad; None if it has none.
        libraries: distributions whose version can change its bytes.
        options: passed on to Dagster; see `DagsterOptions`.
    """
    pool, partitions_def = options.get("pool"), options.get("partitions_def")

    def declare(function: Callable[..., object]) -> dg.AssetsDefinition:
        name, stage = function.__name__, function.__module__.rsplit(".", 1)[-1]
        spec = VersionedAssetSpec(
            name=name,
            stage=stage,
            source=code_version(function, parameters={}, libraries=()),
            parents=tuple(deps),
            outside=tuple(outside),
            form=form,
            libraries=tuple(sorted(libraries)),
            is_partitioned=partitions_def is not None,
        )
        ASSET_SPECS[name] = spec
        with warnings.catch_warnings():
            # Dagster marks backfill policies as beta; our tests cover the behaviour that we rely on.
            warnings.simplefilter("ignore", dg.BetaWarning)
            made = dg.asset(
                name=name,
                deps=list(deps),
                group_name=stage,
                description=_description(inspect.getdoc(function) or "", name, stage),
                metadata=_code_references(function, name, stage),
                code_version=spec.code_version(spec.parameters(), spec.library_versions()),
                kinds=set(options.get("kinds", ())),
                pool=pool,
                partitions_def=partitions_def,
                backfill_policy=None if partitions_def is None else dg.BackfillPolicy.single_run(),
                owners=["team:recsys"],
                tags={"stage": stage},
            )(_step_function(function, name, pool))
        return made if form is None else _validate_at_launch(made, form, name)

    return declare


def _description(text: str, asset: str, stage: str) -> str:
    """The description of an asset, followed by the names of its pages."""
    named = ", ".join(f"`{page}`" for page in pages_of(asset, stage))
    return f"{text}\n\nExplained in {named}."


def _code_references(
    function: Callable[..., object], asset: str, stage: str
) -> dict[str, dg.CodeReferencesMetadataValue]:
    """Links from the asset's page in the UI to its declaration, and to the pages that explain it if they are installed.

    The documentation has no address of its own, and a browser follows no link from the UI to a file. Dagster's *code
    references* to files are links that an editor opens (`vscode://file/...`; the UI's settings choose the editor). Once
    the repository has an address, `dg.link_code_references_to_git` turns the same references into web links.
    """
    code = function.__code__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # nothing else depends on this beta feature
        links = [dg.LocalFileCodeReference(file_path=code.co_filename, line_number=code.co_firstlineno, label=asset)]
        links += [
            dg.LocalFileCodeReference(file_path=str(PROJECT / page), label=page)
            for page in pages_of(asset, stage)
            if (PROJECT / page).is_file()
        ]
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=links)}


def _validate_at_launch(asset: dg.AssetsDefinition, form: type[pydantic.BaseModel], name: str) -> dg.AssetsDefinition:
    """Check the launchpad's values when a run is launched: a check in the step alone would leave the asset red.

    Dagster knows the types of a form, but not its bounds. It calls `post_process` on each value before it creates a
    run.
    """
    shape = asset.op.config_schema.as_field().config_type

    def post_process(values: dict[str, Any]) -> dict[str, Any]:
        validate(form, values, name)
        return values

    shape.post_process = post_process  # type: ignore[method-assign]  # affects this form only: config types are not shared between forms
    return asset


def _step_function(function: Callable[..., object], name: str, pool: str | None) -> Callable[..., object]:
    """The function that Dagster runs as a step: it holds the pool, and its failures name their remedy."""

    @functools.wraps(function)
    def run(context: dg.AssetExecutionContext, lake: LakeResource, **others: object) -> object:
        def report_waiting() -> None:
            message = f"{name} waits: another process of this machine holds the pool {pool}"
            context.log.info(message)
            logging.getLogger("recsys.progress").warning(message)  # the command line shows it; see `publishing`

        held = pools.hold(Path(lake.root), pool, report_waiting) if pool else nullcontext()
        with failures_with_remedy(), resend_lost_interrupts(), held:
            return function(context, lake=lake, **others)

    return run
