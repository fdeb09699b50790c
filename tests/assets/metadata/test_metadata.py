"""What the UI shows of each asset of a project that was really built."""

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from recsys_assets import definitions  # noqa: F401  # declares the assets, which fills ASSET_SPECS
from recsys_assets.asset_specs import ASSET_SPECS
from recsys_assets.metadata.feedback import MAX_PICTURED, interactions_metadata
from recsys_core.data.splits import Splits
from recsys_core.feedback.config import InteractionsConfig
from recsys_core.feedback.interactions import read_day
from recsys_core.feedback.sqlite_log import SqliteLog
from recsys_core.tables import read_table
from tests.assets.metadata.asked import ingest, print_metadata
from tests.assets.metadata.expected import EVERY, EXPECTED, LEARNED, TEXTS, Shown
from tests.assets.metadata.ink import DARK, LEAST_CONTRAST, WHITE, contrast, ink_on
from tests.assets.projects import Project
from tests.assets.refresh.test_planner import click, rating, write_log
from tests.conftest import Built
from tests.core.feedback.rows import impression

Seen = dict[str, dict[str, Any]]
"""Asset -> label -> (kind of metadata, value as JSON)."""

DAY = "2016-10-18"
MOST_BYTES = 30_000
MOST_UNASKED = 1_000
"""Characters of Markdown from which on the UI waits for a click."""
TABLES = sorted(name for name, shown in EXPECTED.items() if shown.tables)
PICTURES = [(name, label) for name, shown in sorted(EXPECTED.items()) for label in shown.pictures]
NUMERIC = {"int", "float"}


