"""What do the feature and the list rule of fatigue change, as far as a replayed month can tell?

Usage:
    python -m benchmarks.fatigue

The lake must have models that do not know the month that its settings hold back, and an empty log:

    recsys --lake LAKE --settings recsys_assets/presets/demo.yaml run
    RECSYS_LAKE=LAKE RECSYS_SETTINGS=recsys_assets/presets/demo.yaml python -m benchmarks.fatigue

The month is replayed as `recsys log demo` does, once for each setting of `tired_after`; nothing is written. The ratings
are real and the same each time. The clicks are simulated from them, and depend on positions alone. So a row shows how
often movies are shown again, and whether users wanted the movies that replace them; it cannot show that users tire.

The first table is about the whole month and the models of the lake, which have never seen a shown slot. The second is
about the second half of the month, and rankers that were trained on what the first half showed: with the feature, and
with 0 in its place; with the default weight of such rows, and with the largest.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_assets.asset_specs import ASSET_SPECS
from recsys_assets.assets.data import BaseRatingsRun
from recsys_assets.assets.ranking import RankerRun
from recsys_assets.resources import lake_root
from recsys_core.data.ratings_table import read_holdback
from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.data.splits import Splits
from recsys_core.features.registry import FEATURE_NAMES
from recsys_core.feedback.labels import logged_clicks, logged_ratings, outcomes
from recsys_core.feedback.records import EVENTS_TABLE, IMPRESSIONS_TABLE, unpack_features
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.metrics.uncertainty import paired_difference
from recsys_core.ranking.config import ListRulesConfig, ShownConfig
from recsys_core.ranking.ranker import Ranker, fit_ranker
from recsys_core.ranking.training_rows import LoggedFeedback, RankingExamples, shown_rows
from recsys_core.retrieval.model import load_retrieval_model
from recsys_core.seeding import child
from recsys_core.serving.bundle import Bundle, load_bundle
from recsys_core.serving.demonstration import DemoLog, demo_log
from recsys_core.tables import read_table

K = 10
TIRED_AFTER = (None, 1, 2, 3, 5)
FEATURE = "pair_shown_unclicked"
OFTEN = 3

MAX_SHOWN_WEIGHT = 10.0
"""The largest allowed `shown_weight`."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Played:
    """The answers of a replayed month, one per row.

    Attributes: answers: user_id, then for the first ten positions: the shares of movies shown before without a click
    (again) and at least three times (often); the numbers clicked, rated (by the user later in the month) and liked.
    """

    answers: pl.DataFrame

    @classmethod
    def of(cls, log: DemoLog, held: pl.DataFrame) -> "Played":
        """The answers in a log.

        Args:
            log: the month.
            held: RATINGS of the month.
        """
        slots = IMPRESSIONS_TABLE.frame(log.impressions)
        counts = unpack_features(slots["features"].to_list())[:, FEATURE_NAMES.index(FEATURE)]
        clicks = EVENTS_TABLE.frame(log.events).filter(kind="click").unique("event_id")
        clicked = clicks.select("request_id", "item_id", clicked=pl.lit(1))
        later = held.select("user_id", "item_id", "rating", "timestamp")
        judged = slots.with_columns(n_shown=pl.Series(counts)).join(clicked, on=["request_id", "item_id"], how="left")
        judged = judged.join(later, on=["user_id", "item_id"], how="left")
        rated = (pl.col("timestamp") >= pl.col("requested_at")).fill_null(value=False)
        answers = judged.group_by("request_id", maintain_order=True).agg(
            pl.col("user_id").first(),
            again=(pl.col("n_shown") >= 1).mean(),
            often=(pl.col("n_shown") >= OFTEN).mean(),
            clicked=pl.col("clicked").count().cast(pl.Float64),
            rated=rated.sum().cast(pl.Float64),
            liked=(rated & (pl.col("rating") >= LIKED)).sum().cast(pl.Float64),
        )
        return cls(answers=answers)

    def mean(self, column: str) -> float:
        """The mean over all answers."""
        return float(self.answers[column].to_numpy().mean())

    def beside(self, plain: "Played", column: str) -> str:
        """The difference to other answers to the same requests, with its 95 % interval over users."""
        ours, theirs = (one.answers[column].to_numpy().astype(np.float64) for one in (self, plain))
        found = paired_difference(ours, theirs, child(17, "bootstrap"), clusters=self.answers["user_id"].to_numpy())
        return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def with_rules(ranker: Ranker, tired_after: int | None) -> Ranker:
    """The same ranker with the list rule."""
    return replace(ranker, list_rules=ListRulesConfig(tired_after=tired_after))


def play(bundle: Bundle, ranker: Ranker, held: pl.DataFrame) -> DemoLog:
    """The month as models with this ranker would have logged it; all other models are those of the bundle."""
    return demo_log(replace(bundle, ranker=ranker), held, k=K)


