"""Commands that change the lake, or serve it: run, refresh, backfill, gc, ui."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from recsys_assets.cli.console import Json, errors, fixed_columns, out, plain, print_json, progress_shown
from recsys_assets.cli.status import failed_checks, show_report, this_lake, warn_of_failed_checks

if TYPE_CHECKING:  # Dagster takes a second to import, which `--help` need not pay
    from collections.abc import Callable

    from recsys_core.lake.staleness import Plan


def run() -> None:
    """Bring everything up to date and show the evaluation report.

    The first run builds the whole graph; a second one finds nothing to do and says so.
    """
    _refresh()
    show_report()
    out.print("\nLook at the graph: [bold]make ui[/], then open http://127.0.0.1:3000 (or `recsys ui`).")


def refresh(
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be rebuilt, and why.")] = False,
    as_json: Json = False,
) -> None:
    """Rebuild exactly what is out of date: missing, damaged, or made from other code, settings or inputs."""
    if plan:
        _show_plan(as_json=as_json)
        return
    built = _refresh()
    if as_json:
        print_json({"built": built})


def backfill(
    first: Annotated[str, typer.Argument(help="The first day, YYYY-MM-DD, UTC.")],
    last: Annotated[str | None, typer.Argument(help="The last day; by default the first alone.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Read the log of some days of arrival again, in one run; new days are read by `recsys refresh` unasked."""
    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.refresh.runner import backfill as ingest

    with instance() as dagster, progress_shown():
        days = ingest(defs.get_repository_def(), dagster, first, last or first)
    if as_json:
        print_json({"days": days})
    else:
        errors.print(f"Ingested {len(days)} days; `recsys refresh` brings up to date what lies below.")


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


def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 3000) -> None:
    """Open the Dagster UI on this machine; stop it with Ctrl-C."""
    from recsys_assets.ui.processes import serve_ui

    with errors.status("starting the Dagster UI") as status:

        def announce(address: str) -> None:
            status.stop()
            errors.print(f"The Dagster UI: {address} (Ctrl-C stops it)")

        serve_ui(port, announce)


def _refresh() -> list[str]:
    """Rebuild what is stale, with progress; returns what was built."""
    from recsys_assets.asset_specs import ASSET_SPECS
    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.refresh.check_status import not_passed
    from recsys_assets.refresh.runner import refresh as rebuild

    started, repository = time.monotonic(), defs.get_repository_def()
    with instance() as dagster:
        with progress_shown():
            built = rebuild(repository, this_lake(), dagster, on_wave=_settings_compared())
        took = f"Rebuilt {len(built)} asset{'s' * (len(built) != 1)} in {time.monotonic() - started:.0f} s."
        errors.print(took if built else "Everything is up to date: nothing to rebuild.")
        for key in not_passed(repository, dagster, ASSET_SPECS, blocking=False):
            asset = key.asset_key.to_user_string()
            told = f"the check {key.name} of {asset} did not pass; see `recsys checks`"
            errors.print(f"[yellow]warning:[/] {told}", soft_wrap=True)
    return built


def _settings_compared() -> "Callable[[list[str], Plan], None]":
    """Told of each wave, says before the first which settings differ from the last build."""
    is_first = True

    def compare(_wave: list[str], plan: "Plan") -> None:
        nonlocal is_first
        if is_first:
            _say_what_settings_changed(plan)
        is_first = False

    return compare


def _say_what_settings_changed(plan: "Plan") -> None:
    """Name the settings of the last build where others hold now: a forgotten --settings trains everything anew."""
    from recsys_assets.resources import settings_file

    changed = {name: verdict.changed_parameters for name, verdict in plan.items() if verdict.changed_parameters}
    if not changed:
        return
    file, told = settings_file(), "; ".join(f"{name}: {what}" for name, what in changed.items())
    holding = f"Those of {file} hold now" if file else "No settings file is named now, so that the defaults hold"
    errors.print(
        f"[yellow]note:[/] the last build had other settings (then -> now): {plain(told)}. {plain(holding)}. If you "
        "meant those of the last build, name their file: `recsys --settings FILE`, or RECSYS_SETTINGS",
        soft_wrap=True,
    )


def _show_plan(*, as_json: bool) -> None:
    from recsys_assets.refresh.planner import make_plan
    from recsys_core.lake.staleness import in_short

    verdicts = make_plan(this_lake(), deep=True)
    stale = {name: verdict.reasons for name, verdict in verdicts.items() if verdict.is_stale}
    failed = failed_checks([name for name in verdicts if name not in stale])
    if as_json:
        print_json(stale)
    elif not stale:
        out.print("Nothing to rebuild." if failed else "Everything is up to date: nothing to rebuild.")
    else:
        table = Table(*fixed_columns("asset"), "why it would be rebuilt", box=None)
        for name, reasons in stale.items():
            table.add_row(name, plain(in_short(reasons)))
        out.print(table)
    _say_what_settings_changed(verdicts)
    warn_of_failed_checks(failed)
