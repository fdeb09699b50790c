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

from recsys_assets.cli.console import Json, counted, errors, out, plain, print_json, working

if TYPE_CHECKING:  # polars and Dagster take a second to import, too long for `--help`
    from recsys_core.feedback.importing import Imported
    from recsys_core.feedback.log import Appended, BadLine, EventLog
    from recsys_core.feedback.parsing import Limits

app = typer.Typer(help="The event log: what was shown, and what users did.", no_args_is_help=True)

MAX_ROWS = 20
"""Of a table on the terminal; --json shows all of them."""

MAX_IDS = 10
"""In a warning."""


@app.command()
def append(
    file: Annotated[str, typer.Argument(help="File of JSON lines; - for standard input.")], *, as_json: Json = False
) -> None:
    """Add events, impressions and requests to the log, from JSON lines; appending a file twice is harmless.

    A line that cannot be understood is put into quarantine, and the exit status is then 1. Correct the file and append
    it again.
    """
    from recsys_core.feedback.importing import import_lines
    from recsys_core.feedback.quarantine import STANDARD_INPUT

    with _log() as log, working(f"appending {plain(file)}"):
        if file == "-":
            imported = import_lines(sys.stdin.buffer, STANDARD_INPUT, log, _limits())
        else:
            with _opened(Path(file)) as stream:
                imported = import_lines(stream, os.fsencode(file).decode(errors="replace"), log, _limits())
    if as_json:
        print_json(asdict(imported))
    else:
        _show_imported(imported)
    _warn_of_unknown(imported.unknown_items)
    if imported.n_set_aside:
        raise typer.Exit(1)


@app.command()
def demo() -> None:
    """Write the ratings that the settings hold back into the log, with simulated requests and clicks around them.

    This is for trying out the feedback loop; see `recsys_assets/presets/demo.yaml`. Running it twice with the same
    models is harmless. Other models give other answers, whose requests have ids of their own.
    """
    from recsys_assets.asset_specs import ASSET_SPECS
    from recsys_assets.assets.data import BaseRatingsRun
    from recsys_assets.cli.status import this_lake
    from recsys_core.data.ratings_table import read_holdback
    from recsys_core.serving.bundle import load_bundle
    from recsys_core.serving.demonstration import demo_log

    lake, dataset = this_lake(), str(ASSET_SPECS["raw_data"].parameters()["dataset"])
    held = read_holdback(dataset, lake.raw_folder, BaseRatingsRun())
    with _log() as log, working("writing the held-back ratings"):
        made = demo_log(load_bundle(lake.store), held)
        appended = log.append(requests=made.requests, impressions=made.impressions, events=made.events)
    _show_appended(appended)
    out.print("\n`recsys log stats` shows the days, `recsys refresh --plan` what they make stale.")


@app.command()
def stats(*, as_json: Json = False) -> None:
    """Show how much arrived on which day, and up to which day the log is closed."""
    import recsys_assets.assets.feedback  # noqa: F401  # declares `interactions`, whose settings say when a day is closed
    from recsys_assets.refresh.planner import closed_until
    from recsys_core.feedback.inspection import stats as stats_of

    with _log() as log:
        found, place = stats_of(log), log.place
    closed = closed_until()
    if as_json:
        days = found.days.to_dicts()
        print_json({"place": place, "closed_until": closed, "days": days, "quarantined": found.n_quarantined})
        return
    out.print(f"{plain(place)}: {counted(found.days.height, 'day')}, closed up to {closed} (UTC)")
    table = Table(*found.days.columns, box=None)
    for row in found.days.tail(MAX_ROWS).iter_rows():
        table.add_row(*map(str, row))
    out.print(table)
    if found.days.height > MAX_ROWS:
        out.print(f"... and {found.days.height - MAX_ROWS} earlier days: --json shows all")
    out.print(
        f"{counted(found.n_quarantined, 'line')} in quarantine"
        + (": `recsys log quarantine`" * (found.n_quarantined > 0))
    )


