"""Write the generated parts of the stage pages, and a page per group of features, from the code.

Usage:
    python -m benchmarks.stage_pages          # write them
    python -m benchmarks.stage_pages --check  # exit with 1 where a page differs

The table of assets takes its column *Made from* from the asset specs; its column *Holds* is written by hand and kept.
The reason for a default is written once, beside the default, and the page repeats it.
"""

import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pydantic

from benchmarks import PROJECT
from benchmarks.architecture import assets_in_order, name_of, parents_of
from benchmarks.generated import found, text_table, write_or_check, written
from recsys_assets.asset_specs import ASSET_SPECS
from recsys_core import STAGES
from recsys_core.features.feature import Feature, declared_in
from recsys_core.features.registry import GROUPS

PAGES = PROJECT / "docs" / "stages"
GROUP_PAGES = PROJECT / "docs" / "features"
COMMAND = "benchmarks.stage_pages"
OUTSIDE = {
    "source": "a zip or folder in a GroupLens layout",
    "log": "one day of the event log",
    "shown": "the event log (impressions)",
    "served": "the event log (requests and impressions)",
}
"""The inputs of assets that are not in the lake, in words."""


def pages() -> dict[Path, str]:
    """Every stage page as it should be, by path."""
    made = {}
    for stage in STAGES:
        path = PAGES / f"{stage}.md"
        text = path.read_text(encoding="utf-8")
        parts = {"settings": settings_part(stage)}
        if any(spec.group_name == stage for spec in assets_in_order()):
            parts["assets"] = assets_part(stage, text)
        if stage == "features":
            parts["features"] = features_part()
        made[path] = written(text, parts, COMMAND)
    return made | group_pages()


def assets_part(stage: str, text: str) -> str:
    """A table of the stage's assets: the inputs by the asset specs, the content as the page describes it.

    Raises:
        ValueError: the page has no row for an asset.
    """
    holds = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", found(text, "assets", COMMAND), re.MULTILINE))
    rows = []
    for spec in assets_in_order():
        name = name_of(spec)
        if spec.group_name == stage:
            if name not in holds:
                raise ValueError(f"docs/stages/{stage}.md does not describe {name}: add the row | `{name}` | | ... |")
            inputs = [f"`{parent}`" for parent in parents_of(spec)]
            inputs += [OUTSIDE[outside] for outside in ASSET_SPECS[name].outside]
            rows.append((f"`{name}`", ", ".join(inputs), holds[name]))
    return text_table(["Asset", "Made from", "Holds"], rows)


def settings_part(stage: str) -> str:
    """A table per form of the stage, under the names that a settings file uses."""
    assets_by_rows: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for spec in assets_in_order():
        form = ASSET_SPECS[name_of(spec)].form
        if spec.group_name == stage and form is not None:
            assets_by_rows.setdefault(_rows(form), []).append(name_of(spec))
    tables = []
    for rows, assets in assets_by_rows.items():
        names = " and ".join(f"`{asset}`" for asset in assets)
        tables.append(f"Settings of {names}:\n\n{text_table(['setting', 'default', 'allowed', 'why'], rows)}")
    return "\n\n".join(tables) or "This stage has no settings: the artifacts that it reads determine its results."


def features_part() -> str:
    """Every feature of the registry, group by group, in the order of the ranker's columns."""
    rows = tuple(
        (f"[{name_of_group(group)}](../features/{name_of_group(group)}.md)", purpose_of(group), _names(group))
        for group in GROUPS
    )
    return text_table(["group", "measures", "features"], rows)


def group_pages() -> dict[Path, str]:
    """A page per group of features, by path."""
    return {GROUP_PAGES / f"{name_of_group(group)}.md": group_page(group) for group in GROUPS}


def group_page(group: ModuleType) -> str:
    """All that is declared of the features of a group."""
    name = name_of_group(group)
    title, _, rest = (inspect.getdoc(group) or "").partition("\n")
    sections = [
        f"## `{one.name}`\n\n{one.description}\n\n{text_table(['', ''], _facts(one))}" for one in declared_in(group)
    ]
    source = f"Declared and computed in `recsys_core/features/{name}.py`, one function each. Back to [features]"
    return (
        "\n\n".join(
            [
                f"<!-- Written by `python -m {COMMAND}`: change the declarations instead. -->",
                f"# {title.removesuffix('.')}",
                rest.strip(),
                f"{source}(../stages/features.md); terms: [glossary](../glossary.md).",
                *sections,
            ]
        )
        + "\n"
    )


def name_of_group(group: ModuleType) -> str:
    """The module's own name."""
    return group.__name__.rpartition(".")[2]


def purpose_of(group: ModuleType) -> str:
    """What the first line of the module says after the colon."""
    first = (inspect.getdoc(group) or "").partition("\n")[0]
    return first.partition(": ")[2].removesuffix(".")


def _names(group: ModuleType) -> str:
    return ", ".join(f"`{one.name}`" for one in declared_in(group))


def _facts(one: Feature[Any]) -> tuple[tuple[str, str], ...]:
    default = "none: the ranker reads NaN and has a branch for it" if np.isnan(one.default) else f"{one.default:g}"
    return (
        ("entity", one.entity),
        ("type, unit", f"{one.dtype}, {one.unit}"),
        ("range", _range(one.low, one.high)),
        ("may be missing", "yes" if one.may_be_missing else "no: a missing value is an error"),
        ("default for a missing or stale value", default),
        ("stale after", "never: computed per request" if one.max_age_days is None else f"{one.max_age_days:,} days"),
        ("computed from", ", ".join(f"`{source}`" for source in one.sources)),
        ("owner", one.owner.removeprefix("team:")),
    )


def _rows(form: type[pydantic.BaseModel]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (f"`{name}`", f"`{_in_yaml(field.default)}`", _allowed(field), field.description or "")
        for name, field in form.model_fields.items()
    )


def _in_yaml(default: object) -> object:
    return "null" if default is None else default


def _allowed(field: pydantic.fields.FieldInfo) -> str:
    """The bounds of a setting in words."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(field.annotation))
    signs = {"Ge": "from", "Gt": "above", "Le": "to", "Lt": "below"}
    bounds = {type(one).__name__: one for one in field.metadata}
    words = [f"{sign} {getattr(bounds[kind], kind.lower()):,}" for kind, sign in signs.items() if kind in bounds]
    optional = ["`null`, or"] if type(None) in get_args(field.annotation) else []
    return " ".join([*optional, *(words or ["text"])])


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "any"
    return f"{low:g} to {high:g}" if high is not None and low is not None else f"from {low:g}"


if __name__ == "__main__":
    sys.exit(write_or_check(pages(), sys.argv[1:], usage=__doc__, command=COMMAND))
