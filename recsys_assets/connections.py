"""How many clients the UI's web server serves, and how long it waits for each.

uvicorn waits without limit for the first byte of a request, for the rest of its headers and body, and for a client
that does not read its answer. Such half-open connections pile up until the process has no descriptor left, and that
ends the whole UI. Here each connection has a deadline, and when all places are taken, the one that has been waiting
longest gives way: a browser sends its request at once and is served also during a flood.

What a request may contain is decided in `guard`.
"""

import asyncio
import resource
import time

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_CONNECTIONS = 400
"""Pages and websockets together; an open page of the UI holds fewer than ten."""
MIN_DESCRIPTORS = 4 * MAX_CONNECTIONS
"""What the process opens besides, such as databases and the socket of the code server, needs room as well."""

REQUEST_S = 20.0
"""From the opening of a connection, or from the last answer, to the last byte of the next request."""
STALLED_S = 60.0
"""How long a client may leave an answer unread."""
MAX_HEADER_BYTES = 64 << 10
"""httptools itself has no limit; a browser sends a few kilobytes."""


def raise_descriptor_limit(wanted: int = MIN_DESCRIPTORS) -> int:
    """Raise the soft limit on open files as far as the hard one allows; child processes inherit it.

    Returns:
        The soft limit that holds now, which may be below `wanted`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (ValueError, OSError):  # macOS has a limit of its own below the hard one
        return soft
    return allowed


def places(descriptors: int) -> int:
    """How many connections a process with so many descriptors can serve: at most a quarter of them."""
    return max(1, min(MAX_CONNECTIONS, descriptors // 4))


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with deadlines for the client and a limit on connections."""

    max_connections = MAX_CONNECTIONS
    request_s = REQUEST_S
    stalled_s = STALLED_S

    waiting_since: float | None = None  # for a request; None while one is being answered
    _deadline: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _header_bytes: int | None = 0  # None once the headers are complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Serve the client, at the cost of the one that has been waiting longest where all places are taken."""
        super().connection_made(transport)
        self._wait_for_request()
        if len(self.connections) > self.max_connections:
            waiting = [one for one in self.connections if isinstance(one, LimitedProtocol) and one.waiting_since]
            min(waiting, key=lambda one: one.waiting_since or 0.0).give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._request_is_there()
        self._unset_stall()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, while the headers stay within their limit."""
        super().data_received(data)
        if self._header_bytes is not None:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self.give_up()

    def on_message_begin(self) -> None:
        """Count the bytes of the headers that begin."""
        self._header_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """What comes now is the body, which has a limit of its own."""
        self._header_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The client has done its part."""
        self._request_is_there()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is there already."""
        is_pipelined = bool(self.pipeline)
        super().on_response_complete()
        if not is_pipelined and not self.transport.is_closing():
            self._wait_for_request()

    def pause_writing(self) -> None:
        """The client does not read: that may not go on for ever."""
        super().pause_writing()
        self._unset_stall()
        self._stall = self.loop.call_later(self.stalled_s, self.give_up)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._unset_stall()
        super().resume_writing()

    def give_up(self) -> None:
        """Drop the connection, unsent bytes included."""
        self.transport.abort()

    def _wait_for_request(self) -> None:
        self._request_is_there()
        self.waiting_since = time.monotonic()
        self._deadline = self.loop.call_later(self.request_s, self.give_up)

    def _request_is_there(self) -> None:
        self.waiting_since = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _unset_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
