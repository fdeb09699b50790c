"""How each asset is made, for the planner: its function, its parents, its settings, its libraries.

`versioned_asset` is the project's only way to declare an asset. It derives the code version from the source, so that
nobody bumps a version by hand, and remembers the recipe, so that `recsys refresh --plan` and Dagster judge by the same
facts.
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
from recsys_assets.failures import failures_with_remedy
from recsys_assets.interrupts import insistent_interrupts
from recsys_assets.metadata.pages import described, references
from recsys_assets.resources import LakeResource
from recsys_assets.settings import check
from recsys_core.fingerprint import code_version, library_version

Function = TypeVar("Function", bound=Callable[..., object])

CODE_VERSION_TAG = "dagster/code_version"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one asset is made.

    `source` is the version of the code alone, as this process loaded it. It is taken once, at declaration: who edits a
    module while a long run is on must find the results stale afterwards, not labelled as new.
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


RECIPES: dict[str, Recipe] = {}
"""Every declared asset by name; filled as the asset modules are imported."""


def ancestors(asset: str) -> set[str]:
    """All assets that one is made from, however far above it."""
    parents = set(RECIPES[asset].parents)
    return parents.union(*map(ancestors, parents))


class DagsterOptions(TypedDict, total=False):
    """How Dagster shows and runs an asset; nothing of it changes the asset's bytes."""

    kinds: Sequence[str]  # what it is made with, shown as icons
    pool: str  # of `pools`: only one asset of a pool is being made at a time
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
        outside: what it reads that is not in the lake; the planner asks for its version.
        form: its launch form, where it has settings.
        libraries: distributions whose version can change its bytes.
        options: what matters to Dagster alone; see `DagsterOptions`.
    """
    pool, partitions_def = options.get("pool"), options.get("partitions_def")

    def declare(function: Callable[..., object]) -> dg.AssetsDefinition:
        name, stage = function.__name__, function.__module__.rsplit(".", 1)[-1]
        recipe = Recipe(
            name=name,
            stage=stage,
            source=code_version(function, parameters={}, libraries=()),
            parents=tuple(deps),
            outside=tuple(outside),
            form=form,
            libraries=tuple(sorted(libraries)),
            is_partitioned=partitions_def is not None,
        )
        RECIPES[name] = recipe
        with warnings.catch_warnings():
            # A policy for backfills still counts as new; tests hold what we rely on.
            warnings.simplefilter("ignore", dg.BetaWarning)
            made = dg.asset(
                name=name,
                deps=list(deps),
                group_name=stage,
                description=described(inspect.getdoc(function) or "", name, stage),
                metadata=references(function, name, stage),
                code_version=recipe.code_version(recipe.parameters(), recipe.library_versions()),
                kinds=set(options.get("kinds", ())),
                pool=pool,
                partitions_def=partitions_def,
                backfill_policy=None if partitions_def is None else dg.BackfillPolicy.single_run(),
                owners=["team:recsys"],
                tags={"stage": stage},
            )(_run_of(function, name, pool))
        return made if form is None else _refusing_at_launch(made, form, name)

    return declare


def _refusing_at_launch(asset: dg.AssetsDefinition, form: type[pydantic.BaseModel], name: str) -> dg.AssetsDefinition:
    """Check the launchpad's values when a run is launched, and not only in its step, which would leave the asset red.

    Dagster knows the types of a form, but not its bounds. What it calls on each value before it makes a run is
    `post_process`.
    """
    shape = asset.op.config_schema.as_field().config_type

    def post_process(values: dict[str, Any]) -> dict[str, Any]:
        check(form, values, name)
        return values

    shape.post_process = post_process  # type: ignore[method-assign]  # of this form alone: a form's fields are its own
    return asset


def _run_of(function: Callable[..., object], name: str, pool: str | None) -> Callable[..., object]:
    """The function as Dagster runs it: alone in its pool, and with failures that name their remedy."""

    @functools.wraps(function)
    def run(context: dg.AssetExecutionContext, lake: LakeResource, **others: object) -> object:
        def tell() -> None:
            said = f"{name} waits: another process of this machine holds the pool {pool}"
            context.log.info(said)
            logging.getLogger("recsys.progress").warning(said)  # for the command line; see `publishing`

        held = pools.hold(Path(lake.root), pool, tell) if pool else nullcontext()
        with failures_with_remedy(), insistent_interrupts(), held:
            return function(context, lake=lake, **others)

    return run
