"""The UI's web server serves browsers while clients hold connections open, send slowly, or never read."""

import asyncio
import contextlib
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from recsys_assets.ui import processes
from recsys_assets.ui.processes import raise_descriptor_limit
from recsys_assets.ui.webserver import LimitedProtocol, places

SOON_S = 0.3
HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"
WHOLE = HALF + b"\r\n"
HANDSHAKE = HALF + (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def page(request: Request) -> Response:
    await request.body()
    return PlainTextResponse("page")


async def big(request: Request) -> Response:
    return PlainTextResponse("x" * (64 << 20))


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    with contextlib.suppress(Exception):
        await websocket.receive_text()


APP = Starlette(routes=[Route("/", page, methods=["GET", "POST"]), Route("/big", big), WebSocketRoute("/", talk)])


@contextmanager
def server(**limits: float) -> Iterator[int]:
    """A server with our protocol, some of its limits changed; gives the port."""
    protocol = type("Changed", (LimitedProtocol,), limits)
    ours = uvicorn.Server(uvicorn.Config(APP, http=protocol, log_level="error", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=asyncio.run, args=(ours.serve([listening]),))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ours.should_exit = True
            thread.join()


def opened(port: int, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(sent)
    return client


def is_dropped(client: socket.socket) -> bool:
    """Whether the server ends the connection without having answered."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def can_send(client: socket.socket, data: bytes, *, times: int, pause_s: float = 0.0) -> bool:
    """Whether the server goes on taking what is sent."""
    try:
        for _ in range(times):
            client.sendall(data)
            time.sleep(pause_s)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def test_a_page_is_served_beside_more_half_open_connections_than_there_are_places() -> None:
    with server(max_connections=20) as port, contextlib.ExitStack() as stack:
        for sent in (b"", HALF, HALF, HALF) * 15:
            stack.enter_context(opened(port, sent))
        assert httpx.get(f"http://127.0.0.1:{port}/").text == "page"


def test_the_connection_that_has_been_waiting_longest_gives_way() -> None:
    with server(max_connections=2) as port, opened(port) as first, opened(port) as second, opened(port) as third:
        assert is_dropped(first)
        for client in (second, third):
            client.sendall(WHOLE)
            assert client.recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("sent", [b"", HALF, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"])
def test_a_request_that_does_not_come_to_its_end_is_dropped(sent: bytes) -> None:
    with server(request_s=SOON_S) as port, opened(port, sent) as client:
        assert is_dropped(client)


def test_a_second_request_has_a_deadline_too() -> None:
    with server(request_s=SOON_S) as port, opened(port, WHOLE) as client:
        answer = b""
        while not answer.endswith(b"page"):
            answer += client.recv(1000)
        client.sendall(HALF)
        assert is_dropped(client)


def test_a_client_that_sends_a_byte_now_and_then_is_dropped_all_the_same() -> None:
    with server(request_s=SOON_S) as port, opened(port, HALF) as client:
        assert not can_send(client, b"x", times=300, pause_s=SOON_S / 10)


def test_a_client_that_does_not_read_is_dropped() -> None:
    with server(stalled_s=SOON_S) as port, opened(port, WHOLE.replace(b"/ ", b"/big ")) as client:
        time.sleep(3 * SOON_S)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while chunk := client.recv(1 << 20):
                received += len(chunk)
    assert received < 64 << 20


def test_headers_without_end_do_not_fill_the_memory() -> None:
    with server() as port, opened(port, HALF) as client:
        assert not can_send(client, b"a: " + b"b" * 1000 + b"\r\n", times=10_000)


def test_a_websocket_may_be_silent() -> None:
    with server(request_s=SOON_S) as port, opened(port, HANDSHAKE) as client:
        assert client.recv(12) == b"HTTP/1.1 101"
        client.setblocking(False)
        time.sleep(3 * SOON_S)
        client.recv(1000)  # the rest of the handshake
        with pytest.raises(BlockingIOError):  # nothing more, and not the end
            client.recv(1000)


def test_two_requests_sent_at_once_are_both_answered() -> None:
    with server() as port, opened(port, WHOLE + WHOLE) as client:
        answer = b""
        while answer.count(b"page") < 2:
            answer += client.recv(1000)


def test_where_everybody_is_being_served_the_newcomer_gives_way() -> None:
    with server(max_connections=2) as port, opened(port, HANDSHAKE) as one, opened(port, HANDSHAKE) as other:
        for client in (one, other):
            assert client.recv(12) == b"HTTP/1.1 101"
        with opened(port) as third:
            assert is_dropped(third)


def test_places_leave_most_descriptors_to_the_rest_of_the_process() -> None:
    assert places(processes.MIN_DESCRIPTORS) == processes.MAX_CONNECTIONS
    assert places(256) == 64
    assert places(1) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("wanted", "found"), [(40, 64), (100, 100), (500, 200)])
def test_the_soft_limit_is_raised_as_far_as_the_hard_one_allows(wanted: int, found: int) -> None:
    code = (
        "import resource; from recsys_assets.ui.processes import raise_descriptor_limit as r;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200));"
        f"r({wanted}); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == found
    assert raise_descriptor_limit(1) >= 1
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 1
