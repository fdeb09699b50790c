"""Commands around the lake: ui, gc."""

from typing import Annotated

import typer

from recsys_assets.cli.console import Json, errors, out, print_json


def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 3000) -> None:
    """Open the Dagster UI on this machine; stop it with Ctrl-C."""
    from recsys_assets.ui.processes import serve_ui

    with errors.status("starting the Dagster UI") as status:

        def announce(address: str) -> None:
            status.stop()
            errors.print(f"The Dagster UI: {address} (Ctrl-C stops it)")

        serve_ui(port, announce)


def gc(
    *,
    keep_last: Annotated[int, typer.Option(min=0, help="Versions to keep of each artifact besides the current.")] = 2,
    as_json: Json = False,
) -> None:
    """Remove old versions of artifacts; what is current always stays."""
    from recsys_assets.resources import lake_root
    from recsys_core.lake.store import Lake

    lake = Lake(lake_root())
    swept = lake.sweep()
    freed = lake.gc(keep_last)
    if as_json:
        print_json(
            {"versions": [f"{one.key}/{one.version}" for one in freed.freed], "bytes": freed.bytes, "swept": swept}
        )
        return
    out.print(
        f"Removed {len(freed.freed)} versions ({freed.bytes / 1e6:.1f} MB) and {len(swept)} leftovers of dead writers."
    )