@app.command()
def gaps(*, as_json: Json = False) -> None:
    """Show closed days that are not ingested or have changed since, and days on which nothing arrived."""
    from recsys_assets.cli.status import this_lake
    from recsys_assets.refresh.planner import log_gaps

    found = log_gaps(this_lake())
    if as_json:
        print_json(found.to_dicts())
        return
    if found.is_empty():
        out.print("no gaps: every closed day of the log is ingested and unchanged")
        return
    table = Table(*found.columns, box=None)
    for row in found.iter_rows():
        table.add_row(*map(str, row))
    out.print(table)
    out.print(
        "\n`recsys refresh` ingests days that wait or have changed. Only you can tell whether a silent day is correct."
    )


@app.command()
def verify(*, as_json: Json = False) -> None:
    """Read the whole log and compare every row with its digest; the exit status is 1 if anything is damaged.

    Rows that were acknowledged or ingested and are missing now count as damage. Keys that were used for two different
    rows are listed as well.
    """
    from recsys_core.feedback.inspection import verify as verified

    with _log() as log, working("reading the whole log"):
        found = verified(log)
        damage = found.damage or _shrunken(log)
    if as_json:
        counts = {"days": found.n_days, "orphaned_impressions": found.n_orphans}
        print_json({"damage": damage, "conflicts": found.conflicts.to_dicts(), **counts})
    else:
        for sentence in damage:
            out.print(plain(sentence), soft_wrap=True)
        for table, key, day in found.conflicts.head(MAX_ROWS).iter_rows():
            out.print(f"{table} {plain(key)}: another row with this key arrived on {day} and is ignored")
        if found.conflicts.height > MAX_ROWS:
            out.print(f"... and {found.conflicts.height - MAX_ROWS} more such rows: --json shows all")
        if not damage:
            conflicts, orphans = counted(found.conflicts.height, "conflict"), counted(found.n_orphans, "impression")
            out.print(f"undamaged: {counted(found.n_days, 'day')}, {conflicts}, {orphans} without a request")
    if damage:
        raise typer.Exit(1)


