"""What a file from outside may be: the setting of the reader and the fixed caps that keep it bounded.

The caps are not settings: they are far above every GroupLens file and only stop a hostile or broken one from using up
memory or disk.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from recsys_core.data.schemas import EARLIEST_TIMESTAMP, LATEST_TIMESTAMP

MAX_LINE_CHARS = 1 << 20
"""A longer line is set aside; the longest of GroupLens' has a few hundred characters."""

MAX_TITLE_CHARS = 500
"""A longer title is set aside; the longest of MovieLens 32M has about 250."""

MAX_FILE_BYTES = 4 << 30
"""The most that one unpacked file may hold; ratings.csv of MovieLens 32M has 0.9 GB."""

BLOCK_BYTES = 16 << 20
"""A file is read in blocks of this size, so that memory does not grow with it beyond the table itself."""


class ReadingConfig(BaseModel):
    """How strictly files from outside are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bad_share: float = Field(
        default=0.01,
        ge=0.0,
        le=1.0,
        description="Share of a file's lines that may be bad; above it the file is refused. 1 % forgives an odd line, "
        "while a shifted column or a wrong delimiter spoils nearly all.",
    )
    max_unknown_share: float = Field(
        default=0.01,
        ge=0.0,
        le=1.0,
        description="Share of ratings whose movie is not in the movie table; above it the two files do not belong "
        "together. GroupLens' own data sets have none.",
    )
    latest_timestamp: int = Field(
        default=LATEST_TIMESTAMP,
        ge=EARLIEST_TIMESTAMP,
        le=LATEST_TIMESTAMP,
        description="Ratings later than this (seconds UTC) are set aside as from the future. Core reads no clock, and "
        "the dates inside an archive say when it was packed, not when it is true; so by default only the year 2100 "
        "bounds, which catches milliseconds. A caller who knows the time passes it.",
    )
    encoding: Literal["layout", "utf-8", "latin-1"] = Field(
        default="layout",
        description="Text encoding; `layout` takes what GroupLens uses in that layout: latin-1 for 100K and 1M, else "
        "UTF-8.",
    )


class RatingsReadingConfig(ReadingConfig):
    """How strictly ratings are read, and from when on they are left out."""

    hold_back_from: str | None = Field(
        default=None,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        description="Ratings given on this day (UTC) or later are left out, as if they had not happened yet: "
        "`recsys log demo` then plays them as a log. For trying out the feedback loop; by default there is none.",
    )
