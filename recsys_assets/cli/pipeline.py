"""Commands that change the lake, or serve it: run, refresh, backfill, gc, ui."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from recsys_assets.cli.console import Json, counted, errors, fixed_columns, out, plain, print_json, show_progress
from recsys_assets.cli.status import failed_checks, show_report, this_lake, warn_of_failed_checks

if TYPE_CHECKING:  # Dagster takes a second to import, too long for `--help`
    from collections.abc import Callable

    from recsys_core.lake.staleness import Plan


def run() -> None:
    """Bring everything up to date, and show the evaluation report.

    The first run builds the whole graph; a second run finds nothing to do and says so.
    """
    _refresh()
    show_report()
    out.print("\nTo look at the graph, run [bold]make ui[/] (or `recsys ui`) and open http://127.0.0.1:3000.")


def refresh(
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be rebuilt and why; build nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Rebuild what is out of date: missing, damaged, or made from other code, settings or inputs."""
    if plan:
        _show_plan(as_json=as_json)
        return
    built = _refresh()
    if as_json:
        print_json({"built": built})


def backfill(
    first: Annotated[str, typer.Argument(help="First day, YYYY-MM-DD, UTC.")],
    last: Annotated[str | None, typer.Argument(help="Last day; the default is the first day.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Read the log of some days again, in one run, whether it has changed or not.

    New and changed days need no backfill: `recsys refresh` reads them.
    """
    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.refresh.runner import backfill as ingest

    with instance() as dagster, show_progress():
        days = ingest(defs.get_repository_def(), dagster, first, last or first)
    if as_json:
        print_json({"days": days})
    else:
        errors.print(f"Ingested {counted(len(days), 'day')}; run `recsys refresh` to update the assets that read them.")


def gc(
    *,
    keep_last: Annotated[
        int, typer.Option(min=0, help="Older versions of each artifact to keep, besides the current one.")
    ] = 2,
    as_json: Json = False,
) -> None:
    """Remove old versions of artifacts; the current version of each always stays."""
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
        f"Removed {counted(len(freed.freed), 'version')} ({freed.bytes / 1e6:.1f} MB) and "
        f"{counted(len(swept), 'leftover')} of dead runs."
    )


def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 3000) -> None:
    """Open the Dagster UI on this machine; Ctrl-C stops it."""
    from recsys_assets.ui.processes import serve_ui

    with errors.status("starting the Dagster UI") as status:

        def announce(address: str) -> None:
            status.stop()
            errors.print(f"The Dagster UI: {address} (Ctrl-C stops it)")

        serve_ui(port, announce)


def _refresh() -> list[str]:
    """Rebuild what is stale, and show progress; returns what was built."""
    from recsys_assets.asset_specs import ASSET_SPECS
    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.refresh.check_status import not_passed
    from recsys_assets.refresh.runner import refresh as rebuild

    started, repository = time.monotonic(), defs.get_repository_def()
    with instance() as dagster:
        with show_progress():
            built = rebuild(repository, this_lake(), dagster, on_wave=_compare_settings_once())
        message = f"Rebuilt {counted(len(built), 'asset')} in {time.monotonic() - started:.0f} s."
        errors.print(message if built else "Everything is up to date: nothing to rebuild.")
        for key in not_passed(repository, dagster, ASSET_SPECS, blocking=False):
            asset = key.asset_key.to_user_string()
            message = f"the check {key.name} of {asset} did not pass; see `recsys checks`"
            errors.print(f"[yellow]warning:[/] {message}", soft_wrap=True)
    return built


def _compare_settings_once() -> "Callable[[list[str], Plan], None]":
    """A callback for waves; before the first, it says which settings differ from the last build."""
    is_first = True

    def compare(_wave: list[str], plan: "Plan") -> None:
        nonlocal is_first
        if is_first:
            _note_changed_settings(plan)
        is_first = False

    return compare


def _note_changed_settings(plan: "Plan") -> None:
    """Name the settings that differ from the last build: a forgotten --settings would retrain every model."""
    from recsys_assets.resources import settings_file

    changed = {name: verdict.changed_parameters for name, verdict in plan.items() if verdict.changed_parameters}
    if not changed:
        return
    file, changes = settings_file(), "; ".join(f"{name}: {what}" for name, what in changed.items())
    now = f"This command uses {file}" if file else "This command names no settings file and uses the defaults"
    errors.print(
        f"[yellow]note:[/] the last build had other settings (then -> now): {plain(changes)}. {plain(now)}. To "
        "keep the settings of the last build, name their file: `recsys --settings FILE`, or RECSYS_SETTINGS",
        soft_wrap=True,
    )


def _show_plan(*, as_json: bool) -> None:
    from recsys_assets.refresh.planner import make_plan
    from recsys_core.lake.staleness import in_short

    plan = make_plan(this_lake(), deep=True)
    stale = {name: verdict.reasons for name, verdict in plan.items() if verdict.is_stale}
    failed = failed_checks([name for name in plan if name not in stale])
    if as_json:
        print_json(stale)
    elif not stale:
        out.print("Nothing to rebuild." if failed else "Everything is up to date: nothing to rebuild.")
    else:
        table = Table(*fixed_columns("asset"), "why it would be rebuilt", box=None)
        for name, reasons in stale.items():
            table.add_row(name, plain(in_short(reasons)))
        out.print(table)
    _note_changed_settings(plan)
    warn_of_failed_checks(failed)
