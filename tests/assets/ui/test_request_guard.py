"""The Dagster UI answers its own pages and nobody else's, whatever a page somewhere may try."""

import asyncio
from collections.abc import Iterator
from typing import Any

import dagster as dg
import httpx
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_webserver.app import create_app_from_workspace_process_context

from recsys_assets.ui.request_guard import MAX_BODY_BYTES, Guard, allowed_hosts, guarded, refusal

PORT = 3000
HOSTS = allowed_hosts(PORT)
ORIGIN = "http://127.0.0.1:3000"
JSON = {"content-type": "application/json"}
MUTATION = "mutation { setNuxSeen }"


def scope(method: str = "POST", path: str = "/graphql", query: str = "", **headers: str) -> dict[str, Any]:
    """A request as a server hands it on; an underscore in a header's name stands for a dash."""
    named = {"host": "127.0.0.1:3000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "type": "websocket" if method == "websocket" else "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items() if value],
    }


def status(**request: str) -> int:
    """0 where the request may pass."""
    refused = refusal(scope(**request), HOSTS)
    return refused[0] if refused else 0


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:3000", "LOCALHOST:3000"])
def test_the_ui_is_served_under_its_own_names(host: str) -> None:
    assert status(method="GET", path="/", host=host) == 0
    page = {"origin": f"http://{host}", "sec_fetch_site": "same-origin"}
    assert status(host=host, content_type="application/json", **page) == 0


@pytest.mark.parametrize(
    "host",
    ["evil.example:3000", "127.0.0.1.evil.example:3000", "127.0.0.1", "127.0.0.1:3001", "[::1]:3000", "0:3000", ""],
)
@pytest.mark.parametrize("method", ["GET", "POST", "websocket"])
def test_a_name_bound_to_this_machine_by_somebody_else_is_refused(host: str, method: str) -> None:
    assert status(method=method, path="/", host=host, content_type="application/json") == 403


def test_two_hosts_are_refused() -> None:
    twice = scope(method="GET", path="/")
    twice["headers"].append((b"host", b"127.0.0.1:3000"))
    assert refusal(twice, HOSTS) is not None


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:3000", "http://localhost:8080", "http://127.0.0.1"]
)
@pytest.mark.parametrize("method", ["POST", "websocket"])
def test_a_foreign_page_changes_nothing(origin: str, method: str) -> None:
    assert status(method=method, content_type="application/json", origin=origin) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
@pytest.mark.parametrize("method", ["POST", "websocket"])
def test_the_browser_telling_of_another_site_is_believed(site: str, method: str) -> None:
    assert status(method=method, content_type="application/json", sec_fetch_site=site) == 403


def test_a_script_of_the_user_is_no_page() -> None:
    assert status(content_type="application/json; charset=utf-8") == 0
    assert status(method="websocket") == 0


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/plain; application/json",  # Dagster would read it as JSON
        "application/graphql",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
    ],
)
def test_what_a_page_may_send_anywhere_without_asking_is_refused(content_type: str) -> None:
    assert status(content_type=content_type) == 415


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get"])
def test_other_methods_are_refused_and_with_them_the_question_of_a_foreign_page(method: str) -> None:
    assert status(method=method, content_type="application/json") == 405


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "//graphql", "/x/graphql", "/notebook", "/logs/a"])
@pytest.mark.parametrize("query", ["query=mutation", "operationName=x", "x=1"])
def test_graphql_by_get_is_refused_and_its_playground_is_not(path: str, query: str) -> None:
    assert status(method="GET", path=path, query=query) == 405
    assert status(method="GET", path=path) == 0
    assert status(method="HEAD", path=path, query=query) == 405
    assert status(method="GET", path="/runs", query=query) == 0, "addresses of pages may have a query"


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\t", "\x7f", "\x85", "\u2028"])
def test_an_address_with_control_characters_is_refused(character: str) -> None:
    for path in (f"/graphql{character}", f"/graph{character}ql", f"{character}/graphql", f"/runs{character}"):
        assert status(method="GET", path=path) == 400
        assert status(method="POST", path=path, content_type="application/json") == 400
        assert status(method="websocket", path=path) == 400


@pytest.mark.parametrize("path", ["/graphql/", "/", "/runs", "/report_asset_materialization/ratings"])
def test_nothing_but_graphql_takes_posts_and_websockets(path: str) -> None:
    assert status(path=path, content_type="application/json") == 405
    assert status(method="websocket", path=path) == 403


