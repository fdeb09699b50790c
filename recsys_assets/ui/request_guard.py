"""Refuse requests to the Dagster UI that do not come from this machine's browser on a page of the UI itself.

Dagster's webserver has no login, checks neither Host nor Origin, and runs mutations that come by GET. Listening on
127.0.0.1 alone does not help: any page in the user's browser may send requests there, and a page that rebinds its own
domain name to 127.0.0.1 can even read the answers. So the guard judges each request by its headers before Dagster sees
it.

The guard keeps out web pages, not people: everyone with an account on this machine can reach the port. New rules
belong here; `webserver` says where and how the server runs.
"""

from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 4 << 20
"""The UI's own requests have a few kilobytes; a launchpad with every setting has under a hundred kilobytes."""

GRAPHQL = "/graphql"
"""The only path that takes POST and websockets. Compared exactly: other spellings that a router accepts are refused."""

PAGES_WITH_QUERY = frozenset({
    "asset-groups", "assets", "automation", "backfills", "catalog", "components", "concurrency", "config",
    "definitions", "deployment", "graphs", "health", "instance", "integrations", "jobs", "lineage", "locations", "ops",
    "overview", "packages", "partitions", "pipelines", "playground", "properties", "resources", "runs", "schedules",
    "selections", "sensors", "settings", "snapshots", "timeline", "workspace",
})  # fmt: skip
"""First path segments of Dagster's pages. Only these pages take a query by GET, and only their JavaScript reads it. The
server itself reads queries at other paths (GraphQL, notebooks by their path). Add new pages of Dagster here."""

SAFE_METHODS = frozenset({"GET", "HEAD"})
OURS = frozenset({"same-origin", "none"})
"""Sec-Fetch-Site of requests by pages of the UI, and of addresses that the user typed."""

RESPONSE_HEADERS = {
    "x-frame-options": "DENY",  # a foreign page that framed the UI could trick the user into clicking its buttons
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
REFUSED_WEBSOCKET = 1008  # policy violation, RFC 6455 section 7.4.1


def guarded(app: ASGIApp, port: int) -> ASGIApp:
    """The app behind the guard, for a server on 127.0.0.1 at this port."""
    return RequestBodyLimitMiddleware(Guard(app, port), MAX_BODY_BYTES)


class Guard:
    """ASGI middleware that answers 400, 403, 405 or 415, with the reason, to requests that `refusal` refuses."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.hosts = allowed_hosts(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refused = refusal(scope, self.hosts)
        if refused is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()  # the handshake, which must be read before it is refused
            await send({"type": "websocket.close", "code": REFUSED_WEBSOCKET, "reason": refused[1]})
        else:
            status, why = refused
            await PlainTextResponse(f"{why}\n", status_code=status)(scope, receive, _with_headers(send))


def allowed_hosts(port: int) -> frozenset[str]:
    """The allowed values of the Host header; a browser omits port 80."""
    names = ("127.0.0.1", "localhost")
    return frozenset({f"{name}:{port}" for name in names} | ({*names} if port == 80 else set()))


def refusal(scope: Scope, hosts: frozenset[str]) -> tuple[int, str] | None:
    """Status and reason for refusing a request or a websocket's handshake; None if it may pass.

    A request without Origin and Sec-Fetch-Site may pass: browsers send these headers, so such a request comes from
    another program, such as the user's own script, and not from a web page. Every POST must be JSON: a foreign page
    cannot send JSON without a CORS preflight, which is answered with 405.
    """
    headers = Headers(scope=scope)
    if refused := _wrong_address(scope, headers, hosts):
        return refused
    if scope["type"] == "websocket":
        return _foreign(headers, hosts) if scope["path"] == GRAPHQL else (403, f"websockets lead to {GRAPHQL}")
    if scope["method"] in SAFE_METHODS:
        return _unsafe_read(scope, headers)
    if scope["method"] != "POST":
        return 405, "the UI knows GET, HEAD and POST"
    return _unsafe_post(scope, headers) or _foreign(headers, hosts)


def _wrong_address(scope: Scope, headers: Headers, hosts: frozenset[str]) -> tuple[int, str] | None:
    """Refuse another host, or a path that Dagster's router may read differently."""
    if len(headers.getlist("host")) != 1 or headers["host"].lower() not in hosts:
        return 403, f"open the UI as http://{min(hosts)}; a tunnel must lead to it from the same port"
    if not scope["path"].isprintable():
        return 400, "an address has no control characters"
    return None


def _unsafe_post(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    """Refuse a POST to another path than GraphQL, or of a media type that a page may send without a preflight."""
    if scope["path"] != GRAPHQL:
        return 405, f"only {GRAPHQL} takes POST"
    # Compare the media type itself: Dagster accepts a header that merely contains it, such as
    # `text/plain; application/json`, which any page may send without a preflight.
    media_types = [value.split(";")[0].strip().lower() for value in headers.getlist("content-type")]
    return None if media_types == ["application/json"] else (415, "send JSON, as application/json")


def _foreign(headers: Headers, hosts: frozenset[str]) -> tuple[int, str] | None:
    """Refuse a request that may change something and comes from a page outside the UI."""
    origins = {value.lower() for value in headers.getlist("origin")}
    if not origins <= {f"http://{host}" for host in hosts}:
        return 403, "only pages of the UI itself may ask this"
    if not {*headers.getlist("sec-fetch-site")} <= OURS:
        return 403, "only pages of the UI itself may ask this"
    return None


def _unsafe_read(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    """Refuse a GET that does more than show a page.

    A link from another site to a page of the UI is allowed; loading the UI into a page of another site is not.
    """
    is_visit = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if not {*headers.getlist("sec-fetch-site")} <= OURS and not is_visit:
        return 403, "only pages of the UI itself may load this"
    if scope.get("query_string") and not _takes_a_query(scope["path"]):
        return 405, "only pages of the UI take a query; send GraphQL by POST"
    return None


def _takes_a_query(path: str) -> bool:
    return path == "/" or path.split("/")[1] in PAGES_WITH_QUERY


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", []) if pair[0].decode().lower() not in RESPONSE_HEADERS]
            ours = [(name.encode(), value.encode()) for name, value in RESPONSE_HEADERS.items()]
            message = {**message, "headers": [*kept, *ours]}
        await send(message)

    return send_with_headers
