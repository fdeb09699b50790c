"""Collection frees what nobody needs, and nothing else."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_core.errors import ArtifactError
from recsys_core.lake import Lake, Lineage, artifact_versions

LINEAGE = Lineage(code_version="c1")


def rows(content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "rows.txt").write_text(content) and None


@pytest.fixture
def ticking(tmp_path: Path) -> Lake:
    """A lake whose clock advances by one with each publication."""
    ticks = iter(range(10_000))
    return Lake(tmp_path / "ticking", clock=lambda: float(next(ticks)))


def publish_all(lake: Lake, contents: str, asset: str = "a", partition: str | None = None) -> list[str]:
    return [lake.publish(asset, rows(content), LINEAGE, partition=partition).version for content in contents]


def test_the_youngest_the_current_and_the_kept_stay(ticking: Lake) -> None:
    versions = publish_all(ticking, "012345")
    ticking.restore("a", versions[1])
    report = ticking.gc(keep_last=2, keep={versions[2]})
    assert [one.version for one in report.freed] == [versions[0], versions[3]]
    assert ticking.versions("a") == [versions[1], versions[2], versions[4], versions[5]]


def test_the_report_says_how_much_space_came_free(ticking: Lake) -> None:
    publish_all(ticking, "01")
    folder = ticking.open("a", version=ticking.versions("a")[0])
    size = sum(path.stat().st_size for path in folder.iterdir())
    report = ticking.gc(keep_last=1)
    assert (report.bytes, report.freed[0].key) == (size, "a")
    assert not folder.exists()
    assert not list((ticking.root / "drafts").iterdir())


def test_each_partition_keeps_its_own(ticking: Lake) -> None:
    for partition in ("p", "q"):
        publish_all(ticking, "012", partition=partition)
    report = ticking.gc(keep_last=1)
    assert sorted(one.key for one in report.freed) == ["a/p", "a/p", "a/q", "a/q"]
    assert all(ticking.verify("a", partition) for partition in ("p", "q"))


def test_where_the_pointer_is_lost_nothing_goes(ticking: Lake) -> None:
    versions = publish_all(ticking, "012")
    (ticking.root / "artifacts" / "a" / "CURRENT").unlink()
    assert ticking.gc(keep_last=0).freed == ()
    ticking.restore("a", versions[0])
    assert len(ticking.gc(keep_last=0).freed) == 2


def test_damaged_versions_go_first(ticking: Lake) -> None:
    versions = publish_all(ticking, "012")
    (ticking.open("a", version=versions[1]) / "manifest.json").unlink()
    assert ticking.versions("a")[0] == versions[1]
    assert [one.version for one in ticking.gc(keep_last=2).freed] == [versions[1]]


def test_a_negative_number_is_refused(lake: Lake) -> None:
    with pytest.raises(ArtifactError, match="keep_last"):
        lake.gc(keep_last=-1)


@pytest.mark.usefixtures("unsynced")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.text("abcdef", min_size=1, max_size=8), keep_last=st.integers(0, 4), kept=st.sets(st.integers(0, 7)))
def test_collection_is_safe_complete_and_done_after_one_run(
    contents: str, keep_last: int, kept: set[int], ticking: Lake
) -> None:
    versions = publish_all(ticking, contents)
    keep = {versions[n] for n in kept if n < len(versions)}
    stored = ticking.versions("a")
    ticking.gc(keep_last, keep)
    needed = {versions[-1], *keep, *stored[max(0, len(stored) - keep_last) :]}
    assert set(ticking.versions("a")) == needed
    assert ticking.gc(keep_last, keep).freed == ()
    for version in needed:
        ticking.verify("a", version=version)


Forked = Callable[[Callable[[], object]], int]


def has_ended(pid: int) -> bool:
    """Whether the child ends within a time that is ample for a collection which does not wait."""
    for _ in range(30):
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return True
        time.sleep(0.01)
    return False


def test_collection_waits_for_readers(lake: Lake, forked: Forked) -> None:
    old, _ = publish_all(lake, "01")
    with lake.reading():
        pid = forked(lambda: lake.gc(keep_last=0))
        assert not has_ended(pid)
        assert (lake.open("a", version=old) / "rows.txt").read_text() == "0"
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert old not in lake.versions("a")


def test_collection_waits_for_a_version_that_is_placed_but_not_yet_current(
    lake: Lake, forked: Forked, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_all(lake, "0")
    pids: list[int] = []
    swap = artifact_versions.swap_pointer

    def slow_swap(*args: object) -> None:
        pids.append(forked(lambda: lake.gc(keep_last=0)))
        assert not has_ended(pids[0])
        swap(*args)

    with monkeypatch.context() as patch:
        patch.setattr(artifact_versions, "swap_pointer", slow_swap)
        made = lake.publish("a", rows("1"), LINEAGE)
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0
    assert lake.verify("a") == made
    assert lake.versions("a") == [made.version]


def test_collection_does_not_wait_for_a_writer_that_is_still_computing(lake: Lake) -> None:
    def write(folder: Path) -> None:
        rows("1")(folder)
        assert len(lake.gc(keep_last=0).freed) == 1

    publish_all(lake, "ab")
    assert lake.publish("a", write, LINEAGE) == lake.verify("a")
