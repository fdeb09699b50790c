"""The command that shows the evaluation report, which `recsys run` ends with as well."""

from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

from recsys_assets.cli.console import Json, out, print_json

if TYPE_CHECKING:  # polars takes a second to import, which `--help` need not pay
    from recsys_core.evaluation.rendering import Cells
    from recsys_core.evaluation.report import EvalReport


def report(*, as_json: Json = False) -> None:
    """Show the evaluation report: our system beside tuned baselines, on ratings that its models had not seen."""
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
        print_json(_document(made, learned_until))
    else:
        _show(made, learned_until)


def _document(made: "EvalReport", learned_until: str) -> dict[str, Any]:
    """What the page for people shows, and the figures of every protocol and window."""
    tables = ("summary", "comparison", "funnel")
    return {
        "headline": made.headline(),
        "models": made.best_first(),
        "examined": made.exams(),
        "learned_until": learned_until,
        **{name: getattr(made, name).to_dicts() for name in tables},
    }


def _show(made: "EvalReport", learned_until: str) -> None:
    from recsys_core.evaluation.accuracy import HEADLINE
    from recsys_core.evaluation.rendering import comparison_cells, headline_cells, windows_cells
    from recsys_core.evaluation.report import OURS, POPULARITY, RETRIEVAL_ONLY

    exams, best = made.exams(), made.baselines()
    n_answers, n_likes = made.headline()["n_users"], made.fates.height
    out.print(
        f"\n[bold]All windows[/] ({exams[0]} to {exams[-1]}): {n_answers} users asked, each by models that were "
        "fitted just before; full catalogue, 95 % intervals\n",
        soft_wrap=True,
    )
    out.print(_table(headline_cells(made, with_interval=[HEADLINE]), bold=OURS))
    out.print("\n[bold]NDCG@10 by window[/]")
    out.print(_table(windows_cells(made, [OURS, RETRIEVAL_ONLY, *best[:2]])))
    out.print(f"\n[bold]{OURS} against others[/], all windows, paired by user")
    rivals = dict.fromkeys([RETRIEVAL_ONLY, best[0], POPULARITY])
    out.print(_table(comparison_cells(made, list(rivals))))
    out.print(f"\n[bold]Where the {n_likes} liked movies of the {exams[-1]} window went[/]")
    table = Table(box=None, show_header=False)
    for fate, n, share in made.funnel.iter_rows():
        table.add_row(fate, str(n), f"{share:.1%}", "#" * round(40 * share))
    out.print(table)
    out.print(
        f"\nExamined: the models of {', '.join(exams)}, none of which had seen its answers. The models that serve have "
        f"the same settings and have learned everything until {learned_until}.",
        soft_wrap=True,
    )


def _table(cells: "Cells", bold: str | None = None) -> Table:
    (first, *others), rows = cells
    table = Table(Column(first, no_wrap=True), *(Column(one, justify="right") for one in others), box=None)
    for row in rows:
        table.add_row(*row, style="bold" if row[0] == bold else None)
    return table
