"""Who may talk to the Dagster UI: this machine's browser, on pages that the UI itself served.

Dagster's webserver has no login, looks at neither Host nor Origin, and runs mutations that come by GET. Listening on
127.0.0.1 alone does not help: any page that the user's browser shows may send requests there, and by rebinding a name
of its own to 127.0.0.1 even read the answers. So each request is judged by its headers, before Dagster sees it.

The guard keeps out web pages, not people: whoever has an account on this machine can reach the port. Add a rule here;
where and how the server runs is in `webserver`.
"""

from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 4 << 20
"""The UI's own requests have a few kilobytes; a launchpad with every setting has under a hundred."""

GRAPHQL = "/graphql"
"""The one path that takes POST and websockets, compared exactly: what a router reads as it too is refused."""

PAGES_WITH_QUERY = frozenset({
    "asset-groups", "assets", "automation", "backfills", "catalog", "components", "concurrency", "config",
    "definitions", "deployment", "graphs", "health", "instance", "integrations", "jobs", "lineage", "locations", "ops",
    "overview", "packages", "partitions", "pipelines", "playground", "properties", "resources", "runs", "schedules",
    "selections", "sensors", "settings", "snapshots", "timeline", "workspace",
})  # fmt: skip
"""First parts of the addresses of Dagster's pages. Only they take a query by GET, which the browser's page reads. The
server itself reads queries elsewhere (GraphQL, notebooks by their path). Add a page here when Dagster brings one."""

SAFE_METHODS = frozenset({"GET", "HEAD"})
OURS = frozenset({"same-origin", "none"})
"""Sec-Fetch-Site of a page of ours, and of an address that the user typed."""

RESPONSE_HEADERS = {
    "x-frame-options": "DENY",  # in a frame, the user's own clicks could be led to a button of ours
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
REFUSED_WEBSOCKET = 1008  # policy violation, RFC 6455 section 7.4.1


def guarded(app: ASGIApp, port: int) -> ASGIApp:
    """The app behind the guard, for a server on 127.0.0.1 at that port."""
    return RequestBodyLimitMiddleware(Guard(app, port), MAX_BODY_BYTES)


class Guard:
    """ASGI middleware that answers 400, 403, 405 or 415, with the reason, to what `refusal` names."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.hosts = allowed_hosts(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on or refuse."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refused = refusal(scope, self.hosts)
        if refused is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()  # the handshake, which a server wants read before it is refused
            await send({"type": "websocket.close", "code": REFUSED_WEBSOCKET, "reason": refused[1]})
        else:
            status, why = refused
            await PlainTextResponse(f"{why}\n", status_code=status)(scope, receive, _with_headers(send))


def allowed_hosts(port: int) -> frozenset[str]:
    """What the Host header of a request may say; a browser leaves the port out where it is 80."""
    names = ("127.0.0.1", "localhost")
    return frozenset({f"{name}:{port}" for name in names} | ({*names} if port == 80 else set()))


def refusal(scope: Scope, hosts: frozenset[str]) -> tuple[int, str] | None:
    """Status and reason for refusing a request or a websocket's handshake; None where it may pass.

    A request without Origin and Sec-Fetch-Site passes where its form does: browsers send them, and what is no browser,
    such as a script of the user's, does not act for a page. Every POST must be JSON, which no page can send elsewhere
    without asking first (a CORS preflight, answered with 405).
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
    """Why an address is none of this UI: another host, or a path that Dagster's router may read otherwise."""
    if len(headers.getlist("host")) != 1 or headers["host"].lower() not in hosts:
        return 403, f"open the UI as http://{min(hosts)}; a tunnel must lead to it from the same port"
    if not scope["path"].isprintable():
        return 400, "an address has no control characters"
    return None


def _unsafe_post(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    """Why a POST goes elsewhere than to GraphQL, or has a form that a page may send without asking."""
    if scope["path"] != GRAPHQL:
        return 405, f"only {GRAPHQL} takes POST"
    # The media type itself: Dagster is content where it merely occurs, as in `text/plain; application/json`, which a
    # page may send anywhere.
    media_types = [value.split(";")[0].strip().lower() for value in headers.getlist("content-type")]
    return None if media_types == ["application/json"] else (415, "send JSON, as application/json")


def _foreign(headers: Headers, hosts: frozenset[str]) -> tuple[int, str] | None:
    """Why a request that may change something comes from a page that is not ours."""
    origins = {value.lower() for value in headers.getlist("origin")}
    if not origins <= {f"http://{host}" for host in hosts}:
        return 403, "only pages of the UI itself may ask this"
    if not {*headers.getlist("sec-fetch-site")} <= OURS:
        return 403, "only pages of the UI itself may ask this"
    return None


def _unsafe_read(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    """Why a GET does more than to show a page.

    Following a link from elsewhere to a page of the UI is in order; being loaded into a page from elsewhere is not.
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
