"""What all runs share: tags, logger and run config, failures that name their remedy, interrupts that are not lost."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import dagster as dg

from recsys_core.errors import RecsysError, machine_errors_explained

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run config for the runs of a refresh: Dagster's log lines go to its event log only, and ours to the terminal."""

console = dg.LoggerDefinition(
    dg.colored_console_logger.logger_fn,
    description="Prints nothing: every line is on the run's page, and `recsys` shows its own progress.",
    config_schema={
        "log_level": dg.Field(str, is_required=False, default_value="CRITICAL"),
        "name": dg.Field(str, is_required=False, default_value="dagster"),
    },
)
"""The logger of all jobs. Jobs of ops must name it themselves. Dagster's default prints a line for each event."""

SCOPE_TAG = "recsys/scope"
"""How much of the graph a run covers; the runs page of the UI filters by it."""

LAUNCHED_BY_TAG = "recsys/launched_by"
"""The command, job, sensor or schedule that started a run."""

DEFINITIONS = "recsys_assets.definitions"
"""The module of the definitions, and the name of the code location in the UI."""

JOB_PAGE_TAGS = {".dagster/repository": f"__repository__@{DEFINITIONS}"}
"""Tag that makes the UI list a run on its job's page. Dagster sets it only on runs that it launches itself, so runs
within our own process need it; Dagster exports no name for it."""

RESEND_S = 0.1
"""Delay before a lost interrupt is sent again: long enough for Python to leave the callback that lost it."""

OnRunStart = Callable[[str, Sequence[str]], None]
"""Called before each run starts, with the run's id and the assets that it makes or checks."""


def no_callback(_run_id: str, _assets: Sequence[str]) -> None:
    """The default `OnRunStart`: it does nothing."""


@contextmanager
def failures_with_remedy() -> Iterator[None]:
    """Turn a `RecsysError` into a failure of the step, described by the sentence that the command line would print.

    Raises:
        dg.Failure: caused by the `RecsysError`. The UI shows its description first, not below a traceback. Dagster
            does not retry, since it would meet the same problem.
    """
    try:
        with machine_errors_explained():
            yield
    except RecsysError as problem:
        raise dg.Failure(description=str(problem), allow_retries=False) from problem


@contextmanager
def resend_lost_interrupts() -> Iterator[None]:
    """Send an interrupt again if Python printed and dropped it, until one is raised.

    Python raises an interrupt wherever the main thread is at that moment. In a callback of the garbage collector, which
    runs often while libraries are imported, Python only prints the exception. *Terminate* in the UI would then have no
    effect.
    """
    before = sys.unraisablehook

    def resend(lost: "sys.UnraisableHookArgs") -> None:
        before(lost)
        if issubclass(lost.exc_type, KeyboardInterrupt | dg.DagsterExecutionInterruptedError):
            # From a thread: sent from here, it would be raised in this same callback and lost again.
            threading.Timer(RESEND_S, os.kill, (os.getpid(), signal.SIGINT)).start()

    sys.unraisablehook = resend
    try:
        yield
    finally:
        sys.unraisablehook = before
