"""A name never leads out of the lake."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.errors import ArtifactError
from recsys_core.lake import Lake, Lineage
from recsys_core.lake.names import checked_name, checked_version, key_of, split_key

HOSTILE = [
    "", ".", "..", "../x", "a/b", "/etc", "a\\b", ".hidden", "-rf", "_x", "a b", "a\n", "a\0", "é", "٣", "x" * 129,
    "CURRENT", "current", "manifest.json", "0" * 64, "~", "$HOME", "a:b", "a@b",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused_by_every_way_in(name: str, lake: Lake, lineage: Lineage, text) -> None:
    with pytest.raises(ArtifactError, match="cannot name"):
        lake.publish(name, text("x"), lineage)
    with pytest.raises(ArtifactError, match="cannot name"):
        lake.publish("a", text("x"), lineage, partition=name)
    for ask in (lake.current, lake.open, lake.verify, lake.versions, lake.partitions):
        with pytest.raises(ArtifactError, match="cannot name"):
            ask(name)


def test_a_refused_name_leaves_no_trace_on_the_disk(tmp_path: Path, lineage: Lineage, text) -> None:
    with pytest.raises(ArtifactError):
        Lake(tmp_path / "lake").publish("../out", text("x"), lineage)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", ["", "../../x", "A" * 64, "0" * 63, "0" * 65, "CURRENT"])
def test_only_a_content_hash_is_taken_for_a_version(version: str, lake: Lake, lineage: Lineage, text) -> None:
    lake.publish("a", text("x"), lineage)
    with pytest.raises(ArtifactError, match="not a version"):
        checked_version(version)
    for ask in (lambda: lake.open("a", version=version), lambda: lake.restore("a", version)):
        with pytest.raises(ArtifactError, match="not a version"):
            ask()


@pytest.mark.parametrize("name", ["ratings", "2024-01-01", "day=2024-01-01", "v1.2_x", "A" * 128, "7"])
def test_ordinary_names_are_allowed(name: str) -> None:
    assert checked_name(name) == name


@given(st.text(alphabet=string.printable + "é/\\\0", max_size=8))
def test_an_allowed_name_stays_one_level_below_its_folder(name: str) -> None:
    try:
        checked_name(name)
    except ArtifactError:
        return
    path = Path("/lake") / name
    assert path.parent == Path("/lake")
    assert path.resolve() == path


def test_a_key_splits_into_what_it_was_made_of() -> None:
    assert split_key(key_of("a", "p")) == ("a", "p")
    assert split_key(key_of("a")) == ("a", None)
