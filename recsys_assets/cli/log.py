"""Commands about the event log: append, demo, stats, gaps, verify, accept-loss, set-aside, quarantine."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer
from rich.table import Table

from recsys_assets.cli.console import Json, errors, out, plain, print_json, working

if TYPE_CHECKING:  # polars and Dagster take a second to import, which `--help` need not pay
    from recsys_core.feedback.importing import Imported, Limits
    from recsys_core.feedback.log import Appended, EventLog

app = typer.Typer(help="The event log: what was shown, and what users did.", no_args_is_help=True)

SHOWN = 20
"""Rows of a table on the terminal; --json has all."""


@app.command()
def append(
    file: Annotated[str, typer.Argument(help="JSON lines; - reads standard input.")], *, as_json: Json = False
) -> None:
    """Add events, impressions and requests from JSON lines to the log; appending a file twice does no harm.

    A line that cannot be understood is set aside and can be replayed later.
    """
    from recsys_core.feedback.importing import import_lines

    with _log() as log, working(f"appending {plain(file)}"):
        if file == "-":
            imported = import_lines(sys.stdin.buffer, "standard input", log, _limits())
        else:
            with _opened(Path(file)) as stream:
                imported = import_lines(stream, os.fsencode(file).decode(errors="replace"), log, _limits())
    if as_json:
        print_json(asdict(imported))
    else:
        _show_imported(imported)


@app.command()
def demo() -> None:
    """Play the ratings that the settings hold back as a log: real ones, with made-up requests and clicks around them.

    For trying out the feedback loop; see `recsys_assets/presets/demo.yaml`. Playing them twice
    to the same release does no harm; another release answers under ids of its own.
    """
    from recsys_assets.assets.data import BaseRatingsRun
    from recsys_assets.cli.pipeline import this_lake
    from recsys_assets.recipes import RECIPES
    from recsys_core.data.holding import ratings_held_back
    from recsys_core.serving.bundle import load_bundle
    from recsys_core.serving.demonstration import demo_log

    lake, dataset = this_lake(), str(RECIPES["raw_data"].parameters()["dataset"])
    held = ratings_held_back(dataset, lake.raw_folder, BaseRatingsRun())
    with _log() as log, working("playing the ratings that were held back"):
        made = demo_log(load_bundle(lake.store), held)
        appended = log.append(requests=made.requests, impressions=made.impressions, events=made.events)
    _show_appended(appended)
    out.print("\n`recsys log stats` shows the days, `recsys refresh --plan` what follows from them.")


@app.command()
def stats(*, as_json: Json = False) -> None:
    """Show what arrived on which day, and up to which day the log is closed."""
    import recsys_assets.assets.feedback  # noqa: F401  # declares the days, whose settings say when one is closed
    from recsys_assets.planning import closed_until
    from recsys_core.feedback.inspection import stats as stats_of

    with _log() as log:
        found, place = stats_of(log), log.place
    closed = closed_until()
    if as_json:
        days = found.days.to_dicts()
        print_json({"place": place, "closed_until": closed, "days": days, "quarantined": found.n_quarantined})
        return
    out.print(f"{plain(place)}: {found.days.height} days, closed up to {closed} (UTC)")
    table = Table(*found.days.columns, box=None)
    for row in found.days.tail(SHOWN).iter_rows():
        table.add_row(*map(str, row))
    out.print(table)
    if found.days.height > SHOWN:
        out.print(f"... and {found.days.height - SHOWN} earlier days: --json has all")
    out.print(
        f"{found.n_quarantined} lines are in quarantine" + (": `recsys log quarantine`" * (found.n_quarantined > 0))
    )


@app.command()
def gaps(*, as_json: Json = False) -> None:
    """Show closed days whose log is not ingested as it is now, and days on which nothing arrived."""
    from recsys_assets.cli.pipeline import this_lake
    from recsys_assets.planning import log_gaps

    found = log_gaps(this_lake())
    if as_json:
        print_json(found.to_dicts())
        return
    if found.is_empty():
        out.print("no gaps: every closed day of the log is ingested as it is")
        return
    table = Table(*found.columns, box=None)
    for row in found.iter_rows():
        table.add_row(*map(str, row))
    out.print(table)
    out.print("\n`recsys refresh` ingests what waits or has changed; whether a silent day is right, only you can tell.")


@app.command()
def verify(*, as_json: Json = False) -> None:
    """Read the whole log and compare every row with its digest; exit with 1 where anything is damaged.

    Rows that were acknowledged or ingested and are gone count as damage. Keys that were used for two different things
    are told as well.
    """
    from recsys_core.feedback.inspection import verify as verified

    with _log() as log, working("reading the whole log"):
        found = verified(log)
        damage = found.damage or _shrunken(log)
    if as_json:
        told = {"days": found.n_days, "orphaned_impressions": found.n_orphans}
        print_json({"damage": damage, "conflicts": found.conflicts.to_dicts(), **told})
    else:
        for sentence in damage:
            out.print(plain(sentence), soft_wrap=True)
        for table, key, day in found.conflicts.head(SHOWN).iter_rows():
            out.print(f"{table} {plain(key)}: another row of this key, which arrived on {day}, does not count")
        if found.conflicts.height > SHOWN:
            out.print(f"... and {found.conflicts.height - SHOWN} more such rows: --json has all")
        if not damage:
            conflicts, orphans = found.conflicts.height, found.n_orphans
            out.print(f"whole: {found.n_days} days, {conflicts} conflicts, {orphans} impressions without a request")
    if damage:
        raise typer.Exit(1)


@app.command()
def accept_loss(*, as_json: Json = False) -> None:
    """Go on without rows that were acknowledged, or ingested, and are gone: what the log holds now is all there is.

    First look for a copy: `recsys log verify` names the files and days. A refresh then makes these days anew.
    """
    from recsys_assets.cli.pipeline import this_lake
    from recsys_assets.planning import days_that_shrank

    with _log() as log:
        lost = log.accept_loss()
        days = days_that_shrank(this_lake(), log)
        log.note([loss.accepted(time.time_ns() // 1_000) for loss in days.values()])
    accepted = [*lost, *(str(loss) for loss in days.values())]
    if as_json:
        print_json(accepted)
        return
    for sentence in accepted:
        out.print(f"accepted: {plain(sentence)}", soft_wrap=True)
    if not accepted:
        out.print("nothing is missing: there is no loss to accept")


@app.command()
def set_aside(
    request: Annotated[str | None, typer.Argument(help="Id of a request; without it, all set aside are shown.")] = None,
    *,
    take_back: Annotated[bool, typer.Option("--take-back", help="Let it count again.")] = False,
    as_json: Json = False,
) -> None:
    """Let a request and what it showed count no more: for parity, drift and what models learn; its rows stay."""
    from recsys_core.feedback.set_aside import requests_set_aside
    from recsys_core.feedback.set_aside import set_aside as put_aside

    with _log() as log:
        if request is not None:
            put_aside(log, request, time.time_ns() // 1_000, take_back=take_back)
        found = sorted(requests_set_aside(log))
    if as_json:
        print_json(found)
        return
    out.print(f"{len(found)} requests are set aside" + ("; `recsys refresh` goes on without them" if found else ""))
    for one in found:
        out.print(f"  {plain(one)}")


@app.command()
def quarantine(
    *,
    replay: Annotated[bool, typer.Option("--replay", help="Read the lines again, after a fix.")] = False,
    as_json: Json = False,
) -> None:
    """Show the lines that could not be understood, or read them again."""
    from recsys_core.feedback.quarantine import reasons
    from recsys_core.feedback.quarantine import replay as read_again

    with _log() as log:
        if replay:
            done = read_again(log, _limits())
            if as_json:
                print_json(asdict(done))
            else:
                out.print(f"{done.n_replayed} lines went into the log, {done.n_left} stay in quarantine")
                _show_appended(done.appended)
            return
        lines = log.quarantined()
    if as_json:
        print_json([asdict(one) | {"line_id": one.line_id.hex(), "raw": _shown(one.raw)} for one in lines])
        return
    out.print(f"{len(lines)} lines are in quarantine")
    for reason, n_lines in reasons(lines).items():
        out.print(f"  {n_lines} {plain(reason)}")
    for one in lines[-SHOWN:]:
        # No table: in 80 columns a long value would leave no room for the file, the line and the reason.
        place = ", ".join(part for part in (one.source, f"line {one.line}", one.column) if part)
        out.print(plain(f"{place}: {one.reason}" + (f": {one.value}" if one.value else "")), soft_wrap=True)
    if len(lines) > SHOWN:
        out.print(f"... and {len(lines) - SHOWN} earlier lines: --json has all")


def _shrunken(log: "EventLog") -> list[str]:
    """Days of which the log holds less than was ingested."""
    from recsys_assets.cli.pipeline import this_lake
    from recsys_assets.planning import days_that_shrank

    return [str(loss) for loss in days_that_shrank(this_lake(), log).values()]


@contextmanager
def _log() -> "Iterator[EventLog]":
    from recsys_assets.resources import event_log, lake_root

    with closing(event_log(lake_root())) as log:
        yield log


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    from recsys_core.errors import DataError

    try:
        stream = path.open("rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check the name and the permissions") from error
    with stream:
        yield stream


def _limits() -> "Limits":
    """As the settings of `interactions` say, which hold for imports as well."""
    from recsys_assets.assets.feedback import InteractionsRun
    from recsys_core.feedback.importing import Limits

    return Limits(now=int(time.time()), future_tolerance_s=InteractionsRun().future_tolerance_s)


def _show_imported(imported: "Imported") -> None:
    out.print(f"{imported.n_lines} lines")
    _show_appended(imported.appended)
    if imported.n_set_aside:
        out.print(f"  {imported.n_set_aside} were set aside: `recsys log quarantine` says why")
    if imported.tail_offset is not None:
        errors.print(
            f"The last line, from byte {imported.tail_offset}, is not finished: append the file again when it is."
        )


def _show_appended(appended: "Appended") -> None:
    for name, counts in asdict(appended).items():
        if any(counts.values()):
            out.print(f"  {name}: {', '.join(f'{n} {what}' for what, n in counts.items())}")


def _shown(raw: bytes) -> str:
    """A line as text; what is not UTF-8 is escaped, so that it can be told from what is."""
    return raw.decode(errors="backslashreplace")
