"""Commands that show what the lake holds and build nothing: status, checks, report."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

from recsys_assets.cli.console import Json, errors, fixed_columns, out, plain, print_json

if TYPE_CHECKING:  # Dagster and polars take a second to import, too long for `--help`
    from recsys_assets.refresh.check_status import Finding
    from recsys_assets.resources import LakeResource
    from recsys_core.evaluation.rendering import Cells
    from recsys_core.evaluation.report import EvalReport
    from recsys_core.lake.staleness import State

MAX_CHARACTERS = 200
"""Of one value on the terminal; --json shows all of it."""

_STYLES = {"blocks": "bold red", "did not finish": "red", "failed": "red", "warns": "yellow", "never ran": "dim"}


def status(*, as_json: Json = False) -> None:
    """Show every artifact: its version, when it was made, and whether it is up to date.

    The last line says up to which time the models that serve have learned.
    """
    from recsys_assets.refresh.planner import make_plan

    lake = this_lake()
    plan = make_plan(lake, deep=True)
    made = lake.store.survey(plan)
    failed = failed_checks([name for name, state in made.items() if state is not None])
    rows = [
        _row(name, made[name], verdict.reasons) | {"failed_checks": failed.get(name, [])}
        for name, verdict in plan.items()
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
    warn_of_failed_checks(failed)
    if learned_until:
        out.print(f"\nThe models that serve have learned from all ratings until {learned_until}.")


def checks(*, as_json: Json = False) -> None:
    """Show the result of every check's latest run, worst first.

    A blocking check that did not pass stops everything below its asset; other checks only warn.
    """
    found = _findings()
    if as_json:
        print_json([asdict(one) for one in found])
        return
    _show_checks(found)


def report(*, as_json: Json = False) -> None:
    """Show the evaluation report: our system beside tuned baselines, on ratings that the models had not seen."""
    show_report(as_json=as_json)


def show_report(*, as_json: bool = False) -> None:
    """Print the current evaluation report."""
    from recsys_assets.resources import lake_root
    from recsys_core.evaluation.report import EvalReport
    from recsys_core.lake.store import Lake

    store = Lake(lake_root())
    folder = store.open("eval_report")
    made = EvalReport.load(folder)
    learned_until = str(store.verify("eval_report", version=folder.name).lineage.facts["learned_until"])
    if as_json:
        print_json(_report_document(made, learned_until))
    else:
        _show_report(made, learned_until)


def failed_checks(assets: list[str]) -> dict[str, list[str]]:
    """The blocking checks of these assets that ran and did not pass, by asset."""
    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.refresh.check_status import failed
    from recsys_assets.resources import dagster_home

    if not dagster_home().exists():  # nothing has run, and a command that only shows creates no folder
        return {}
    found: dict[str, list[str]] = {}
    with instance() as dagster:
        for key in failed(defs.get_repository_def(), dagster, assets):
            found.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    return found


def warn_of_failed_checks(failed: dict[str, list[str]]) -> None:
    """Say which assets block everything below them, and why; `failed` is what `failed_checks` returns."""
    for asset, checks in failed.items():
        errors.print(
            f"[yellow]warning:[/] {', '.join(checks)} of {asset} did not pass, so nothing is built on it: fix what the "
            "check found (`recsys checks`), then run `recsys refresh`",
            soft_wrap=True,
        )


def this_lake() -> "LakeResource":
    """The lake of this command; all assets are declared, as a plan needs."""
    import recsys_assets.definitions  # noqa: F401  # declares the assets, whose specs the plan reads
    from recsys_assets.resources import LakeResource, lake_root

    return LakeResource(root=str(lake_root()))


def _row(name: str, made: "State", stale: list[str]) -> dict[str, Any]:
    asset, _, day = name.partition("/")
    manifest = None if made is None or isinstance(made, Exception) else made
    return {
        "asset": asset + (f" {day}" if day else ""),
        "version": manifest.version[:12] if manifest else None,
        "made_at": time.strftime("%Y-%m-%d %H:%M", time.gmtime(manifest.made_at)) if manifest else None,
        "bytes": sum(entry.bytes for entry in manifest.files.values()) if manifest else 0,
        "stale": stale,
    }


def _learned_until(made: "State") -> str | None:
    """ISO time from the manifest of `two_tower`; None if there is none, or if older code made it."""
    if made is None or isinstance(made, Exception):
        return None
    until = made.lineage.facts.get("learned_until")
    return None if until is None else str(until)


def _findings() -> "list[Finding]":
    """The results of all checks; creates no folder in a lake where nothing has run."""
    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.refresh.check_status import findings
    from recsys_assets.resources import dagster_home

    repository = defs.get_repository_def()
    if not dagster_home().exists():
        return findings(repository, None)
    with instance() as dagster:
        return findings(repository, dagster)


def _show_checks(found: "list[Finding]") -> None:
    passed = [one for one in found if one.verdict == "passed"]
    for one in found:
        if one.verdict == "passed":
            continue
        style = _STYLES[one.verdict]
        out.print(
            f"[{style}]{one.verdict}[/] {one.check} of {one.asset}{f', {one.ran_at} UTC' if one.ran_at else ''}",
            soft_wrap=True,
        )
        out.print(f"  It checks: {plain(one.says)}", soft_wrap=True)
        for name, value in one.found.items():
            out.print(f"  {name}: {_short(value)}", soft_wrap=True)
        out.print()
    for one in passed:
        out.print(f"[green]passed[/] {one.check} of {one.asset}", soft_wrap=True)
    out.print(f"\n{len(passed)} of {len(found)} checks passed; --json shows what each of them measured.")


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return plain(text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} ...")


def _report_document(made: "EvalReport", learned_until: str) -> dict[str, Any]:
    """The content of the report, and the figures of every protocol and window."""
    tables = ("summary", "comparison", "funnel")
    return {
        "headline": made.headline(),
        "models": made.best_first(),
        "examined": made.evaluation_windows(),
        "learned_until": learned_until,
        **{name: getattr(made, name).to_dicts() for name in tables},
    }


def _show_report(made: "EvalReport", learned_until: str) -> None:
    from recsys_core.evaluation.accuracy import HEADLINE
    from recsys_core.evaluation.rendering import comparison_cells, headline_cells, windows_cells
    from recsys_core.evaluation.report import OURS, POPULARITY, RETRIEVAL_ONLY

    windows, best = made.evaluation_windows(), made.baselines()
    n_answers, n_likes = made.headline()["n_users"], made.fates.height
    out.print(
        f"\n[bold]All windows[/] ({windows[0]} to {windows[-1]}): {n_answers} queries, each answered by models that "
        "were fitted just before it; full catalogue, 95 % intervals\n",
        soft_wrap=True,
    )
    out.print(_table(headline_cells(made, with_interval=[HEADLINE]), bold=OURS))
    out.print("\n[bold]NDCG@10 by window[/]")
    out.print(_table(windows_cells(made, [OURS, RETRIEVAL_ONLY, *best[:2]])))
    out.print(f"\n[bold]{OURS} compared with others[/], all windows, paired by user")
    rivals = dict.fromkeys([RETRIEVAL_ONLY, best[0], POPULARITY])
    out.print(_table(comparison_cells(made, list(rivals))))
    out.print(f"\n[bold]What became of the {n_likes} liked movies of the {windows[-1]} window[/]")
    table = Table(box=None, show_header=False)
    for fate, n, share in made.funnel.iter_rows():
        table.add_row(fate, str(n), f"{share:.1%}", "#" * round(40 * share))
    out.print(table)
    out.print(
        f"\nEvaluated: the models of {', '.join(windows)}; none had seen the answers. The models that serve have the "
        f"same settings and have learned from all ratings until {learned_until}.",
        soft_wrap=True,
    )


def _table(cells: "Cells", bold: str | None = None) -> Table:
    (first, *others), rows = cells
    table = Table(Column(first, no_wrap=True), *(Column(one, justify="right") for one in others), box=None)
    for row in rows:
        table.add_row(*row, style="bold" if row[0] == bold else None)
    return table
