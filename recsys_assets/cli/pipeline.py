"""Commands that build: run, refresh, backfill, status."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from recsys_assets.cli.console import Json, errors, fixed_columns, out, plain, print_json, progress_shown
from recsys_assets.cli.report import show_report

if TYPE_CHECKING:  # Dagster takes a second to import, which `--help` need not pay
    from collections.abc import Callable

    from recsys_assets.resources import LakeResource
    from recsys_core.lake.staleness import Plan, State


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


def status(*, as_json: Json = False) -> None:
    """Every artifact: its version, when it was made, whether it is up to date; and until when models have learned."""
    from recsys_assets.refresh.planner import make_plan

    lake = this_lake()
    verdicts = make_plan(lake, deep=True)
    made = lake.store.survey(verdicts)
    failed = _failed_checks([name for name, state in made.items() if state is not None])
    rows = [
        _row(name, made[name], verdict.reasons) | {"failed_checks": failed.get(name, [])}
        for name, verdict in verdicts.items()
    ]
    learned_until = _learned_until(made["two_tower"])
    if as_json:
        print_json({"learned_until": learned_until, "artifacts": rows})
        return
    table = Table(*fixed_columns("asset", "version", "made (UTC)"), "state", box=None)
    for row in rows:
        state = f"[yellow]{plain('; '.join(row['stale']))}[/]" if row["stale"] else "[green]up to date[/]"
        if row["failed_checks"]:
            state += f"; [red]did not pass: {', '.join(row['failed_checks'])}[/]"
        table.add_row(row["asset"], row["version"] or "-", row["made_at"] or "-", state)
    out.print(table)
    _say_what_is_built_upon_nothing(failed)
    if learned_until:
        out.print(f"\nThe models that serve have learned everything until {learned_until}.")


def _failed_checks(assets: list[str]) -> dict[str, list[str]]:
    """Which blocking checks of these assets ran and did not pass, by asset."""
    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.refresh.check_status import failed as failed_checks
    from recsys_assets.resources import dagster_home

    if not dagster_home().exists():  # nothing has run, and whoever only asks makes no folder
        return {}
    found: dict[str, list[str]] = {}
    with instance() as dagster:
        for key in failed_checks(defs.get_repository_def(), dagster, assets):
            found.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    return found


def _say_what_is_built_upon_nothing(failed: dict[str, list[str]]) -> None:
    for asset, checks in failed.items():
        errors.print(
            f"[yellow]warning:[/] {', '.join(checks)} of {asset} did not pass, so nothing is built upon it: fix what "
            "the check found (`recsys checks`), then `recsys refresh`",
            soft_wrap=True,
        )


def _learned_until(made: "State") -> str | None:
    """ISO time, as the manifest of the towers says; None where there are none, or older code made them."""
    if made is None or isinstance(made, Exception):
        return None
    known = made.lineage.facts.get("learned_until")
    return None if known is None else str(known)


def _row(name: str, made: "State", stale: list[str]) -> dict[str, Any]:
    asset, _, day = name.partition("/")
    known = None if made is None or isinstance(made, Exception) else made
    return {
        "asset": asset + (f" {day}" if day else ""),
        "version": known.version[:12] if known else None,
        "made_at": time.strftime("%Y-%m-%d %H:%M", time.gmtime(known.made_at)) if known else None,
        "bytes": sum(entry.bytes for entry in known.files.values()) if known else 0,
        "stale": stale,
    }


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
    failed = _failed_checks([name for name in verdicts if name not in stale])
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
    _say_what_is_built_upon_nothing(failed)


def this_lake() -> "LakeResource":
    """The lake that the command line is about, with the assets declared that a plan asks for."""
    import recsys_assets.definitions  # noqa: F401  # declares the assets, whose specs the plan reads
    from recsys_assets.resources import LakeResource, lake_root

    return LakeResource(root=str(lake_root()))
