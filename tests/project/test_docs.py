"""The documents are complete and point at what exists."""

import re
import zipfile
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import pytest

from benchmarks import architecture
from benchmarks.architecture import assets_in_order, name_of
from benchmarks.stage_pages import PAGES, assets_part, pages
from recsys_assets import checks
from recsys_assets.asset_specs import ASSET_SPECS
from recsys_assets.resources import PROJECT
from recsys_core import STAGES
from recsys_core.evaluation.accuracy import METRICS
from recsys_core.feedback.importing import Limits, record_of
from recsys_core.feedback.records import Event

STAGE_SECTIONS = [
    "Inputs and outputs",
    "Rationale",
    "Trade-offs",
    "Pitfalls",
    "Settings",
    "How to change it",
    "Further reading",
]
ADR_PARTS = ["Context", "Decision", "Alternatives", "Consequences", "What would change our mind"]
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("benchmarks/*.md"), *(PROJECT / "docs").rglob("*.md")])
ADRS = sorted((PROJECT / "docs" / "adr").glob("[0-9]*.md"))
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def names(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text_of(path), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def settings() -> set[str]:
    return {field for spec in ASSET_SPECS.values() if spec.form for field in spec.form.model_fields}


def faults(pages: Iterable[Path], rule: Callable[[Path], Collection[object]]) -> dict[str, Collection[object]]:
    """What a rule finds wrong, by page."""
    return {names(page): found for page in pages if (found := rule(page))}


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in LINK.findall(re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append(target)
    return broken


def test_every_link_resolves() -> None:
    assert faults(DOCUMENTS, broken_links) == {}


def test_a_link_to_a_decision_bears_its_number() -> None:
    def misnumbered(page: Path) -> list[tuple[str, str]]:
        linked = re.findall(r"\[ADR (\d+)\]\((?:[^)\s]*/)?(\d{4})-[^)\s]*\)", text_of(page))
        return [(said, file) for said, file in linked if int(said) != int(file)]

    assert faults(DOCUMENTS, misnumbered) == {}


def test_every_test_that_is_named_exists() -> None:
    sources = (text_of(path) for path in (PROJECT / "tests").rglob("test_*.py"))
    known = {name for source in sources for name in re.findall(r"def (test_\w+)", source)} | settings()
    assert faults(DOCUMENTS, lambda page: set(re.findall(r"`(test_\w+)`", text_of(page))) - known) == {}


def test_every_check_that_is_named_exists() -> None:
    def unknown(page: Path) -> list[str]:
        named = re.findall(r"\bcheck\s+`(\w+)`", text_of(page))
        return [name for name in named if not any(hasattr(module, name) for module in checks.MODULES)]

    assert faults(DOCUMENTS, unknown) == {}


def test_a_stage_page_has_every_part() -> None:
    for stage in STAGES:
        text = text_of(PAGES / f"{stage}.md")
        found = [heading for heading in re.findall(r"^## (.*)$", text, re.M) if heading in STAGE_SECTIONS]
        assert (found, "**Purpose.**" in text) == (STAGE_SECTIONS, True), stage


def test_every_setting_and_feature_is_on_its_page_as_declared() -> None:
    differing = [path.name for path, text in pages().items() if text_of(path) != text]
    assert not differing, "run python -m benchmarks.stage_pages"


def test_a_stage_page_names_every_input_of_its_assets() -> None:
    for spec in assets_in_order():
        name = name_of(spec)
        rows = re.findall(rf"^\| `{name}` \| (.*?) \|", text_of(PAGES / f"{spec.group_name}.md"), re.M)
        assert set(re.findall(r"`(\w+)`", rows[0])) == set(ASSET_SPECS[name].parents), name
        assert bool(re.sub(r"`\w+`|[, ]", "", rows[0])) == bool(ASSET_SPECS[name].outside), name


def test_a_stage_page_names_every_module_of_its_stage() -> None:
    unnamed = []
    for stage in STAGES:
        text = text_of(PAGES / f"{stage}.md")
        package = PROJECT / "recsys_core" / stage
        modules = {path.stem for path in package.glob("*.py")} - {"__init__", "config", "schemas"}
        unnamed += [f"{stage}.md: {name}" for name in sorted(modules) if not re.search(rf"`{name}[`.]", text)]
    assert not unnamed


def test_an_asset_that_its_page_does_not_describe_is_named() -> None:
    with pytest.raises(ValueError, match=r"retrieval.md does not describe two_tower: add the row"):
        assets_part("retrieval", "")


def test_the_picture_of_the_packages_is_that_of_the_code() -> None:
    assert text_of(architecture.PAGE) == architecture.page(), "run python -m benchmarks.architecture"


def test_every_setting_says_why_and_has_bounds_where_it_is_a_number() -> None:
    for spec in ASSET_SPECS.values():
        for name, field in spec.form.model_fields.items() if spec.form else ():
            assert field.description, f"{spec.name}.{name}"
            assert field.annotation not in {int, float} or field.metadata, f"{spec.name}.{name} has no bounds"


def test_a_decision_has_every_part_and_one_page() -> None:
    for page in ADRS:
        text = text_of(page)
        at = [text.find(f"**{part}") for part in ADR_PARTS]
        assert at == sorted(at), page.name
        assert at[0] > 0, page.name
        assert len(text.split()) < 500, page.name


def test_every_decision_is_listed_once_in_order() -> None:
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", text_of(PROJECT / "docs/adr/README.md"))
    assert listed == [page.name for page in ADRS]


def test_every_metric_is_in_the_glossary() -> None:
    glossary = text_of(PROJECT / "docs/glossary.md").lower()
    assert [name for name in METRICS if f"{name.partition('@')[0]}@k" not in glossary] == []
    for name in ("coverage", "gini", "novelty", "popularity", "diversity", "genre miscalibration"):
        assert f"| {name} |" in glossary


def test_every_asset_is_on_the_page_of_its_stage_and_in_the_architecture() -> None:
    architecture = text_of(PROJECT / "docs/architecture.md")
    for name in ASSET_SPECS:
        assert name in architecture
        assert any(f"| `{name}` |" in text_of(PAGES / f"{stage}.md") for stage in STAGES), name


def code_links(text: str) -> list[str]:
    """The targets of a text's links to code."""
    return [target for target in LINK.findall(text) if target.startswith("../recsys_")]


def test_the_tour_follows_a_rating_that_exists_by_links_to_code() -> None:
    tour = text_of(PROJECT / "docs/tour.md")
    steps, _, files = tour.partition("## The files of the loop")
    assert 12 <= len(set(code_links(steps))) <= 14
    counted = re.search(r"you open (\d+) files", " ".join(files.split()))
    assert counted
    assert len(set(code_links(files))) == int(counted[1]) <= 35
    with zipfile.ZipFile(PROJECT / "data_lake/raw/ml-latest-small-2016.zip") as shipped:
        lines = shipped.read("ml-latest-small/ratings.csv").decode().splitlines()
    rating = lines[16_151 - 1]
    assert f"in line 16,151:\n\n```text\n{rating}\n```" in tour
    user, _, _, asked_at = rating.split(",")
    own = [int(line.rpartition(",")[2]) for line in lines if line.startswith(f"{user},")]
    prose = " ".join(tour.split())
    assert f"the {len(own)} ratings of this user" in prose
    assert f"The {sum(at < int(asked_at) for at in own)} ratings before it are the history" in prose


def test_the_event_of_the_tour_is_one() -> None:
    example = re.search(r"```json\n(.*)\n```", text_of(PROJECT / "docs/tour.md"))
    assert example
    event = record_of(example[1].encode(), Limits(now=1_800_000_000))
    assert isinstance(event, Event)
    assert (event.user_id, event.item_id) == (104, 318)


def test_the_changelog_says_what_moved() -> None:
    text = text_of(PROJECT / "CHANGELOG.md")
    assert "### Results" in text
    assert text.index("## Unreleased") < text.index("### Results")
