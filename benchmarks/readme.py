"""The README's generated parts: the picture of the graph, and the results.

Usage:
    python -m benchmarks.readme          # write them anew
    python -m benchmarks.readme --check  # exit with 1 where the README says something else

The graph comes from the declared assets, the results from the current `eval_report` of the lake, so that neither can
be typed by hand. What stands between the markers is replaced; all else is left alone.
"""

import sys
from pathlib import Path

import dagster as dg

from benchmarks import PROJECT
from benchmarks.agreement import disagreements
from benchmarks.generated import found, settle, written
from recsys_assets.definitions import defs
from recsys_assets.recipes import RECIPES
from recsys_assets.resources import lake_root
from recsys_core import STAGES
from recsys_core.evaluation.protocols import REFITTED
from recsys_core.evaluation.rendering import comparison_table, funnel_table, headline_table, windows_table
from recsys_core.evaluation.report import OURS, EvalReport
from recsys_core.lake.store import Lake

README = PROJECT / "README.md"
COMMAND = "benchmarks.readme"

OUTSIDE = {"source": "data set", "log": "event log"}
"""What assets read that is not in the lake, as the picture calls it."""


def graph_block() -> str:
    """The assets and their dependencies as a Mermaid flowchart, one box per stage."""
    specs = assets_in_order()
    lines = ["```mermaid", "flowchart LR"]
    lines += [f"  {name}[({label})]" for name, label in OUTSIDE.items()]
    for stage in STAGES:
        names = [name_of(spec) for spec in specs if spec.group_name == stage]
        if names:
            lines += [f"  subgraph {stage}", *(f"    {name}" for name in names), "  end"]
    for spec in specs:
        parents = [*RECIPES[name_of(spec)].outside, *(dep.asset_key.to_user_string() for dep in spec.deps)]
        lines += [f"  {parent} --> {name_of(spec)}" for parent in parents]
    return "\n".join([*lines, "```"])


def assets_in_order() -> list[dg.AssetSpec]:
    """What Dagster knows of every asset, in the order of declaration."""
    declared = list(RECIPES)
    return sorted(defs.resolve_all_asset_specs(), key=lambda spec: declared.index(name_of(spec)))


def name_of(spec: dg.AssetSpec) -> str:
    """The name of an asset in code, lake and UI."""
    return spec.key.to_user_string()


def results_block(report: EvalReport) -> str:
    """All windows pooled, our leads, window by window, and where the likes of the test went."""
    asked = report.per_user.filter(protocol=REFITTED, model=OURS)
    n_windows, n_users, n_test = asked["window"].n_unique(), asked["user_id"].n_unique(), report.fates.height
    return "\n\n".join(
        [
            f"{n_windows} windows, {n_users} users who answer {asked.height} questions, {asked['n_targets'].sum():,} "
            "liked movies to find. Means over all questions, with 95 % bootstrap intervals over users:",
            headline_table(report),
            f"`{OURS}` against each other model, paired by question (a difference is beyond chance where its interval "
            "excludes 0, a ratio where it excludes 1):",
            comparison_table(report),
            "NDCG@10 window by window, each by models that were fitted before they were asked; then all windows by "
            "models that stay as they were when the window began (frozen), and for users without any history "
            "(newcomers):",
            windows_table(report),
            f"Where the {n_test:,} liked movies of the test went on their way to the ten places of `{OURS}`:",
            funnel_table(report),
        ]
    )


def blocks(report: EvalReport) -> dict[str, str]:
    """Every generated part by the name in its markers."""
    return {"graph": graph_block(), "results": results_block(report)}


def current_report(lake: Path | None = None) -> EvalReport:
    """The evaluation report of a lake, by default of the one in use.

    Raises:
        ArtifactError: there is none yet, or it is damaged.
    """
    return EvalReport.load(Lake(lake or lake_root()).open("eval_report"))


def faults(text: str, report: EvalReport) -> list[str]:
    """What a README says otherwise than the assets and the report do, as sentences."""
    other_graph = ["the graph differs"] if found(text, "graph", COMMAND) != graph_block() else []
    return other_graph + disagreements(found(text, "results", COMMAND), results_block(report))


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit status."""
    if set(arguments) - {"--check"}:
        print(__doc__)
        return 2
    text, report = README.read_text(encoding="utf-8"), current_report()
    if arguments:
        wrong = faults(text, report)
        print("\n".join([*wrong, f"run python -m {COMMAND}"]) if wrong else "README.md agrees with the report")
        return 1 if wrong else 0
    differing = settle({README: written(text, blocks(report), COMMAND)}, check=False)
    print("README.md written" if differing else "README.md is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
