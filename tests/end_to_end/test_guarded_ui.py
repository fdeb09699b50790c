"""`recsys ui` as it runs: its pages open, strangers do not get in, and nothing of it stays behind."""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsys_assets.ui.processes import raise_descriptor_limit
from recsys_assets.ui.request_guard import MAX_BODY_BYTES
from tests.assets.projects import Project
from tests.end_to_end.served import Served, processes_of, said, served, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

N_HALF_OPEN = 1_150
EVIL = "http://evil.example"
JSON = {"content-type": "application/json"}
MUTATION = json.dumps({"query": "mutation { setNuxSeen }"})
HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "sec-websocket-protocol": "graphql-ws",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.new(tmp_path_factory.mktemp("guarded"))


@pytest.fixture(scope="module")
def ui(project: Project) -> Iterator[Served]:
    with served(project) as running:
        yield running


def test_pages_and_their_questions_are_answered(ui: Served) -> None:
    assert ui.request("GET", "/assets")[0] == 200
    assert ui.request("GET", "/graphql", headers={"accept": "text/html"})[0] == 200
    assert ui.ask("{ version }")["version"]
    assert ui.request("POST", "/graphql", MUTATION, JSON | {"origin": ui.url})[0] == 200


def test_a_page_of_the_ui_may_open_a_websocket_and_another_may_not(ui: Served) -> None:
    assert ui.request("GET", "/graphql", headers=HANDSHAKE | {"origin": ui.url})[0] == 101
    assert ui.request("GET", "/graphql", headers=HANDSHAKE | {"origin": EVIL})[0] == 403
    assert ui.request("GET", "/graphql", headers=HANDSHAKE | {"origin": ui.url, "host": "evil.example"})[0] == 403


def test_strangers_are_refused(ui: Served) -> None:
    assert ui.request("GET", "/assets", headers={"host": f"evil.example:{ui.port}"})[0] == 403
    assert ui.request("POST", "/graphql", MUTATION, JSON | {"origin": EVIL})[0] == 403
    assert ui.request("POST", "/graphql", MUTATION, {"content-type": "text/plain; application/json"})[0] == 415
    assert ui.request("GET", "/graphql?query=mutation%20%7B%20setNuxSeen%20%7D")[0] == 405
    assert ui.request("OPTIONS", "/graphql", headers={"origin": EVIL})[0] == 405
    assert ui.request("POST", "/graphql", MUTATION + " " * MAX_BODY_BYTES, JSON)[0] == 413


def test_half_open_connections_do_not_end_the_ui(ui: Served) -> None:
    if raise_descriptor_limit(N_HALF_OPEN + 200) < N_HALF_OPEN + 200:
        pytest.skip("this process may not open that many connections")
    with contextlib.ExitStack() as stack:
        for _ in range(N_HALF_OPEN):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", ui.port), timeout=30))
            client.sendall(b"GET / HTTP/1.1\r\n")
        assert ui.request("GET", "/assets")[0] == 200
        assert ui.ask("{ version }")["version"]
    assert ui.process.poll() is None


def test_the_ui_listens_on_this_machine_alone(ui: Served) -> None:
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [local for _, local, _, state, *_ in sockets if state == "0A" and local.endswith(f":{ui.port:04X}")]
    assert listening == [f"0100007F:{ui.port:04X}"]


def test_a_second_ui_of_the_lake_is_one_sentence(ui: Served, project: Project) -> None:
    assert f"open already, at {ui.url}" in project.recsys("ui", "--port", "1").sentence
    assert f"open already, at {ui.url}" in project.recsys("ui", "--port", str(ui.port)).sentence


def test_a_port_that_somebody_else_has_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = Project.new(tmp_path).recsys("ui", "--port", str(port)).sentence
    assert f"port {port} of this machine is taken: choose another one, such as `--port {port + 1}`" in sentence


def test_ctrl_c_is_a_good_end_and_leaves_nothing(tmp_path: Path) -> None:
    project = Project.new(tmp_path)
    with served(project) as ui:
        assert len(processes_of(project)) >= 4
        folder = Path((project.lake / "dagster/ui/folder").read_text())
        sockets = {Path(path) for path in open_sockets() if path.startswith(str(folder))}
        assert {one.name == "code.sock" for one in sockets} == {True, False}, "the outer socket and Dagster's inner one"
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()
    assert ui.process.returncode == 0, said(project)
    assert processes_of(project) == {}
    assert "Traceback" not in said(project)


def test_when_one_process_dies_the_others_do(tmp_path: Path) -> None:
    project = Project.new(tmp_path)
    with served(project) as ui:
        (daemon,) = (pid for pid, command in processes_of(project).items() if "dagster._daemon" in command)
        os.kill(daemon, signal.SIGKILL)
        assert ui.process.wait(60) == 1
    assert "the daemon of the UI ended by itself with status -9" in " ".join(said(project).split())
    assert processes_of(project) == {}


def test_even_a_killed_ui_leaves_nothing(tmp_path: Path) -> None:
    project = Project.new(tmp_path)
    with served(project) as ui:
        ui.process.kill()
        ui.process.wait()
        started = time.monotonic()
        wait_until(lambda: not processes_of(project), 60, lambda: str(processes_of(project)))
    assert time.monotonic() - started < 60
    left_over = Path((project.lake / "dagster/ui/folder").read_text())
    assert left_over.is_dir()
    with served(project):
        assert not left_over.exists()


def open_sockets() -> list[str]:
    """The paths of this machine's listening sockets in the file system."""
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return [fields[7] for fields in lines if len(fields) > 7]
