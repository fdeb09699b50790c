"""Detect runs whose process died, and mark them as failed.

Dagster watches only runs that its code server started, and only while that server lives. A `recsys refresh` that was
killed, or a machine that lost power, would leave runs that look alive forever and count against the limits of the
queue. So each process that executes runs itself locks a folder and tags its runs with the folder's name. The kernel
releases the lock when the process dies.
"""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from recsys_core.lake import drafts, locks

OWNER_TAG = ".dagster/recsys_owner"  # the UI hides tags that begin with .dagster/
SERVER_TAG = ".dagster/grpc_info"  # Dagster's own: the code server that started the run
RUNNING = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@contextmanager
def run_owner(instance: dg.DagsterInstance) -> Iterator[dict[str, str]]:
    """Tags for the runs of this process; such runs count as alive until the block ends or the process dies."""
    with drafts.draft(_owners(instance), "process") as folder:
        yield {OWNER_TAG: folder.name}


def mark_failed(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of dead processes as failed; returns their ids. What they published stays and is valid.

    A run that neither a code server nor `run_owner` started is left alone: we cannot tell whether it lives.
    """
    suspects = [run for run in instance.get_runs(dg.RunsFilter(statuses=RUNNING)) if _is_dead(instance, run.tags)]
    # A process may have finished its run after the listing above, and only then released its folder: ask again.
    known = [instance.get_run_by_id(run.run_id) for run in suspects]
    dead = [run for run in known if run is not None and run.status in RUNNING]
    for run in dead:
        instance.report_run_failed(
            run,
            "The process of this run is dead: it was killed, or the machine went down. What it published is valid; "
            "`recsys refresh`, or the job `refresh`, continues from there.",
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
    """Whether a code server still listens at the address of the run's server; a server ends together with its runs."""
    family = socket.AF_UNIX if "socket" in server else socket.AF_INET
    address = str(server["socket"]) if "socket" in server else (str(server["host"]), int(str(server["port"])))
    with socket.socket(family) as client:
        return client.connect_ex(address) == 0
