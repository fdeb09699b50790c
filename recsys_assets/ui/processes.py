"""Start the processes of the Dagster UI, and stop them together: `recsys ui`.

    code server   loads the definitions and starts runs; serves the other two on a socket in a private folder
    webserver     the pages, behind the guard
    daemon        queue, sensors, schedules, and the monitoring of runs

The daemon does not monitor the waves of the job `refresh` nor the runs of the command line, so this process does.

`dagster dev` starts the same three processes, but its webserver is open to every web page. Each process leads a process
group of its own, so that its children are stopped with it.
"""

import importlib
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import yaml

from recsys_assets.instance import instance, ready_for_runs
from recsys_assets.refresh import dead_runs
from recsys_assets.runs import DEFINITIONS
from recsys_core.errors import RecsysError, SettingsError
from recsys_core.lake import locks

START_S, STOP_S, POLL_S = 120.0, 20.0, 0.2
WATCH_S = 10.0
"""How often to look for runs whose process is dead."""

MAX_CONNECTIONS = 400
"""Pages and websockets together; an open page of the UI holds fewer than ten."""
MIN_DESCRIPTORS = 4 * MAX_CONNECTIONS
"""The process needs more descriptors for databases, the socket of the code server, and other files."""

FOLDER_PREFIX = "recsys-ui-"
LONGEST_FOLDER = 70
"""A socket's path may have 103 characters on macOS and 107 on Linux, including the socket's own name."""


class UiProcessError(RecsysError):
    """One of the UI's processes ended by itself, or did not start."""


def serve_ui(port: int, announce: Callable[[str], None]) -> None:
    """Serve the UI until Ctrl-C or a termination signal; all its processes end with it.

    Args:
        port: on 127.0.0.1.
        announce: called with the address when pages can be opened.

    Raises:
        SettingsError: the settings are wrong, the port is taken, or the UI of this lake is open already.
        UiProcessError: one of the processes ended by itself; its own message is printed above.
    """
    importlib.import_module(DEFINITIONS)  # refuse wrong settings here; a code server would only print them
    home = ready_for_runs()
    raise_descriptor_limit()
    with _only_ui(home, port), private_folder(home / "ui" / "folder") as folder, interruptible():
        _refuse_taken(port)
        try:
            with Processes(folder) as processes, instance() as dagster:
                _start(processes, folder, port)
                announce(_address(port))
                while True:
                    processes.wait(WATCH_S)
                    dead_runs.mark_failed(dagster)
        except KeyboardInterrupt:
            return


