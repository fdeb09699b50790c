"""User lines -> the users table; only 100K and 1M tell anything about their users."""

from collections.abc import Iterator

import polars as pl

from recsys_core.data.fields import id_number, whole_number
from recsys_core.data.lines import Block
from recsys_core.data.quarantine import BadRow, Quarantine
from recsys_core.data.records import Plan, accepted, records
from recsys_core.errors import DataError

MAX_AGE = 130

OCCUPATIONS_1M = (
    # By their numbers in the README of MovieLens 1M.
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
    "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer",
    "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman",
    "unemployed", "writer",
)  # fmt: skip

USERS_COLUMNS = {"user_id": pl.Int64(), "age": pl.Int32(), "gender": pl.String(), "occupation": pl.String()}


def user_rows(blocks: Iterator[Block], plan: Plan, quarantine: Quarantine) -> tuple[pl.DataFrame, int]:
    """The valid users in the file's order, and how many records the file has; bad ones go to `quarantine`."""
    rows: list[tuple[object, ...]] = []
    n_records = 0
    for found in records(blocks, plan):
        rows += accepted(found, lambda fields: _user(fields, plan), quarantine)
        n_records += len(found)
        quarantine.check_early(n_records)
    return pl.DataFrame(rows, schema={"line": pl.Int64(), **USERS_COLUMNS}, orient="row"), n_records


def without_repeats(rows: pl.DataFrame, file: str) -> pl.DataFrame:
    """One row per user, sorted by id; a line that repeats another is dropped.

    Raises:
        DataError: two lines describe one user differently.
    """
    table = rows.unique(list(USERS_COLUMNS), keep="first", maintain_order=True).sort("user_id", "line")
    clash = table.filter(pl.col("user_id").is_duplicated()).head(2)
    if clash.height:
        lines = " and ".join(str(line) for line in clash["line"])
        raise DataError(f"{file} conflicts with itself: lines {lines} describe user {clash['user_id'][0]} differently")
    return table.drop("line")


def _user(fields: list[str], plan: Plan) -> tuple[int, int, str, str]:
    user_id = id_number(plan.value(fields, "userId"), "userId")
    age = whole_number(plan.value(fields, "age"), "age")
    if age > MAX_AGE:
        raise BadRow("age", f"above {MAX_AGE}", str(age))
    gender = plan.value(fields, "gender")
    if gender not in {"F", "M"}:
        raise BadRow("gender", "not F or M", gender)
    return user_id, age, gender, _occupation(plan.value(fields, "occupation"))


def _occupation(text: str) -> str:
    """The occupation's name; 1M gives its number."""
    if not text.isascii() or not text.isdigit():
        return text
    if len(text) > 2 or int(text) >= len(OCCUPATIONS_1M):
        raise BadRow("occupation", "an unknown number", text)
    return OCCUPATIONS_1M[int(text)]
