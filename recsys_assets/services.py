"""Starts what the Dagster UI needs, and stops all of it together: `recsys ui`.

    code server   loads the definitions and starts runs; one for the other two, on a socket in a private folder
    webserver     the pages, behind the guard
    daemon        queue, sensors, schedules, and the watch over runs

Waves of the job `refresh` and runs of the command line are none that the daemon watches, so this process does.

`dagster dev` starts the same three, but its webserver is open to every web page. Each process leads a process group of
its own, so that what it started can be stopped with it.
"""

import importlib
import os
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

from recsys_assets.connections import raise_descriptor_limit
from recsys_assets.instance import instance, ready_for_runs
from recsys_assets.refresh import dead_runs
from recsys_assets.runs import DEFINITIONS
from recsys_core.errors import RecsysError, SettingsError
from recsys_core.lake import locks

START_S, STOP_S, POLL_S = 120.0, 20.0, 0.2
WATCH_S = 10.0
"""How long a run stays unnoticed whose process is dead."""

FOLDER_PREFIX = "recsys-ui-"
LONGEST_FOLDER = 70
"""A socket's path may have 103 characters on macOS and 107 on Linux, its own name included."""


class ServiceError(RecsysError):
    """One of the UI's processes ended by itself, or did not come up."""


def serve_ui(port: int, announce: Callable[[str], None]) -> None:
    """Serve the UI until Ctrl-C or a termination signal; none of its processes stays behind.

    Args:
        port: on 127.0.0.1.
        announce: told the address when pages can be opened.

    Raises:
        SettingsError: the settings are wrong, the port is taken, or the UI of this lake is open already.
        ServiceError: one of the processes ended by itself; what it said stands above.
    """
    importlib.import_module(DEFINITIONS)  # wrong settings are refused here; a code server would only print them
    home = ready_for_runs()
    raise_descriptor_limit()
    with _alone(home, port), private_folder(home / "ui" / "folder") as folder, interruptible():
        _refuse_taken(port)
        try:
            with Services(folder) as services, instance() as dagster:
                _start(services, folder, port)
                announce(_address(port))
                while True:
                    services.wait(WATCH_S)
                    dead_runs.mark_failed(dagster)
        except KeyboardInterrupt:
            return


class Services:
    """Processes that live and die together; leaving the block stops them, last started first.

    Args:
        folder: their folder of temporary files. Dagster opens sockets there, which nobody else may reach.
    """

    def __init__(self, folder: Path) -> None:
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = os.environ | {"TMPDIR": str(folder)}

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        for name in reversed(self.running):
            _stop(self.running[name])

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Run a module on a leash: even a kill -9 of this process takes it along."""
        command = [sys.executable, "-m", "recsys_assets.leash", module, *arguments]
        self.running[name] = subprocess.Popen(command, stdin=subprocess.PIPE, env=self.environment, process_group=0)

    def wait_until(self, holds: Callable[[], bool], limit_s: float) -> None:
        """Wait for a condition while every process lives.

        Raises:
            ServiceError: one of them ended, or the time is over.
        """
        end = time.monotonic() + limit_s
        while not holds():
            if time.monotonic() > end:
                raise ServiceError(f"the UI did not come up in {limit_s:.0f} s: see what it said above")
            self.wait(POLL_S)

    def wait(self, for_s: float) -> None:
        """Let some time pass while every process lives.

        Raises:
            ServiceError: one of them ended.
        """
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            for name, process in self.running.items():
                if process.poll() is not None:
                    raise ServiceError(
                        f"the {name} of the UI ended by itself with status {process.returncode}: see what it said "
                        "above, then `recsys ui` again"
                    )
            time.sleep(POLL_S)


def _start(services: Services, folder: Path, port: int) -> None:
    """The code server first: the others ask it what there is to show and to run."""
    code_socket, workspace = folder / "code.sock", folder / "workspace.yaml"
    server = {"socket": str(code_socket), "location_name": DEFINITIONS}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    load = ("--module-name", DEFINITIONS, "--socket", str(code_socket), "--log-level", "warning")
    services.start("code server", "dagster", "code-server", "start", "--use-python-environment-entry-point", *load)
    services.wait_until(lambda: _answers(socket.AF_UNIX, str(code_socket)), START_S)
    services.start("daemon", "dagster._daemon", "run", "--workspace", str(workspace), "--log-level", "warning")
    services.start("webserver", "recsys_assets.webserver", str(workspace), str(port))
    services.wait_until(lambda: _answers(socket.AF_INET, ("127.0.0.1", port)), START_S)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Interrupt the process and what it started; kill what does not end in time, or at once at a second Ctrl-C."""
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
    process.poll()  # a dead leader that nobody asked after counts as a member
    return _signal_group(process, 0)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Whether somebody of the group was there to be told."""
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter where only dead members are left
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
def _alone(home: Path, port: int) -> Iterator[None]:
    """Only one UI per lake: two daemons would launch the same runs twice."""
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

    A process that is killed can't remove its folder. So the path is recorded, and the next call with the same record
    removes what is left over.
    """
    _remove_left_over(record)
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, dir=_short_parent(), ignore_cleanup_errors=True) as folder:
        record.write_text(folder, encoding="utf-8")
        yield Path(folder)
    record.unlink(missing_ok=True)


def _short_parent() -> str:
    """The folder of temporary files, or /tmp where that one's path is too long for a socket."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) + len(FOLDER_PREFIX) + 10 <= LONGEST_FOLDER else "/tmp"


def _remove_left_over(record: Path) -> None:
    """Remove the recorded folder if it is one of ours: a damaged record must not lead to anything else."""
    try:
        folder = Path(record.read_text(encoding="utf-8"))
        status = folder.lstat()
    except (OSError, ValueError):
        return
    if folder.name.startswith(FOLDER_PREFIX) and stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a termination signal, or the end of the terminal, stop the block as Ctrl-C does.

    Ctrl-C itself is among them: a script that starts a program in the background makes it ignore that signal.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