@app.command()
def accept_loss(*, as_json: Json = False) -> None:
    """Accept that acknowledged or ingested rows are lost, and continue with what the log holds now.

    First look for a copy: `recsys log verify` names the files and days. The next refresh reads these days again.
    """
    from recsys_assets.cli.status import this_lake
    from recsys_assets.refresh.planner import days_that_shrank

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
    request: Annotated[
        str | None, typer.Argument(help="Id of a request; without it, all that are set aside are listed.")
    ] = None,
    *,
    take_back: Annotated[bool, typer.Option("--take-back", help="Include the request again.")] = False,
    as_json: Json = False,
) -> None:
    """Exclude a request, and what it showed, from the parity report, the drift report and training; its rows stay.

    Without an id, the requests that are set aside are listed.
    """
    from recsys_core.feedback.quarantine import exclude_request, excluded_requests

    with _log() as log:
        if request is not None:
            exclude_request(log, request, time.time_ns() // 1_000, take_back=take_back)
        found = sorted(excluded_requests(log))
    if as_json:
        print_json(found)
        return
    out.print(
        f"{counted(len(found), 'request')} set aside" + ("; the next `recsys refresh` leaves them out" if found else "")
    )
    for one in found:
        out.print(f"  {plain(one)}")


@app.command()
def quarantine(
    *,
    replay: Annotated[bool, typer.Option("--replay", help="Read the lines again, after a change of settings.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Dismiss the lines: they are not shown again.")] = False,
    file: Annotated[str | None, typer.Option(help="Only lines of this file, with the name that is shown.")] = None,
    as_json: Json = False,
) -> None:
    """Show the lines that could not be understood, read them again, or dismiss them.

    A line leaves the quarantine when its corrected file is appended again.
    """
    if replay and (clear or file is not None):
        raise typer.BadParameter("--replay reads every line again: it takes neither --clear nor --file")
    with _log() as log:
        if replay:
            _replay(log, as_json=as_json)
        elif clear:
            _clear(log, file, as_json=as_json)
        else:
            lines = [one for one in log.quarantined() if file is None or one.source == file]
            _show_quarantine(lines, as_json=as_json)


def _replay(log: "EventLog", *, as_json: bool) -> None:
    from recsys_core.feedback.quarantine import replay as read_again

    done = read_again(log, _limits())
    if as_json:
        print_json(asdict(done))
    else:
        out.print(f"{counted(done.n_replayed, 'line')} went into the log, {done.n_left} stay in quarantine")
        _show_appended(done.appended)
    _warn_of_unknown(done.unknown_items)


def _clear(log: "EventLog", file: str | None, *, as_json: bool) -> None:
    from recsys_core.feedback.quarantine import clear as dismiss

    n_cleared = dismiss(log, int(time.time()), file)
    if as_json:
        print_json({"n_cleared": n_cleared})
    else:
        out.print(f"{counted(n_cleared, 'line')} left the quarantine; if appended again, wrong lines come back")


def _show_quarantine(lines: "list[BadLine]", *, as_json: bool) -> None:
    from recsys_core.feedback.quarantine import reasons

    if as_json:
        print_json([asdict(one) | {"line_id": one.line_id.hex(), "raw": _line_text(one.raw)} for one in lines])
        return
    out.print(f"{counted(len(lines), 'line')} in quarantine")
    for reason, n_lines in reasons(lines).items():
        out.print(f"  {n_lines} {plain(reason)}")
    for one in lines[-MAX_ROWS:]:
        # Not a table: in 80 columns a long value would leave no room for the file, the line and the reason.
        place = ", ".join(part for part in (one.source, f"line {one.line}", one.column) if part)
        out.print(plain(f"{place}: {one.reason}" + (f": {one.value}" if one.value else "")), soft_wrap=True)
    if len(lines) > MAX_ROWS:
        out.print(f"... and {len(lines) - MAX_ROWS} earlier lines: --json shows all")
    if lines:
        out.print(
            "\nCorrect the file and append it again: corrected lines leave the quarantine. `--replay` reads the lines "
            "again after a change of settings, `--clear` dismisses them.",
            soft_wrap=True,
        )


def _shrunken(log: "EventLog") -> list[str]:
    """Days of which the log holds less than was ingested."""
    from recsys_assets.cli.status import this_lake
    from recsys_assets.refresh.planner import days_that_shrank

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
    """The limits for imported lines, from the settings of `interactions` and from the movie table."""
    from recsys_assets.assets.feedback import InteractionsRun
    from recsys_core.feedback.parsing import Limits

    return Limits(
        now=int(time.time()), future_tolerance_s=InteractionsRun().future_tolerance_s, known_items=_known_movies()
    )


def _known_movies() -> "frozenset[int] | None":
    """The ids of the movie table; None if it is not built yet, so that every id is accepted."""
    from recsys_assets.resources import lake_root
    from recsys_core.errors import ArtifactError
    from recsys_core.lake.store import Lake
    from recsys_core.tables import read_table

    try:
        movies = read_table(Lake(lake_root()).open("movies") / "movies.parquet")
    except ArtifactError:
        return None
    return frozenset(movies["item_id"].to_list())


def _show_imported(imported: "Imported") -> None:
    out.print(counted(imported.n_lines, "line"))
    _show_appended(imported.appended)
    if imported.n_set_aside:
        out.print(f"  {counted(imported.n_set_aside, 'line')} in quarantine: `recsys log quarantine` says why")
    if imported.n_resolved:
        out.print(f"  {counted(imported.n_resolved, 'line')} left the quarantine")
    if imported.tail_offset is not None:
        errors.print(
            f"The last line, from byte {imported.tail_offset}, is incomplete: append the file again when it is whole."
        )


def _warn_of_unknown(unknown: dict[int, int]) -> None:
    """Warn of movies that do not exist; their lines are stored, since a data set may gain movies."""
    if not unknown:
        return
    n_lines, named = sum(unknown.values()), ", ".join(map(str, list(unknown)[:MAX_IDS]))
    more = f" and {len(unknown) - MAX_IDS} more" if len(unknown) > MAX_IDS else ""
    errors.print(
        f"[yellow]warning:[/] {n_lines} lines name movies that the movie table does not have: {named}{more}. They are "
        "stored, and such movies may be recommended without a title. If an id is wrong, send the corrected event with "
        "another event_id",
        soft_wrap=True,
    )


def _show_appended(appended: "Appended") -> None:
    for name, counts in asdict(appended).items():
        if any(counts.values()):
            out.print(f"  {name}: {', '.join(f'{n} {what}' for what, n in counts.items())}")


def _line_text(raw: bytes) -> str:
    """A line as text; bytes that are not UTF-8 are escaped."""
    return raw.decode(errors="backslashreplace")
