"""The tables of results in the README and in `docs/results.md`, from the current `eval_report` of the lake.

Usage:
    python -m benchmarks.results          # write them anew
    python -m benchmarks.results --check  # exit with 1 where a page says something else

The command replaces the text between the markers and leaves the rest of a page alone.
"""

import sys
from pathlib import Path

from benchmarks import PROJECT
from benchmarks.agreement import disagreements
from benchmarks.generated import found, settle, written
from recsys_assets.resources import lake_root
from recsys_core.evaluation.protocols import REFITTED
from recsys_core.evaluation.rendering import comparison_table, funnel_table, headline_table, windows_table
from recsys_core.evaluation.report import OURS, EvalReport
from recsys_core.lake.store import Lake

README = PROJECT / "README.md"
PAGE = PROJECT / "docs" / "results.md"
COMMAND = "benchmarks.results"
PART = "results"


def parts(report: EvalReport) -> dict[Path, str]:
    """The generated part of each page."""
    return {README: headline(report), PAGE: all_tables(report)}


def headline(report: EvalReport) -> str:
    """All windows pooled: each model with its figures."""
    asked = report.per_user.filter(protocol=REFITTED, model=OURS)
    n_windows, n_users = asked["window"].n_unique(), asked["user_id"].n_unique()
    return (
        f"{n_windows} windows, {n_users} users, {asked.height} queries, {asked['n_targets'].sum():,} "
        f"held-out likes. Means over all queries, with 95 % bootstrap intervals over users:\n\n"
        f"{headline_table(report)}"
    )


def all_tables(report: EvalReport) -> str:
    """The headline, our leads, each window, and the funnel of the test window."""
    return "\n\n".join(
        [
            headline(report),
            f"`{OURS}` against each other model, paired by query (a difference is beyond chance where its interval "
            "excludes 0, a ratio where it excludes 1):",
            comparison_table(report),
            "NDCG@10 by window, with models that are refitted within the window. The last two rows pool all windows: "
            "with models fitted at the start of each window (frozen), and for users without any history "
            "(newcomers):",
            windows_table(report),
            f"The {report.fates.height:,} held-out likes of the test window, by the stage of `{OURS}` that lost or "
            "found each:",
            funnel_table(report),
        ]
    )


def current_report(lake: Path | None = None) -> EvalReport:
    """The evaluation report of a lake, by default of the one in use.

    Raises:
        ArtifactError: there is none yet, or it is damaged.
    """
    return EvalReport.load(Lake(lake or lake_root()).open("eval_report"))


def faults(report: EvalReport) -> list[str]:
    """The differences between the pages and the report, as sentences."""
    return [
        f"{path.name}: {one}"
        for path, part in parts(report).items()
        for one in disagreements(found(path.read_text(encoding="utf-8"), PART, COMMAND), part)
    ]


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit status."""
    if set(arguments) - {"--check"}:
        print(__doc__)
        return 2
    report = current_report()
    if arguments:
        wrong = faults(report)
        print("\n".join([*wrong, f"run python -m {COMMAND}"]) if wrong else "the pages agree with the report")
        return 1 if wrong else 0
    texts = {
        path: written(path.read_text(encoding="utf-8"), {PART: part}, COMMAND) for path, part in parts(report).items()
    }
    differing = settle(texts, check=False)
    print("\n".join(f"written: {path.name}" for path in differing) or "the pages are up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
