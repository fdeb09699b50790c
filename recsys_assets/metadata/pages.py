"""From an asset to its documentation: the pages that explain it, and where it is declared.

The documentation lies beside the code and has no address of its own, and a browser follows no link from the UI to a
file. What Dagster has for files is *code references*: links of the form that an editor registers for itself
(`vscode://file/...`; which editor is chosen in the UI's settings). So the declaration and each page are such
references, and the description names the page in words for whoever reads without an editor. Once the repository has an
address, `dg.link_code_references_to_git` over the same references makes links of them that work everywhere.
"""

import warnings
from collections.abc import Callable

import dagster as dg

from recsys_assets.resources import PROJECT

FEATURE_PAGES = {
    "item_features": ("items",),
    "user_features": ("users",),
    "ranking_examples": (
        "items", "users", "scores", "tastes", "collaborative", "fatigue", "context",
    ),
}  # fmt: skip
"""Asset -> the pages of the groups of features that it holds; a test compares them with the registry."""


def pages_of(asset: str, stage: str) -> list[str]:
    """The pages that explain an asset, as paths from the project's folder; the one of its stage first."""
    groups = FEATURE_PAGES.get(asset, ())
    return [f"docs/stages/{stage}.md", *(f"docs/features/{group}.md" for group in groups)]


def described(text: str, asset: str, stage: str) -> str:
    """The description of an asset with the names of its pages below."""
    named = ", ".join(f"`{page}`" for page in pages_of(asset, stage))
    return f"{text}\n\nExplained in {named}."


def references(function: Callable[..., object], asset: str, stage: str) -> dict[str, dg.CodeReferencesMetadataValue]:
    """Metadata of the definition: the declaration of an asset, and its pages where they are installed."""
    code = function.__code__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # only `asset_specs` depends on this beta feature
        links = [dg.LocalFileCodeReference(file_path=code.co_filename, line_number=code.co_firstlineno, label=asset)]
        links += [
            dg.LocalFileCodeReference(file_path=str(PROJECT / page), label=page)
            for page in pages_of(asset, stage)
            if (PROJECT / page).is_file()
        ]
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=links)}
