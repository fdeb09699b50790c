"""Drafts hold plain files only, and what is written is written whole."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_core.errors import ArtifactError
from recsys_core.lake import Lake, Lineage, files


def link_to_file(folder: Path) -> None:
    (folder / "x").symlink_to("/etc/hostname")


def link_to_folder(folder: Path) -> None:
    (folder / "x").symlink_to("/etc")


def dangling_link(folder: Path) -> None:
    (folder / "x").symlink_to("nowhere")


def hard_link(folder: Path) -> None:
    outside = folder.parent.parent / "outside"
    outside.write_text("x")
    (folder / "x").hardlink_to(outside)


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "x")


def too_deep(folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "c").write_text("x")


def hidden(folder: Path) -> None:
    (folder / ".x").write_text("x")


def spaced(folder: Path) -> None:
    (folder / "a b").write_text("x")


def nothing(folder: Path) -> None:
    (folder / "empty").mkdir()


@pytest.mark.parametrize(
    "write", [link_to_file, link_to_folder, dangling_link, hard_link, pipe, too_deep, hidden, spaced, nothing]
)
def test_a_draft_with_anything_but_plain_files_is_refused_whole(
    write: Callable[[Path], None], lake: Lake, lineage: Lineage
) -> None:
    with pytest.raises(ArtifactError):
        lake.publish("a", write, lineage)
    assert lake.current("a") is None
    assert not list((lake.root / "drafts").glob("a-*"))


@pytest.mark.parametrize("link", ["artifacts/a", "artifacts/a/p"])
def test_a_link_within_the_lake_is_not_followed(link: str, lake: Lake, lineage: Lineage, text, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (lake.root / link).parent.mkdir(parents=True)
    (lake.root / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match="link"):
        lake.publish("a", text("x"), lineage, partition="p")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_file_swapped_for_a_link_to_equal_bytes_is_damage(lake: Lake, lineage: Lineage, text, tmp_path: Path) -> None:
    lake.publish("a", text("x"), lineage)
    file = lake.open("a") / "rows.txt"
    file.rename(tmp_path / "moved")
    file.symlink_to(tmp_path / "moved")
    with pytest.raises(ArtifactError, match=r"rows\.txt is a link"):
        lake.current("a")


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:3]))
    files.write_durably(tmp_path / "x", b"0123456789")
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_nothing_is_written_over(tmp_path: Path) -> None:
    files.write_durably(tmp_path / "x", b"old")
    with pytest.raises(FileExistsError):
        files.write_durably(tmp_path / "x", b"new")


def test_every_file_and_folder_is_synced_before_the_rename_that_shows_it(
    lake: Lake, lineage: Lineage, text, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    sync, rename = os.fsync, os.replace

    def noted_sync(descriptor: int) -> None:
        steps.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def noted_rename(source: Path, target: Path) -> None:
        steps.append(f"-> {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_rename)
    version = lake.publish("a", text("x"), lineage).version
    shown = steps.index(f"-> {version}")
    assert {"rows.txt", "0.bin", "parts", "files", "manifest.json", "CURRENT"} <= set(steps[:shown])
    assert steps[shown + 1 :] == ["a", "-> CURRENT", "a"]


def test_published_files_are_read_only(lake: Lake, lineage: Lineage, text) -> None:
    lake.publish("a", text("x"), lineage)
    assert (lake.open("a") / "rows.txt").stat().st_mode & 0o222 == 0
