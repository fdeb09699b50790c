"""The process that serves the Dagster UI: Dagster's own application behind `request_guard`, on this machine only.

    python -m recsys_assets.ui.webserver WORKSPACE PORT

It is one of three processes that `processes` starts. Dagster's command takes no middleware, so this module builds the
same application with the function that the command itself calls.
"""

import sys
from pathlib import Path

import dagster as dg
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext  # as in Dagster's command; no public name
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context

from recsys_assets.ui.connections import LimitedProtocol, places, raise_descriptor_limit
from recsys_assets.ui.request_guard import MAX_BODY_BYTES, guarded

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


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