def training_rows_of(log: DemoLog, bundle: Bundle, lake: Lake) -> RankingExamples:
    """The training rows of the lake, with those that a log adds.

    Args:
        log: a part of the month.
        bundle: the models that serve, for their ratings and ranker.
        lake: its examples, splits and towers.
    """
    days = {"all": EVENTS_TABLE.frame(log.events)}
    clicks, rated = logged_clicks(days), logged_ratings(days)
    judged = outcomes(IMPRESSIONS_TABLE.frame(log.impressions), clicks, rated)
    ratings = pl.concat([bundle.ratings.select(*RATINGS_COLUMNS), rated.select(*RATINGS_COLUMNS)])
    examples = RankingExamples.load(lake.open("ranking_examples"))
    items = read_table(lake.open("item_features") / "item_features.parquet")
    shown = shown_rows(
        LoggedFeedback(outcomes=judged, clicks=clicks),
        ratings,
        Splits.load(lake.open("splits")),
        items,
        lambda name: load_retrieval_model(lake.open("two_tower"), name),
        ShownConfig(n_candidates=bundle.ranker.n_candidates),
    )
    print(f"{shown['slice'].n_unique()} requests of {shown['user_id'].n_unique()} users: {shown.height} training rows")
    return examples.with_shown(shown)


def trained_on(
    examples: RankingExamples, shown_weight: float, retrieval_weight: float, *, without_feature: bool
) -> Ranker:
    """A ranker trained on examples.

    Args:
        examples: of windows, and of what was shown.
        shown_weight: of the latter.
        retrieval_weight: of the score.
        without_feature: whether the feature is 0 in all rows, as if it did not exist.
    """
    rows, config = examples.rows, RankerRun().model_copy(update={"shown_weight": shown_weight})
    if without_feature:
        rows = rows.with_columns(pl.lit(0.0, pl.Float32).alias(FEATURE))
    fitted = fit_ranker(rows, examples.feature_set, config, examples.known_until)
    return replace(fitted, retrieval_weight=retrieval_weight)


def table(named: Sequence[tuple[str, Played]]) -> str:
    """A row per setting; differences are to the first row."""
    plain = named[0][1]
    header = ["lists", "shown before", f"{OFTEN} times and more", "clicks", "difference", "rated later", "liked later"]
    header.append("difference")
    return markdown_table(header, [_row(name, one, plain) for name, one in named])


def _row(name: str, one: Played, plain: Played) -> list[str]:
    is_plain = one is plain
    return [
        name,
        f"{one.mean('again'):.1%}",
        f"{one.mean('often'):.1%}",
        f"{one.mean('clicked'):.3f}",
        "" if is_plain else one.beside(plain, "clicked"),
        f"{one.mean('rated'):.3f}",
        f"{one.mean('liked'):.3f}",
        "" if is_plain else one.beside(plain, "liked"),
    ]


def _label(tired_after: int | None) -> str:
    return "no rule" if tired_after is None else f"tired after {tired_after}"


def whole_month(bundle: Bundle, held: pl.DataFrame) -> str:
    """The models of the lake with each setting of the rule."""
    return table([(_label(n), Played.of(play(bundle, with_rules(bundle.ranker, n), held), held)) for n in TIRED_AFTER])


def second_half(bundle: Bundle, lake: Lake, held: pl.DataFrame) -> str:
    """Rankers trained on the first half, with and without the feature and the rule."""
    middle = int(held["timestamp"].median())  # type: ignore[arg-type]  # never null
    first, second = held.filter(pl.col("timestamp") < middle), held.filter(pl.col("timestamp") >= middle)
    examples = training_rows_of(play(bundle, bundle.ranker, first), bundle, lake)
    known = replace(bundle, ratings=pl.concat([bundle.ratings, first.select(bundle.ratings.columns)]))
    rows, gains = [], []
    for weight in (RankerRun().shown_weight, MAX_SHOWN_WEIGHT):
        for name in ("without", "with"):
            one = trained_on(examples, weight, bundle.ranker.retrieval_weight, without_feature=name == "without")
            for n in (None, OFTEN):
                label = f"{name} the feature, shown_weight {weight:g}, {_label(n)}"
                rows.append((label, Played.of(play(known, with_rules(one, n), second), second)))
        gain = one.importance()
        place = gain["feature"].to_list().index(FEATURE)
        gains.append(f"shown_weight {weight:g}: gain {gain['gain'][place]:.1f}, no. {place + 1} of {gain.height}")
    return "\n".join([table(rows), "", *gains])


def main(root: Path) -> int:
    """Print both tables; returns the exit status."""
    lake, bundle = Lake(root), load_bundle(Lake(root))
    held = read_holdback(str(ASSET_SPECS["raw_data"].parameters()["dataset"]), root / "raw", BaseRatingsRun())
    n_answers = len(play(bundle, bundle.ranker, held).requests)
    print(f"{n_answers:,} answers to {held['user_id'].n_unique()} users, {held.height:,} ratings\n")
    print(f"{whole_month(bundle, held)}\n")
    print(second_half(bundle, lake, held))
    return 0


if __name__ == "__main__":
    sys.exit(main(lake_root()))
