"""The command that shows what the checks of the assets found."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from recsys_assets.cli.console import Json, out, plain, print_json

if TYPE_CHECKING:  # Dagster takes a second to import, which `--help` need not pay
    from recsys_assets.refresh.check_status import Finding

LONGEST = 200
"""Characters of one value on the terminal; --json has all."""

_STYLES = {"blocks": "bold red", "did not finish": "red", "failed": "red", "warns": "yellow", "never ran": "dim"}


def checks(*, as_json: Json = False) -> None:
    """Show what the latest run of every check found, worst first.

    A check that blocks lets nothing be built upon its asset; the others warn.
    """
    found = _findings()
    if as_json:
        print_json([asdict(one) for one in found])
        return
    _show(found)


def _findings() -> "list[Finding]":
    """Of all checks; of a lake in which nothing has run, whoever asks makes no folder."""
    from recsys_assets.definitions import defs
    from recsys_assets.instance import instance
    from recsys_assets.refresh.check_status import findings
    from recsys_assets.resources import dagster_home

    repository = defs.get_repository_def()
    if not dagster_home().exists():
        return findings(repository, None)
    with instance() as dagster:
        return findings(repository, dagster)


def _show(found: "list[Finding]") -> None:
    passed = [one for one in found if one.verdict == "passed"]
    for one in found:
        if one.verdict == "passed":
            continue
        style = _STYLES[one.verdict]
        out.print(
            f"[{style}]{one.verdict}[/] {one.check} of {one.asset}{f', {one.ran_at} UTC' if one.ran_at else ''}",
            soft_wrap=True,
        )
        out.print(f"  It must hold: {plain(one.says)}", soft_wrap=True)
        for name, value in one.found.items():
            out.print(f"  {name}: {_short(value)}", soft_wrap=True)
        out.print()
    for one in passed:
        out.print(f"[green]passed[/] {one.check} of {one.asset}", soft_wrap=True)
    out.print(f"\n{len(passed)} of {len(found)} checks passed; --json shows what each of them found.")


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return plain(text if len(text) <= LONGEST else f"{text[:LONGEST]} ...")
