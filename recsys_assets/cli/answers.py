"""The command that answers: recommend."""

import math
import time
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer
from rich.table import Column, Table

from recsys_assets.cli.console import Json, errors, out, plain, print_json

if TYPE_CHECKING:  # torch, faiss and xgboost take seconds to import, which `--help` need not pay
    from recsys_core.serving.descriptions import Recommendation
    from recsys_core.serving.recommender import Recommender
    from recsys_core.serving.requests import Answer

MAX_ID = 2**53 - 1
"""The same as `recsys_core.data.schemas.MAX_ID`, whose import takes half a second, which `--help` need not pay."""


At = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S%z"],
        help="When they ask, UTC unless an offset says otherwise; by default right after the last rating in the lake.",
    ),
]

Likes = Annotated[
    list[int] | None, typer.Option(min=0, max=MAX_ID, help="Id of a movie that they like, beyond their ratings.")
]


def recommend(
    *,
    user: Annotated[int | None, typer.Option(min=0, max=MAX_ID, help="Id of a user.")] = None,
    like: Likes = None,
    at: At = None,
    k: Annotated[int, typer.Option("-k", min=1, max=200, help="How many movies.")] = 10,
    explain: Annotated[bool, typer.Option("--explain", help="Say what moved each movie to its place.")] = False,
    as_json: Json = False,
) -> None:
    """Recommend movies to one user, who may be new: user tower, index, features, ranker."""
    if user is None and not like:
        raise typer.BadParameter(
            "say for whom: --user ID, or --like ID once or more (`recsys data movies` finds ids), or both"
        )
    from recsys_assets.resources import lake_root
    from recsys_core.days import second_of
    from recsys_core.lake.store import Lake
    from recsys_core.serving.bundle import load_bundle
    from recsys_core.serving.descriptions import describe
    from recsys_core.serving.recommender import Recommender
    from recsys_core.serving.requests import Request

    recommender = Recommender(bundle=load_bundle(Lake(lake_root())))
    requested_at = recommender.now if at is None else second_of(at)
    likes = recommender.somebody_who_likes(like, requested_at) if like else ()
    unread = [] if user is None else _exposures_not_read(recommender, user, requested_at)
    answer = recommender.answer(
        Request(request_id=uuid4().hex, user_id=user, history=likes, requested_at=requested_at, k=k)
    )
    places = describe(recommender.bundle, answer)
    notes = [
        *_reservations(answer, recommender.bundle.ranker.n_candidates),
        *unread,
        *_not_logged(answer, recommender.bundle.release),
    ]
    if as_json:
        print_json([_without_nan(asdict(one)) for one in places])
    else:
        _show_answer(places, explain=explain)
    for note in notes:
        errors.print(f"[yellow]note:[/] {plain(note)}")


def _show_answer(answer: "list[Recommendation]", *, explain: bool) -> None:
    # In a narrow terminal titles and genres wrap, never a number. Reasons stand below the title, in place of genres.
    about = [Column("movie, because of" if explain else "movie"), *([] if explain else [Column("genres")])]
    figures = [Column(name, no_wrap=True) for name in ("id", "retrieved as")]
    chance = Column("liked later", justify="right", no_wrap=True)
    table = Table(Column("", no_wrap=True), *about, *figures, chance, box=None)
    for one in answer:
        title = plain(f"{one.title or '(no title)'}{f' ({one.year})' if one.year else ''}")
        said = [f"{title}\n{_reasons(one)}"] if explain else [title, plain(", ".join(one.genres))]
        table.add_row(str(one.rank), *said, str(one.item_id), f"no. {one.retrieval_rank}", _chance(one.probability))
    out.print(table)
    if explain:
        out.print(
            "\nEach number is a SHAP value: by how much that feature moved the movie's score. docs/stages/ranking.md"
        )


def _reservations(answer: "Answer", n_candidates: int) -> list[str]:
    """What one should know before one takes the answer for the best that there is.

    Args:
        answer: to one user.
        n_candidates: how many movies the ranker orders at most.
    """
    found = []
    n_found = len(answer.item_ids)
    if n_found < answer.request.k:
        why = (
            f"the ranker orders {n_candidates} candidates (ranking_examples.n_candidates)"
            if n_found >= n_candidates
            else "nothing else that this user has not rated was found"
        )
        found.append(f"{n_found} movies, not {answer.request.k}: {why}")
    if not answer.n_known:
        found.append("nothing is known of this user by then: this is what everybody new gets")
    stale = sorted(name for name, counts in answer.degraded.items() if "stale" in counts)
    if stale:
        found.append(f"too old by then, so that defaults stand for them: {', '.join(stale)} (`recsys refresh`)")
    return found


def _exposures_not_read(recommender: "Recommender", user_id: int, requested_at: int) -> list[str]:
    """Let the recommender take in what the log holds of a user, today's rows included; why that failed, if it did.

    Whoever asks gets their answer all the same.
    """
    from recsys_assets.assets.feedback import InteractionsRun
    from recsys_assets.resources import event_log, lake_root
    from recsys_core.errors import LogError
    from recsys_core.features.exposures import FATIGUE_S
    from recsys_core.feedback.exposures import exposed_so_far
    from recsys_core.serving.exposures import observations

    tolerance_s = InteractionsRun().future_tolerance_s
    try:
        with closing(event_log(lake_root())) as log:
            exposed = exposed_so_far(log, user_id, requested_at - FATIGUE_S, tolerance_s)
    except LogError as fault:
        return [f"what this user was shown before counts for nothing here: {fault}"]
    for whose, what in observations(exposed):
        recommender.observe(whose, what)
    return []


def _not_logged(answer: "Answer", release: str) -> list[str]:
    """Log what is shown; why that failed, if it did: whoever asks gets their answer all the same."""
    from recsys_assets.resources import event_log, lake_root
    from recsys_core.errors import LogError
    from recsys_core.serving.logging import impression_records, request_record

    served_at = time.time_ns() // 1_000
    try:
        with closing(event_log(lake_root())) as log:
            log.append(
                requests=[request_record(answer, release, served_at)],
                impressions=impression_records(answer, release, served_at),
            )
    except LogError as fault:
        return [f"this answer is not in the event log: {fault}"]
    return []


def _chance(probability: float | None) -> str:
    """In whole percent: more digits would promise more than the report on reliability keeps."""
    return "-" if probability is None else f"{100 * probability:.0f} %"


def _reasons(one: "Recommendation") -> str:
    strongest = sorted(one.contributions.items(), key=lambda pair: -abs(pair[1]))[:3]
    lines = [f"{moved:+.2f} {name}: {one.features[name]:.3g}" for name, moved in strongest]
    if one.moved_by:
        lines.append(f"no. {one.ranker_rank} by score, moved by the rule of {one.moved_by}")
    return "\n".join(lines)


def _without_nan(answer: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: an undefined feature is null."""
    features = {name: None if math.isnan(value) else value for name, value in answer["features"].items()}
    return answer | {"features": features}
