"""Run a module as `python -m` does, and end with the process that started it, however that one ends.

    python -m recsys_assets.leash MODULE ARGUMENTS...

Standard input is the leash: a pipe whose other end the starter holds and never writes to. When the starter is gone,
killed or not, the kernel closes that end, and this process interrupts its own process group, children included. Nothing
that the Dagster UI needs can then outlive it and go on launching runs unseen.
"""

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 10.0


def main() -> None:
    """Watch the pipe in a thread, and become the module."""
    # A shell that starts something in the background has it ignore interrupts, and so would everything that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_follow, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _follow() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGINT)
    time.sleep(GRACE_S)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
