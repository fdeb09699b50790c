"""Run a module as `python -m` does, and end when the parent process ends, even if the parent is killed.

    python -m recsys_assets.ui.child_process MODULE ARGUMENTS...

Standard input is a pipe whose other end the parent holds and never writes to. When the parent ends, the kernel closes
that end, and this process interrupts its own process group, children included. So no process of the Dagster UI can
outlive it and keep launching runs unseen.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 10.0
"""Time between the interrupt and the kill of the process group."""


def main() -> None:
    """Watch the pipe in a thread, and run the module."""
    # A shell makes the processes that it starts in the background ignore interrupts, and their children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGINT)
    time.sleep(GRACE_S)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
