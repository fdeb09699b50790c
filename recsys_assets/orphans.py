"""Runs that Dagster holds for running although their process is dead, and how we tell.

Dagster watches only runs that its code server started, and only while that server lives. A `recsys refresh` that was
killed, or a machine that lost power, would leave runs that look alive for ever and count against the limits of the
queue. So each process that runs assets itself marks its runs with the name of a folder that it holds locked, which the
kernel releases when the process dies.
"""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from recsys_core.lake import drafts, locks

OWNER_TAG = ".dagster/recsys_owner"  # tags that begin like this are not shown in the UI
SERVER_TAG = ".dagster/grpc_info"  # Dagster's own: the code server that started the run
RUNNING = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@contextmanager
def owned(instance: dg.DagsterInstance) -> Iterator[dict[str, str]]:
    """The tags by which runs of this process are known to live as long as the block lasts."""
    with drafts.draft(_owners(instance), "process") as folder:
        yield {OWNER_TAG: folder.name}


def bury(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of dead processes as failed; returns their ids. What was published by them stays and is in order.

    A run that neither a code server nor `owned` started is left alone: nobody can tell whether it lives.
    """
    suspects = [run for run in instance.get_runs(dg.RunsFilter(statuses=RUNNING)) if _is_dead(instance, run.tags)]
    # A process may have ended its run well after this was listed, and only then have let go of its folder.
    known = [instance.get_run_by_id(run.run_id) for run in suspects]
    dead = [run for run in known if run is not None and run.status in RUNNING]
    for run in dead:
        instance.report_run_failed(
            run,
            "The process of this run is dead: it was killed, or the machine went down. What it published is in order; "
            "`recsys refresh`, or the job `refresh`, goes on from there.",
        )
    drafts.sweep(_owners(instance))
    return [run.run_id for run in dead]


def _owners(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory) / "owners"


def _is_dead(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> bool:
    if OWNER_TAG in tags:
        folder = _owners(instance) / tags[OWNER_TAG]
        lock = locks.try_folder(folder)
        if lock is not None:
            locks.release(lock)
        return lock is not None or not folder.is_dir()
    return SERVER_TAG in tags and not _answers(json.loads(tags[SERVER_TAG]))


def _answers(server: Mapping[str, object]) -> bool:
    """Whether a code server listens where the run's did; it ends together with its runs."""
    family = socket.AF_UNIX if "socket" in server else socket.AF_INET
    address = str(server["socket"]) if "socket" in server else (str(server["host"]), int(str(server["port"])))
    with socket.socket(family) as client:
        return client.connect_ex(address) == 0
