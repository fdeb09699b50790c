"""A module run as a child process can be interrupted, even if its parent was started in the background."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from recsys_assets.resources import PROJECT

WAITS = """
import time
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("heard")
"""


def test_an_interrupt_is_heard_where_the_starter_ignores_it(tmp_path: Path) -> None:
    """As below a shell that runs a script and starts something with `&`."""
    (tmp_path / "waits.py").write_text(WAITS)
    command = [sys.executable, "-m", "recsys_assets.ui.child_process", "waits"]
    paths = os.pathsep.join([str(tmp_path), str(PROJECT)])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == b"heard\n"
    finally:
        signal.signal(signal.SIGINT, before)
