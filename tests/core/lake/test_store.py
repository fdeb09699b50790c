"""What is published can be read back, unchanged, for as long as it is wanted."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_core.errors import ArtifactError
from recsys_core.lake import Lake, Lineage


def test_an_empty_store_has_nothing_and_reading_says_how_to_fill_it(lake: Lake) -> None:
    assert lake.current("a") is None
    assert (lake.assets(), lake.versions("a"), lake.partitions("a"), lake.sweep()) == ([], [], [], [])
    with pytest.raises(ArtifactError, match="recsys refresh"):
        lake.open("a")


def test_looking_into_a_folder_that_is_not_there_does_not_make_it(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "misspelt")
    assert (lake.survey(["a"], deep=True), lake.gc(0).freed, lake.sweep()) == ({"a": None}, (), [])
    with pytest.raises(ArtifactError, match=r"nothing was built in .*misspelt yet: .* or choose another lake"):
        lake.open("a")
    assert not (tmp_path / "misspelt").exists()


def test_what_is_published_is_current_and_reads_back(lake: Lake, lineage: Lineage, text) -> None:
    made = lake.publish("a", text("hello"), lineage)
    assert lake.current("a") == lake.verify("a") == made
    assert (lake.open("a") / "rows.txt").read_text() == "hello"
    assert lake.open("a").name == made.version
    assert sorted(made.files) == ["parts/0.bin", "rows.txt"]
    assert made.lineage == lineage


def test_equal_content_gets_an_equal_version_whatever_it_was_made_from(lake: Lake, lineage: Lineage, text) -> None:
    one = lake.publish("a", text("x"), lineage)
    other = lake.publish("b", text("x"), Lineage(code_version="other"))
    assert one.version == other.version
    assert lake.publish("a", text("y"), lineage).version != one.version


def test_equal_content_keeps_its_folder_and_the_pointer_learns_the_new_lineage(
    lake: Lake, lineage: Lineage, text
) -> None:
    first = lake.publish("a", text("x"), lineage)
    before = (lake.open("a") / "manifest.json").stat()
    again = lake.publish("a", text("x"), Lineage(code_version="c2"))
    assert lake.current("a") == again
    assert again.lineage.code_version == "c2"
    after = (lake.open("a") / "manifest.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert lake.verify("a", version=first.version).lineage == lineage
    assert lake.versions("a") == [first.version]


def test_damaged_content_is_replaced_when_the_same_content_is_published(lake: Lake, lineage: Lineage, text) -> None:
    lake.publish("a", text("x"), lineage)
    file = lake.open("a") / "rows.txt"
    file.chmod(0o644)
    file.write_text("y")
    with pytest.raises(ArtifactError, match=r"rows\.txt has changed.*recsys refresh"):
        lake.open("a")
    made = lake.publish("a", text("x"), lineage)
    assert lake.verify("a") == made
    assert not list((lake.root / "drafts").iterdir())


def test_partitions_are_apart_from_each_other_and_from_the_whole(lake: Lake, lineage: Lineage, text) -> None:
    days = {day: lake.publish("log", text(day), lineage, partition=day) for day in ("2024-01-02", "2024-01-01")}
    assert lake.current("log") is None
    assert lake.partitions("log") == ["2024-01-01", "2024-01-02"]
    assert lake.current("log", "2024-01-02") == days["2024-01-02"]
    whole = lake.publish("log", text("head"), lineage)
    assert lake.versions("log") == [whole.version]
    assert lake.assets() == ["log"]


def test_versions_are_listed_oldest_first(tmp_path: Path, lineage: Lineage, text) -> None:
    ticks = iter(range(100))
    lake = Lake(tmp_path, clock=lambda: next(ticks))
    made = [lake.publish("a", text(str(n)), lineage).version for n in range(5)]
    assert lake.versions("a") == made


def test_an_older_version_can_be_restored_with_its_lineage(lake: Lake, lineage: Lineage, text) -> None:
    old = lake.publish("a", text("old"), lineage)
    new = lake.publish("a", text("new"), Lineage(code_version="c2"))
    assert lake.restore("a", old.version) == lake.current("a") == old
    assert lake.open("a", version=new.version).is_dir()


def test_a_damaged_version_is_not_restored(lake: Lake, lineage: Lineage, text) -> None:
    old = lake.publish("a", text("old"), lineage)
    new = lake.publish("a", text("new"), lineage)
    (lake.open("a", version=old.version) / "rows.txt").unlink()
    with pytest.raises(ArtifactError, match=r"rows\.txt"):
        lake.restore("a", old.version)
    assert lake.current("a") == new


def lose_pointer(shelf: Path) -> None:
    (shelf / "CURRENT").unlink()


def lose_version(shelf: Path) -> None:
    version = next(path for path in shelf.iterdir() if path.is_dir())
    version.rename(shelf.parent / "away")


def empty_pointer(shelf: Path) -> None:
    (shelf / "CURRENT").write_bytes(b"")


def folder_as_pointer(shelf: Path) -> None:
    (shelf / "CURRENT").unlink()
    (shelf / "CURRENT").mkdir()


def link_as_pointer(shelf: Path) -> None:
    (shelf / "CURRENT").rename(shelf.parent.parent / "elsewhere")
    (shelf / "CURRENT").symlink_to(shelf.parent.parent / "elsewhere")


def fifo_as_pointer(shelf: Path) -> None:
    (shelf / "CURRENT").unlink()
    os.mkfifo(shelf / "CURRENT")


def fifo_as_manifest(shelf: Path) -> None:
    manifest = next(shelf.glob("*/manifest.json"))
    manifest.unlink()
    os.mkfifo(manifest)


def file_as_version(shelf: Path) -> None:
    version = next(path for path in shelf.iterdir() if path.is_dir())
    version.rename(shelf.parent.parent / "away")
    version.write_text("a file")


def folder_as_manifest(shelf: Path) -> None:
    manifest = next(shelf.glob("*/manifest.json"))
    manifest.unlink()
    manifest.mkdir()


def pointer_with_infinity(shelf: Path) -> None:
    """One byte: a digit of the duration or of the time becomes the e of an exponent."""
    text = (shelf / "CURRENT").read_text()
    (shelf / "CURRENT").write_text(re.sub(r'"made_at": [0-9.e-]+', '"made_at": 1e454562', text))


def pointer_of_brackets(shelf: Path) -> None:
    (shelf / "CURRENT").write_text("[" * 200_000)


def manifest_of_nested_parameters(shelf: Path) -> None:
    manifest = next(shelf.glob("*/manifest.json"))
    manifest.chmod(0o644)
    nested = '"parameters": ' + '{"a": ' * 900 + "1" + "}" * 900
    manifest.write_text(re.sub(r'"parameters": \{[^}]*\}', nested, manifest.read_text()))


def pointer_of_another(shelf: Path) -> None:
    (shelf / "CURRENT").write_bytes((shelf.parent / "other" / "CURRENT").read_bytes())


@pytest.mark.parametrize(
    "harm",
    [
        lose_pointer,
        lose_version,
        empty_pointer,
        folder_as_pointer,
        link_as_pointer,
        fifo_as_pointer,
        fifo_as_manifest,
        pointer_of_another,
        file_as_version,
        folder_as_manifest,
        pointer_with_infinity,
        pointer_of_brackets,
        manifest_of_nested_parameters,
    ],
)
def test_a_store_that_lost_something_does_not_look_empty_and_is_mended_by_a_rebuild(
    harm: Callable[[Path], None], lake: Lake, lineage: Lineage, text
) -> None:
    lake.publish("other", text("x"), lineage)
    lake.publish("a", text("x"), lineage)
    harm(lake.root / "artifacts" / "a")
    for ask in (lake.current, lake.open, lake.verify):
        with pytest.raises(ArtifactError, match=r"a: .*recsys refresh"):
            ask("a")
    assert "a" in lake.assets()
    assert isinstance(lake.survey(["a"])["a"], ArtifactError)
    made = lake.publish("a", text("x"), lineage)
    assert lake.verify("a") == made


@pytest.mark.parametrize("partition", [None, "2024-01-01"])
@pytest.mark.parametrize("which", ["a", "a/2024-01-01"])
def test_a_file_in_place_of_a_folder_is_damage_and_a_rebuild_replaces_it(
    which: str, partition: str | None, lake: Lake, lineage: Lineage, text
) -> None:
    made = lake.publish("a", text("x"), lineage, partition=partition)
    place = lake.root / "artifacts" / which
    if place.exists():
        place.rename(lake.root / "away")
        place.write_text("a file")
        with pytest.raises(ArtifactError, match=r"there is a file in place of its folder: .*recsys refresh"):
            lake.current("a", partition)
    assert lake.publish("a", text("x"), lineage, partition=partition).version == made.version
    assert lake.verify("a", partition).version == made.version
    assert lake.gc(keep_last=0).freed == ()


def test_a_version_moved_to_another_asset_is_not_taken_for_its_own(lake: Lake, lineage: Lineage, text) -> None:
    version = lake.publish("a", text("x"), lineage).version
    lake.publish("b", text("y"), lineage)
    (lake.root / "artifacts" / "a" / version).rename(lake.root / "artifacts" / "b" / version)
    with pytest.raises(ArtifactError, match="belongs to another"):
        lake.open("b", version=version)


def test_an_added_file_is_damage(lake: Lake, lineage: Lineage, text) -> None:
    lake.publish("a", text("x"), lineage)
    (lake.open("a") / "extra.txt").write_text("x")
    with pytest.raises(ArtifactError, match=r"extra\.txt"):
        lake.current("a")


def test_when_writing_fails_the_error_passes_and_the_lake_is_as_before(lake: Lake, lineage: Lineage, text) -> None:
    made = lake.publish("a", text("x"), lineage)

    def fail(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("no convergence")

    with pytest.raises(RuntimeError, match="no convergence"):
        lake.publish("a", fail, lineage)
    assert lake.current("a") == made
    assert not list((lake.root / "drafts").iterdir())


def test_the_callback_may_itself_read_and_publish(lake: Lake, lineage: Lineage, text) -> None:
    def write(folder: Path) -> None:
        inner = lake.publish("a", text("inner"), lineage)
        (folder / "copy.txt").write_text((lake.open("a", version=inner.version) / "rows.txt").read_text())

    lake.publish("a", write, lineage)
    assert (lake.open("a") / "copy.txt").read_text() == "inner"


def test_a_survey_returns_damage_and_the_deep_one_hashes(lake: Lake, lineage: Lineage, text) -> None:
    made = lake.publish("a", text("x"), lineage, partition="p")
    assert lake.survey(["a", "a/p"]) == {"a": None, "a/p": made}
    file = lake.open("a", "p") / "rows.txt"
    file.chmod(0o644)
    file.write_text("y")
    assert lake.survey(["a/p"]) == {"a/p": made}
    assert isinstance(lake.survey(["a/p"], deep=True)["a/p"], ArtifactError)


def test_importing_the_lake_imports_nothing_heavy() -> None:
    code = "import sys, recsys_core.lake, recsys_core.lake.staleness; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "polars", "pyarrow", "torch", "faiss", "xgboost", "dagster"} & set(loaded)
