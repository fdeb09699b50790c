"""A process may be killed at any instant, and eight may write at once: no version is ever torn or lost."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_core.errors import ArtifactError
from recsys_core.lake import Lake, Lineage

Child = Callable[[Callable[[], object]], int]
DieAt = Callable[[int], None]
LINEAGE = Lineage(code_version="c1")
KILLED = -signal.SIGKILL


def rows(content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "rows.txt").write_text(content) and None


def publish(lake: Lake, content: str) -> str:
    return lake.publish("a", rows(content), LINEAGE).version


def content_of(lake: Lake) -> str | None:
    """What is current, verified; also that a sweep leaves no draft and that every stored version is whole."""
    lake.sweep()
    assert not list((lake.root / "drafts").glob("*"))
    for version in lake.versions("a"):
        lake.verify("a", version=version)
    return None if lake.current("a") is None else (lake.open("a") / "rows.txt").read_text()


def after_each_kill(
    tmp_path: Path, child: Child, die_at: DieAt, prepare: Callable[[Lake], object], act: Callable[[Lake], object]
) -> list[str | None]:
    """What is current after a kill at step 1, 2, 3 ... of the act, and last after the act ran to its end."""
    seen, status = [], KILLED
    while status == KILLED:
        lake = Lake(tmp_path / str(len(seen)))
        prepare(lake)
        status = child(lambda lake=lake: (die_at(len(seen) + 1), act(lake)))
        seen.append(content_of(lake))
        act(lake)  # whatever the kill left behind, the next run goes through
        assert content_of(lake) is not None
    assert status == 0
    assert len(seen) > 20
    return seen


def switches_once(seen: list[str | None], old: str | None, new: str) -> bool:
    """Whether the kills saw the old state up to some step, and the new one from there on."""
    first_new = seen.index(new)
    return seen == [old] * first_new + [new] * (len(seen) - first_new)


@pytest.mark.slow
@pytest.mark.usefixtures("unsynced")
def test_a_first_publication_killed_at_any_step_leaves_nothing_or_all(tmp_path: Path, child: Child, die_at: DieAt):
    seen = after_each_kill(tmp_path, child, die_at, lambda lake: None, lambda lake: publish(lake, "new"))
    assert switches_once(seen, None, "new")


@pytest.mark.slow
@pytest.mark.usefixtures("unsynced")
def test_a_further_publication_killed_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, child: Child, die_at: DieAt
):
    seen = after_each_kill(
        tmp_path, child, die_at, lambda lake: publish(lake, "old"), lambda lake: publish(lake, "new")
    )
    assert switches_once(seen, "old", "new")


@pytest.mark.slow
@pytest.mark.usefixtures("unsynced")
def test_a_rollback_killed_at_any_step_leaves_either_version(tmp_path: Path, child: Child, die_at: DieAt):
    versions: list[str] = []

    def prepare(lake: Lake) -> None:
        versions[:] = [publish(lake, "wanted"), publish(lake, "bad")]

    seen = after_each_kill(tmp_path, child, die_at, prepare, lambda lake: lake.restore("a", versions[0]))
    assert switches_once(seen, "bad", "wanted")


@pytest.mark.slow
@pytest.mark.usefixtures("unsynced")
def test_a_collection_killed_at_any_step_leaves_whole_versions(tmp_path: Path, child: Child, die_at: DieAt):
    def prepare(lake: Lake) -> None:
        for content in ("1", "2", "3"):
            publish(lake, content)

    assert set(after_each_kill(tmp_path, child, die_at, prepare, lambda lake: lake.gc(keep_last=1))) == {"3"}


@pytest.mark.slow
@pytest.mark.usefixtures("unsynced")
def test_a_repair_killed_at_any_step_shows_damage_or_the_whole_and_never_other_bytes(
    tmp_path: Path, child: Child, die_at: DieAt
):
    n, status = 0, KILLED
    while status == KILLED:
        n, lake = n + 1, Lake(tmp_path / str(n))
        version = publish(lake, "right")
        file = lake.root / "artifacts" / "a" / version / "rows.txt"
        file.chmod(0o644)
        file.write_text("wrong")
        status = child(lambda lake=lake, n=n: (die_at(n), publish(lake, "right")))
        with contextlib.suppress(ArtifactError):
            assert (lake.open("a") / "rows.txt").read_text() == "right"
        publish(lake, "right")
        assert content_of(lake) == "right"
    assert status == 0


@pytest.mark.slow
def test_two_hundred_kills_at_random_moments_lose_nothing_that_was_acknowledged(lake: Lake, forked: Child):
    """The writer says through a pipe what it has published; whatever it said must stay, whole, in this order."""
    moments = random.Random(7)
    said = 0
    for _ in range(200):
        readable, writable = os.pipe()

        def write(said: int = said, writable: int = writable) -> None:
            os.write(writable, said.to_bytes(4, "big"))
            for n in range(said + 1, said + 10_000):
                publish(lake, f"{n:08d}" * (1 + n % 5000))
                os.write(writable, n.to_bytes(4, "big"))

        pid = forked(write)
        os.close(writable)
        for _ in range(1 + moments.randrange(3)):  # a slow machine, too, must get somewhere before the kill
            said = int.from_bytes(os.read(readable, 4), "big")
        time.sleep(moments.uniform(0, 0.02))
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == KILLED
        with open(readable, "rb") as pipe:  # noqa: PTH123  it is a descriptor
            acknowledged = pipe.read()
        said = max(said, int.from_bytes(acknowledged[-4:], "big"))
        now = lake.current("a")
        found = 0 if now is None else int((lake.open("a") / "rows.txt").read_text()[:8])
        assert found in (said, said + 1)  # the last may have come into force without having been acknowledged
        said = found
        lake.sweep()
        assert not list((lake.root / "drafts").glob("*"))
    assert said > 100
    contents = {int((lake.open("a", version=one) / "rows.txt").read_text()[:8]) for one in lake.versions("a")}
    assert contents >= set(range(1, said + 1))


@pytest.mark.slow
def test_eight_writers_with_sweeps_and_collections_between_them_lose_nothing(lake: Lake, forked: Child):
    """Contents repeat among the writers, so that they also race for the same folder."""

    def write(writer: int) -> None:
        chance = random.Random(writer)
        for _ in range(25):
            version = publish(lake, str(chance.randrange(12)) * 1000)
            with lake.reading():  # a collection may run as soon as the publication is over
                assert lake.current("a") is not None
            lake.publish("own", rows(f"{writer}"), LINEAGE, partition=str(writer))
            assert len(version) == 64

    def tidy() -> None:
        for _ in range(30):
            lake.sweep()
            lake.gc(keep_last=3)

    children = [forked(lambda writer=writer: write(writer)) for writer in range(8)] + [forked(tidy)]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert statuses == [0] * 9
    assert content_of(lake) is not None
    assert [lake.verify("own", str(writer)).partition for writer in range(8)] == [str(writer) for writer in range(8)]