def raise_descriptor_limit(wanted: int = MIN_DESCRIPTORS) -> int:
    """Raise the soft limit on open files as far as the hard limit allows; child processes inherit it.

    Returns:
        The soft limit that is now in force, which may be below `wanted`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (ValueError, OSError):  # macOS has another limit, below the hard one
        return soft
    return allowed


class Processes:
    """Processes that end together; leaving the block stops them, last started first.

    Args:
        folder: their folder of temporary files. Dagster opens sockets there, which no other user may reach.
    """

    def __init__(self, folder: Path) -> None:
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = os.environ | {"TMPDIR": str(folder)}

    def __enter__(self) -> Self:
        """Enter without starting anything."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all processes."""
        for name in reversed(self.running):
            _stop(self.running[name])

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Run a module in a child process that ends with this one, even after a kill -9."""
        command = [sys.executable, "-m", "recsys_assets.ui.child_process", module, *arguments]
        self.running[name] = subprocess.Popen(command, stdin=subprocess.PIPE, env=self.environment, process_group=0)

    def wait_until(self, holds: Callable[[], bool], limit_s: float) -> None:
        """Wait until a condition holds, while every process lives.

        Raises:
            UiProcessError: one of them ended, or the time limit was reached.
        """
        end = time.monotonic() + limit_s
        while not holds():
            if time.monotonic() > end:
                raise UiProcessError(f"the UI did not start in {limit_s:.0f} s: see the messages above")
            self.wait(POLL_S)

    def wait(self, for_s: float) -> None:
        """Let some time pass while every process lives.

        Raises:
            UiProcessError: one of them ended.
        """
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            for name, process in self.running.items():
                if process.poll() is not None:
                    raise UiProcessError(
                        f"the {name} of the UI ended by itself with status {process.returncode}: see its message "
                        "above, then `recsys ui` again"
                    )
            time.sleep(POLL_S)


def _start(processes: Processes, folder: Path, port: int) -> None:
    """The code server starts first: the other two ask it for the definitions."""
    code_socket, workspace = folder / "code.sock", folder / "workspace.yaml"
    server = {"socket": str(code_socket), "location_name": DEFINITIONS}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    load = ("--module-name", DEFINITIONS, "--socket", str(code_socket), "--log-level", "warning")
    processes.start("code server", "dagster", "code-server", "start", "--use-python-environment-entry-point", *load)
    processes.wait_until(lambda: _answers(socket.AF_UNIX, str(code_socket)), START_S)
    processes.start("daemon", "dagster._daemon", "run", "--workspace", str(workspace), "--log-level", "warning")
    processes.start("webserver", "recsys_assets.ui.webserver", str(workspace), str(port))
    processes.wait_until(lambda: _answers(socket.AF_INET, ("127.0.0.1", port)), START_S)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the process and its children; kill those that do not end in time, or all at once at a second Ctrl-C."""
    try:
        _signal_group(process, signal.SIGINT)
        end = time.monotonic() + STOP_S
        while _has_group(process) and time.monotonic() < end:
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        pass
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _has_group(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # a dead leader that was not waited for still counts as a member
    return _signal_group(process, 0)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Signal the group; returns whether it still has a member."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS raises the latter if only dead members are left
        return False
    return True


def _answers(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    with socket.socket(family) as client:
        return client.connect_ex(address) == 0


def _address(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _refuse_taken(port: int) -> None:
    if _answers(socket.AF_INET, ("127.0.0.1", port)):
        raise SettingsError(f"port {port} of this machine is taken: choose another one, such as `--port {port + 1}`")


@contextmanager
def _only_ui(home: Path, port: int) -> Iterator[None]:
    """Allow only one UI per lake: two daemons would launch the same runs twice."""
    folder = home / "ui"
    folder.mkdir(exist_ok=True)
    lock, address = locks.try_folder(folder), folder / "address"
    if lock is None:
        where = address.read_text(encoding="utf-8", errors="replace") if address.exists() else "another port"
        raise SettingsError(
            f"the UI of this lake is open already, at {where}: use that one, or stop it first if it has other settings"
        )
    try:
        address.write_text(_address(port), encoding="utf-8")
        yield
    finally:
        locks.release(lock)


@contextmanager
def private_folder(record: Path) -> Iterator[Path]:
    """A new folder that only this user may enter, for sockets and temporary files; removed afterwards.

    A process that is killed can't remove its folder. So its path is recorded, and the next call with the same record
    removes it.
    """
    _remove_left_over(record)
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, dir=_short_parent(), ignore_cleanup_errors=True) as folder:
        record.write_text(folder, encoding="utf-8")
        yield Path(folder)
    record.unlink(missing_ok=True)


def _short_parent() -> str:
    """The folder of temporary files, or /tmp if that folder's path is too long for a socket."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) + len(FOLDER_PREFIX) + 10 <= LONGEST_FOLDER else "/tmp"


def _remove_left_over(record: Path) -> None:
    """Remove the recorded folder if `private_folder` made it: a damaged record must not remove anything else."""
    try:
        folder = Path(record.read_text(encoding="utf-8"))
        status = folder.lstat()
    except (OSError, ValueError):
        return
    if folder.name.startswith(FOLDER_PREFIX) and stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """Make SIGTERM and SIGHUP interrupt the block as Ctrl-C does.

    Ctrl-C is handled as well, since a script that starts a program in the background makes it ignore that signal.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
