"""The tables of results in the README and in `docs/results.md`, from the current `eval_report` of the lake.

Usage:
    python -m benchmarks.results          # write them anew
    python -m benchmarks.results --check  # exit with 1 where a page says something else

What is between the markers is replaced; the rest of a page is left alone.
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
        f"{n_windows} windows, {n_users} users who answer {asked.height} questions, {asked['n_targets'].sum():,} "
        f"liked movies to find. Means over all questions, with 95 % bootstrap intervals over users:\n\n"
        f"{headline_table(report)}"
    )


def all_tables(report: EvalReport) -> str:
    """The headline, our leads, window by window, and what became of the likes of the test."""
    return "\n\n".join(
        [
            headline(report),
            f"`{OURS}` against each other model, paired by question (a difference is beyond chance where its interval "
            "excludes 0, a ratio where it excludes 1):",
            comparison_table(report),
            "NDCG@10 window by window, each by models that were fitted before they were asked; then all windows by "
            "models that stay as they were when the window began (frozen), and for users without any history "
            "(newcomers):",
            windows_table(report),
            f"What became of the {report.fates.height:,} liked movies of the test on their way to the ten places of "
            f"`{OURS}`:",
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
    """What the pages say otherwise than the report does, as sentences."""
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
