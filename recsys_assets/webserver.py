"""The process that serves the Dagster UI: Dagster's own application behind our guard, on this machine only.

    python -m recsys_assets.webserver WORKSPACE PORT

It is one of three; `services` starts them. Dagster's command has no place for a middleware, so this builds the same
application by the function that the command itself calls.
"""

import sys
from pathlib import Path

import dagster as dg
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext  # what Dagster's command makes, too; no public name
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context

from recsys_assets.connections import LimitedProtocol, places, raise_descriptor_limit
from recsys_assets.guard import MAX_BODY_BYTES, guarded

POLL_MS = 2000  # how often an open page asks for news; Dagster's own default
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
            proxy_headers=False,  # there is no proxy: such headers would be a stranger's claims
            timeout_graceful_shutdown=SHUTDOWN_S,
        )


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
