"""The tables of the reports of this stage, as their readers see them described."""

import pandera.polars as pa
import polars as pl

_SHARE = pa.Check.in_range(0, 1)
_COUNT = pa.Check.ge(0)
_COLUMN = pa.Column(pl.String, description="A feature, or the score.")

PARITY_COLUMNS = pa.DataFrameSchema(
    {
        "column": pa.Column(pl.String, unique=True, description="A feature, or the score."),
        "n_compared": pa.Column(pl.Int64, _COUNT, description="Slots that were compared."),
        "n_mismatches": pa.Column(pl.Int64, _COUNT, description="Slots that differ in any bit."),
        "largest_difference": pa.Column(
            pl.Float64, _COUNT, nullable=True, description="Between logged and replayed; NaN where one is missing."
        ),
        "request_id": pa.Column(pl.String, nullable=True, description="The first request that differs."),
        "item_id": pa.Column(pl.Int64, nullable=True, description="The item of its first slot that differs."),
        "logged": pa.Column(pl.Float64, nullable=True, description="The value that was read when the slot was served."),
        "replayed": pa.Column(pl.Float64, nullable=True, description="The value that the raw ratings give now."),
    },
    name="columns",
    strict=True,
    ordered=True,
)

PARITY_LISTS = pa.DataFrameSchema(
    {
        "fault": pa.Column(pl.String, unique=True, description="A possible fault of a list."),
        "n_requests": pa.Column(pl.Int64, _COUNT, description="Requests whose list has the fault."),
        "request_id": pa.Column(pl.String, nullable=True, description="The first of them."),
        "position": pa.Column(pl.Int64, nullable=True, description="And its first slot; null for the number of slots."),
        "logged": pa.Column(pl.String, nullable=True, description="The logged value; null for none."),
        "replayed": pa.Column(pl.String, nullable=True, description="The expected value; null for none."),
    },
    name="lists",
    strict=True,
    ordered=True,
)

PARITY_ABOUT = pa.DataFrameSchema(
    {
        "n_requests": pa.Column(pl.Int64, _COUNT, description="Requests that were replayed."),
        "n_slots": pa.Column(pl.Int64, _COUNT, description="Slots of these requests."),
        "n_absent": pa.Column(pl.Int64, _COUNT, description="Slots whose item the replay does not retrieve."),
        "n_wrong_lists": pa.Column(pl.Int64, _COUNT, description="Requests whose replayed list differs."),
        "n_late": pa.Column(
            pl.Int64, _COUNT, description="Requests that differ by events that had not arrived yet: no fault."
        ),
        "n_of_other_releases": pa.Column(pl.Int64, _COUNT, description="Requests of other releases, left out."),
        "n_repeated": pa.Column(pl.Int64, _COUNT, description="Requests that share their id with another, left out."),
        "n_excluded": pa.Column(pl.Int64, _COUNT, description="Requests that were imported or set aside, left out."),
        "n_left_out": pa.Column(pl.Int64, _COUNT, description="Slots of this release that cannot be compared."),
    },
    name="about",
    strict=True,
    ordered=True,
)

DRIFT_COLUMNS = pa.DataFrameSchema(
    {
        "column": pa.Column(pl.String, unique=True, description="A feature, or the score."),
        "ks": pa.Column(pl.Float64, _SHARE, nullable=True, description="Largest gap between the two distributions."),
        "p_value": pa.Column(pl.Float64, _SHARE, nullable=True, description="How often chance alone gives such a gap."),
        "p_holm": pa.Column(pl.Float64, _SHARE, nullable=True, description="The same, with all columns together."),
        "is_drift": pa.Column(pl.Boolean, nullable=True, description="Beyond chance; null where it was not judged."),
        "psi": pa.Column(pl.Float64, _COUNT, nullable=True, description="Population stability index: an effect size."),
        "reference_missing_share": pa.Column(
            pl.Float64, _SHARE, nullable=True, description="Missing in the reference."
        ),
        "window_missing_share": pa.Column(pl.Float64, _SHARE, nullable=True, description="Missing in the window."),
    },
    name="columns",
    strict=True,
    ordered=True,
)

DRIFT_ABOUT = pa.DataFrameSchema(
    {
        "is_judged": pa.Column(pl.Boolean, description="Whether there were enough users for a verdict."),
        "n_reference_clusters": pa.Column(pl.Int64, _COUNT, description="Users of the reference."),
        "n_window_clusters": pa.Column(pl.Int64, _COUNT, description="Users of the window that were compared."),
        "n_window_clusters_seen": pa.Column(pl.Int64, _COUNT, description="Users of the window in all."),
        "min_clusters": pa.Column(pl.Int64, _COUNT, description="Users needed on either side."),
        "n_permutations": pa.Column(pl.Int64, _COUNT, description="Permutations behind a p-value."),
        "alpha": pa.Column(pl.Float64, _SHARE, description="Chance of any false alarm in a report."),
    },
    name="about",
    strict=True,
    ordered=True,
)

DRIFT_PERIODS = pa.DataFrameSchema(
    {
        "period": pa.Column(pl.Int64, description="First second (UTC) of the period."),
        "column": _COLUMN,
        "n_clusters": pa.Column(pl.Int64, _COUNT, description="Users of the period."),
        "psi": pa.Column(pl.Float64, _COUNT, nullable=True, description="Stability index beside the reference."),
        "window_missing_share": pa.Column(pl.Float64, _SHARE, nullable=True, description="Missing in the period."),
    },
    name="periods",
    strict=True,
    ordered=True,
    unique=["period", "column"],
)

DRIFT_COMPARED = pa.DataFrameSchema(
    {
        "side": pa.Column(pl.String, pa.Check.isin(["reference", "window"]), unique=True, description="Which side."),
        "source": pa.Column(
            pl.String, description="Two periods of the event log, or the last two windows that examine models."
        ),
        "since": pa.Column(pl.Int64, description="First second (UTC) of the period."),
        "until": pa.Column(pl.Int64, description="First second (UTC) after it."),
    },
    name="compared",
    strict=True,
    ordered=True,
)