@pytest.fixture(scope="module")
def with_a_day(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The built project with one day of the log ingested.

    Of what was shown, the first item was rated and clicked; another click claims to be of tomorrow.
    """
    project = built.project.copy(tmp_path_factory.mktemp("looks") / "project")
    later = replace(click("e2", 2), timestamp=1_476_748_800 + 86_400, received_at=1_476_748_800 + 3_600)
    write_log(project, [rating(), click(), later])
    at = rating().timestamp - 60
    shown = [
        impression(1, place, user_id=1, item_id=place, requested_at=at, served_at=at * 1_000_000) for place in (1, 2)
    ]
    with SqliteLog(project.lake / "log") as log:
        log.append(impressions=shown)
    ingested = project.call(ingest, DAY)
    assert ingested.code == 0, ingested.err
    return project


@pytest.fixture(scope="module")
def seen(with_a_day: Project) -> Seen:
    found: Seen = with_a_day.call(print_metadata).json()
    return found


def files_of(project: Project, asset: str) -> dict[str, pl.DataFrame]:
    """The tables of an artifact by the names of their files."""
    if ASSET_SPECS[asset].is_partitioned:
        asset = f"{asset}/{DAY}"
    return {path.stem: read_table(path) for path in project.folder(asset).glob("*.parquet")}


def stored(project: Project, asset: str, shown: Shown) -> dict[str, pl.DataFrame]:
    """The same as the UI names them, the main table first; the test's targets count with the others."""
    files = files_of(project, asset)
    if asset == "splits":
        files["targets"] = pl.concat([files["targets"], files.pop("test_targets")])
    assert files.keys() == set(shown.tables), "a table that nobody documents"
    return {name: files[name] for name in shown.tables}


def schema_of(shown: Mapping[str, Any]) -> dict[str, Any]:
    """The columns, which the page of the evaluation keeps for later."""
    schema: dict[str, Any] = shown.get("dagster/column_schema", shown.get("columns"))[1]
    return schema


def columns_of(seen: Seen, asset: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in schema_of(seen[asset])["columns"]}


def image_of(shown: Mapping[str, Any], label: str) -> bytes:
    found = re.fullmatch(r"!\[[^\]]*\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", shown[label][1])
    assert found, f"{label} is no picture"
    return base64.b64decode(found[1])


def pictures_of(shown: Mapping[str, Any]) -> set[str]:
    return {label for label, (_, value) in shown.items() if isinstance(value, str) and ";base64," in value}


def test_it_is_written_down_what_is_shown_of_each_asset() -> None:
    assert EXPECTED.keys() == ASSET_SPECS.keys()


@pytest.mark.parametrize("asset", sorted(EXPECTED))
def test_every_asset_shows_its_numbers(asset: str, seen: Seen) -> None:
    shown = seen[asset]
    kinds = {label: kind for label, (kind, _) in shown.items()}
    wanted = {*EVERY, *EXPECTED[asset].numbers} | ({"dagster/row_count"} if EXPECTED[asset].tables else set())
    assert {label for label in wanted if kinds.get(label) not in NUMERIC} == set()
    assert set(TEXTS) <= shown.keys()
    assert shown["dagster/size_bytes"][1] > 0
    assert "bytes" not in shown, "the same twice"
    assert shown["duration_s"][1] >= 0
    versions = shown["inputs"][1]
    names = {name.split("/")[0] for name in versions}
    assert names == {*ASSET_SPECS[asset].parents, *ASSET_SPECS[asset].outside}


@pytest.mark.parametrize("asset", sorted(EXPECTED))
def test_every_asset_shows_its_pictures_and_no_others(asset: str, seen: Seen) -> None:
    assert pictures_of(seen[asset]) == set(EXPECTED[asset].pictures)


@pytest.mark.parametrize(("asset", "label"), PICTURES)
def test_a_picture_is_small_and_legible_on_white_and_on_dark(asset: str, label: str, seen: Seen) -> None:
    data = image_of(seen[asset], label)
    assert len(data) <= MOST_BYTES
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    assert 500 <= image.width <= 700
    assert np.asarray(image.convert("RGBA"))[..., 3].mean() < 0.7 * 255, "the page shows through"
    for page in (WHITE, DARK):
        ink = ink_on(image, page)
        assert len(ink) > 0.003 * image.width * image.height, "an empty picture"
        assert contrast(ink, page).min() >= LEAST_CONTRAST


@pytest.mark.parametrize("asset", TABLES)
def test_every_table_shows_how_many_rows_it_has(asset: str, seen: Seen, with_a_day: Project) -> None:
    main, *others = stored(with_a_day, asset, EXPECTED[asset]).items()
    assert seen[asset]["dagster/row_count"][1] == main[1].height
    assert {f"n_rows.{name}": seen[asset][f"n_rows.{name}"][1] for name, _ in others} == {
        f"n_rows.{name}": table.height for name, table in others
    }


@pytest.mark.parametrize("asset", TABLES)
def test_every_column_is_shown_with_its_type_and_what_it_means(asset: str, seen: Seen, with_a_day: Project) -> None:
    tables = stored(with_a_day, asset, EXPECTED[asset])
    main = EXPECTED[asset].tables[0]
    wanted = {
        column if name == main else f"{name}.{column}": str(dtype)
        for name, table in tables.items()
        for column, dtype in table.schema.items()
    }
    columns = columns_of(seen, asset)
    assert {name: one["type"] for name, one in columns.items()} == wanted
    assert [name for name, one in columns.items() if len(one["description"] or "") < 4] == []


@pytest.mark.parametrize("asset", TABLES)
def test_what_is_promised_of_a_column_holds(asset: str, seen: Seen, with_a_day: Project) -> None:
    tables, main = stored(with_a_day, asset, EXPECTED[asset]), EXPECTED[asset].tables[0]
    for name, one in columns_of(seen, asset).items():
        table, _, column = name.rpartition(".")
        values = tables[table or main][column]
        assert one["nullable"] or not values.null_count(), name
        assert one["nullable"] or not values.dtype.is_float() or not values.is_nan().any(), name
        assert not one["unique"] or values.n_unique() == len(values), name
        for bound in one["other"]:
            assert_bound(values, bound, name)


def assert_bound(values: pl.Series, bound: str, name: str) -> None:
    """Of numbers; other promises are those of a schema that the asset itself checked."""
    found = values.drop_nulls().drop_nans() if values.dtype.is_float() else values.drop_nulls()
    for sign, limit in re.findall(r"(>=|<=) (-?[\d,.]+(?:e[+-]?\d+)?)", bound):
        edge = float(limit.replace(",", ""))
        ok = (found >= edge).all() if sign == ">=" else (found <= edge).all()
        assert ok, f"{name}: {bound}"


@pytest.mark.parametrize("asset", sorted(EXPECTED))
def test_lineage_leads_from_columns_that_are_there_to_columns_that_are_there(asset: str, seen: Seen) -> None:
    assert ("dagster/column_lineage" in seen[asset]) == EXPECTED[asset].has_lineage
    if not EXPECTED[asset].has_lineage:
        return
    for column, sources in seen[asset]["dagster/column_lineage"][1].items():
        assert column in columns_of(seen, asset)
        assert sources, column
        for parent, source in sources:
            if EXPECTED[parent].tables:  # a part of a model is named like a column, such as two_tower.vectors
                assert source in columns_of(seen, parent), f"{asset}.{column} from {parent}.{source}"
            assert parent in ancestors(asset), f"{asset} is not made from {parent}"
            assert f"`{parent}.{source}`" in columns_of(seen, asset)[column]["description"]


def ancestors(asset: str) -> set[str]:
    parents = set(ASSET_SPECS[asset].parents)
    return parents.union(*(ancestors(parent) for parent in parents))


def test_times_are_shown_and_never_stored(seen: Seen, with_a_day: Project) -> None:
    """What differs from run to run would make every artifact a new version."""
    assert seen["retrieval_report"]["exact_search_p50_ms"][1] > 0
    facts = with_a_day.manifest("retrieval_report")["lineage"]["facts"]
    assert not [name for name in facts if name.endswith("_ms")]
    assert "p50_ms" not in str(files_of(with_a_day, "retrieval_report"))


def test_the_last_point_of_a_curve_is_the_figure_of_the_report_on_that_window(seen: Seen, with_a_day: Project) -> None:
    """Both curves look at the last development window, at its last step where each step has a tower of its own."""
    splits = Splits.load(with_a_day.folder("splits"))
    window = splits.development[-1]
    asked = [name for name in splits.asking if name in splits.slices_of(window)][-1]
    found = files_of(with_a_day, "retrieval_report")["recall"].filter(k=100, slice=asked)["recall"].to_numpy()
    ordered = files_of(with_a_day, "ranking_report")["per_user"].filter(window=window, order="ranking")["ndcg"]
    assert seen["two_tower"]["validation_recall@100"][1] == pytest.approx(found.mean(), rel=1e-3)
    assert seen["ranker"]["validation_ndcg@10"][1] == pytest.approx(ordered.to_numpy().mean(), rel=1e-3)


def test_the_page_of_the_evaluation_begins_with_its_figures(seen: Seen) -> None:
    shown = seen["eval_report"]
    assert "dagster/column_schema" not in shown, "forty-seven columns would stand above the first figure"
    first, second, *_ = shown
    assert first == "at_a_glance"
    assert len(shown[first][1]) < MOST_UNASKED
    assert shown[first][1].count("\u2588") > 20
    assert second == "n_users"
    assert len(str(shown["ndcg@10"][1])) <= 6, "0.1795, and not sixteen digits"


def test_the_models_and_their_report_say_until_when_those_that_serve_have_learned(seen: Seen) -> None:
    """Without a log, the towers and the ranker have learned from the same ratings."""
    told = {seen[name]["learned_until"][1] for name in LEARNED}
    assert told == {"2016-10-16T17:57:25+00:00"}


def test_days_of_the_log_are_counted_by_what_became_of_them(seen: Seen) -> None:
    shown = seen["interactions"]
    counts = {name: shown[name][1] for name in ("deliveries", "accepted", "rejected", "repeats")}
    assert counts == {"deliveries": 3, "accepted": 2, "rejected": 1, "repeats": 0}
    assert "from the future" in shown["rejected_rows"][1]


def test_each_of_many_days_in_one_run_has_its_numbers_and_no_pictures(tmp_path: Path) -> None:
    """Drawing takes a fifth of a second a day: of a year in one run, a minute."""
    with SqliteLog(tmp_path) as log:
        read = read_day(log, DAY, InteractionsConfig())
    few, many = (interactions_metadata(read, MAX_PICTURED + more) for more in (0, 1))
    assert few.keys() - many.keys() == {"arrivals", "fates_of_lines"}
    assert many.items() <= few.items()
