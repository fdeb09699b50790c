"""The way from an asset to its documentation."""

from pathlib import Path

import dagster as dg
import pytest

from recsys_assets.asset_specs import ASSET_SPECS, FEATURE_PAGES, pages_of
from recsys_assets.definitions import defs
from recsys_assets.resources import PROJECT
from recsys_core.features.registry import FEATURES, features_of

GRAPH = defs.resolve_asset_graph()


def links(asset: str) -> dict[str, dg.LocalFileCodeReference]:
    metadata = GRAPH.get(dg.AssetKey(asset)).metadata["dagster/code_references"]
    return {one.label: one for one in metadata.code_references}


@pytest.mark.parametrize("asset", sorted(ASSET_SPECS))
def test_an_asset_names_the_pages_that_explain_it_and_they_exist(asset: str) -> None:
    description = GRAPH.get(dg.AssetKey(asset)).description or ""
    for page in pages_of(asset, ASSET_SPECS[asset].stage):
        assert f"`{page}`" in description
        assert (PROJECT / page).is_file()
    assert f"| `{asset}` |" in (PROJECT / pages_of(asset, ASSET_SPECS[asset].stage)[0]).read_text(encoding="utf-8")


@pytest.mark.parametrize("asset", sorted(ASSET_SPECS))
def test_the_links_open_the_declaration_and_the_pages(asset: str) -> None:
    own, *pages = links(asset).values()
    path = Path(own.file_path)
    assert path == PROJECT / "recsys_assets" / "assets" / f"{ASSET_SPECS[asset].stage}.py"
    below = path.read_text(encoding="utf-8").splitlines()[(own.line_number or 0) - 1 :]
    declared = next(line for line in below if line.startswith("def "))
    assert declared.startswith(f"def {asset}(")
    assert [one.file_path for one in pages] == [
        str(PROJECT / page) for page in pages_of(asset, ASSET_SPECS[asset].stage)
    ]


def test_tables_of_features_lead_to_the_pages_of_all_their_groups() -> None:
    groups = {
        "item_features": features_of("item"),
        "user_features": features_of("user"),
        "ranking_examples": FEATURES,
    }
    assert {name: set(pages) for name, pages in FEATURE_PAGES.items()} == {
        name: {one.group for one in features} for name, features in groups.items()
    }
