"""The process that serves the Dagster UI: Dagster's own application behind `request_guard`, on this machine only.

    python -m recsys_assets.ui.webserver WORKSPACE PORT

It is one of three processes that `processes` starts. Dagster's command takes no middleware, so this module builds the
same application with the function that the command itself calls.

The server also limits connections. uvicorn waits without limit for the first byte of a request, for the rest of its
headers and body, and for a client that does not read its answer. Such half-open connections pile up until the process
has no file descriptor left, which ends the whole UI. Here each connection has a deadline. When too many are open, the
server drops the one that has waited longest for its request: a browser sends its request at once, so the server answers
it even during a flood. `request_guard` decides what a request may contain.
"""

import asyncio
import sys
import time
from pathlib import Path

import dagster as dg
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext  # as in Dagster's command; no public name
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from recsys_assets.ui.processes import MAX_CONNECTIONS, raise_descriptor_limit
from recsys_assets.ui.request_guard import MAX_BODY_BYTES, guarded

REQUEST_S = 20.0
"""Longest time from the opening of a connection, or from the last answer, to the last byte of the next request."""
STALLED_S = 60.0
"""Longest time that a client may leave an answer unread."""
MAX_HEADER_BYTES = 64 << 10
"""httptools has no limit of its own; a browser sends a few kilobytes."""

POLL_MS = 2000  # how often an open page polls for changes; Dagster's own default
SHUTDOWN_S = 5  # for open pages, which hold a websocket each


def serve(workspace: Path, port: int) -> None:
    """Serve the code locations of a workspace file until interrupted."""
    target = WorkspaceFileTarget(paths=[str(workspace)])
    LimitedProtocol.max_connections = places(raise_descriptor_limit())
    with (
        dg.DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, workspace_load_target=target, version=dg.__version__) as context,
    ):
        app = create_app_from_workspace_process_context(context, live_data_poll_rate=POLL_MS)
        uvicorn.run(
            guarded(app, port),
            host="127.0.0.1",
            port=port,
            http=LimitedProtocol,
            log_level="warning",
            ws_max_size=MAX_BODY_BYTES,
            proxy_headers=False,  # there is no proxy, so anyone could have forged such headers
            timeout_graceful_shutdown=SHUTDOWN_S,
        )


def places(descriptors: int) -> int:
    """How many connections a process with this many descriptors can serve: at most a quarter of them."""
    return max(1, min(MAX_CONNECTIONS, descriptors // 4))


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with deadlines for the client and a limit on connections."""

    max_connections = MAX_CONNECTIONS
    request_s = REQUEST_S
    stalled_s = STALLED_S

    waiting_since: float | None = None  # for a request; None while a request is being answered
    _deadline: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _header_bytes: int | None = 0  # None once the headers are complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Serve the client; if that exceeds the limit, drop the connection that has waited longest for its request."""
        super().connection_made(transport)
        self._wait_for_request()
        if len(self.connections) > self.max_connections:
            waiting = [one for one in self.connections if isinstance(one, LimitedProtocol) and one.waiting_since]
            min(waiting, key=lambda one: one.waiting_since or 0.0).give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadlines."""
        self._stop_waiting()
        self._cancel_stall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on while the headers stay within their limit."""
        super().data_received(data)
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self.give_up()

    def on_message_begin(self) -> None:
        """Start to count the bytes of the headers."""
        self._header_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop counting: the body follows, which has a limit of its own."""
        self._header_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete: stop its deadline."""
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it has already arrived."""
        is_pipelined = bool(self.pipeline)
        super().on_response_complete()
        if not is_pipelined and not self.transport.is_closing():
            self._wait_for_request()

    def pause_writing(self) -> None:
        """The client has stopped reading: give it a deadline."""
        super().pause_writing()
        self._cancel_stall()
        self._stall = self.loop.call_later(self.stalled_s, self.give_up)

    def resume_writing(self) -> None:
        """The client reads again: cancel that deadline."""
        self._cancel_stall()
        super().resume_writing()

    def give_up(self) -> None:
        """Drop the connection, unsent bytes included."""
        self.transport.abort()

    def _wait_for_request(self) -> None:
        self._stop_waiting()
        self.waiting_since = time.monotonic()
        self._deadline = self.loop.call_later(self.request_s, self.give_up)

    def _stop_waiting(self) -> None:
        self.waiting_since = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cancel_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