def test_every_page_that_dagster_links_to_with_a_query_takes_one() -> None:
    for path in (
        "/",
        "/overview/timeline",
        "/assets/ratings",
        "/locations/recsys/jobs/refresh",
        "/automation",
        "/jobs",
    ):
        assert status(method="GET", path=path, query="view=overview") == 0


def test_a_link_from_elsewhere_opens_a_page_and_embeds_nothing() -> None:
    visit = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert status(method="GET", path="/assets", **visit, sec_fetch_dest="document") == 0
    assert status(method="GET", path="/assets", **visit, sec_fetch_dest="iframe") == 403
    assert status(method="GET", path="/logs/a", sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403
    assert status(method="GET", path="/assets", sec_fetch_site="none", sec_fetch_mode="navigate") == 0


def test_a_browser_leaves_the_port_out_where_it_is_80() -> None:
    assert "127.0.0.1" in allowed_hosts(80)
    assert "127.0.0.1" not in allowed_hosts(8080)


def test_a_refused_websocket_is_closed_before_it_is_open() -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def unreachable(*_: object) -> None:
        raise AssertionError

    asyncio.run(Guard(unreachable, PORT)(scope(method="websocket", origin="http://evil.example"), receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.fixture(scope="module")
def dagster_app() -> Iterator[Any]:
    """Dagster's own application, with nothing loaded."""
    with (
        dg.instance_for_test() as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget(), version="1.2.3") as context,
    ):
        yield create_app_from_workspace_process_context(context)


def asked(app: Any, method: str, url: str = "/graphql", **request: Any) -> httpx.Response:
    """What the application answers to one request."""

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
            return await client.request(method, url, **request)

    return asyncio.run(ask())


FOREIGN = {"origin": "http://evil.example"}
ATTACKS: dict[str, dict[str, Any]] = {
    "by GET": {"method": "GET", "params": {"query": MUTATION}},
    "by GET behind a line end": {"method": "GET", "url": "/graphql%0a", "params": {"query": MUTATION}},
    "as a form": {"method": "POST", "params": {"query": MUTATION}, "headers": FOREIGN},
    "as text": {
        "method": "POST",
        "json": {"query": MUTATION},
        "headers": FOREIGN | {"content-type": "text/plain; application/json"},
    },
    "as JSON": {"method": "POST", "json": {"query": MUTATION}, "headers": FOREIGN | JSON},
    "by a rebound name": {"method": "POST", "json": {"query": MUTATION}, "headers": JSON | {"host": "evil.example"}},
    "of great size": {"method": "POST", "json": {"query": MUTATION + " " * MAX_BODY_BYTES}, "headers": JSON},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_dagster_alone_does_what_a_foreign_page_wants_and_behind_the_guard_does_not(
    dagster_app: Any, attack: str
) -> None:
    """Should the first half fail one day, Dagster has a guard of its own, and ours is to be looked at again."""
    alone = asked(dagster_app, **ATTACKS[attack])
    assert alone.json() == {"data": {"setNuxSeen": True}}
    assert asked(guarded(dagster_app, PORT), **ATTACKS[attack]).status_code in {400, 403, 405, 413, 415}


def test_the_ui_itself_works_behind_the_guard_and_in_no_frame(dagster_app: Any) -> None:
    app = guarded(dagster_app, PORT)
    ours = {"origin": ORIGIN, "sec-fetch-site": "same-origin"}
    answer = asked(app, "POST", json={"query": "{ version }"}, headers=ours)
    assert answer.json() == {"data": {"version": "1.2.3"}}
    page = asked(app, "GET", "/assets")
    assert page.status_code == 200
    assert "<html" in page.text
    assert page.headers.get_list("x-frame-options") == ["DENY"]
    assert page.headers.get_list("x-content-type-options") == ["nosniff"]
    assert "content-security-policy" in page.headers


def test_a_body_in_pieces_is_counted(dagster_app: Any) -> None:
    async def pieces() -> Any:
        for _ in range(MAX_BODY_BYTES // (1 << 20) + 1):
            yield b" " * (1 << 20)

    answer = asked(guarded(dagster_app, PORT), "POST", content=pieces(), headers=JSON)
    assert answer.status_code == 413
