"""Records of the lake about an artifact: the manifest beside its files, and the pointer to the current version.

Both are sealed: the text carries a hash of itself, so that one flipped bit is noticed even where the result is still
valid JSON, such as a digit within a number. The seal detects accidents; it is no signature against a forger.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from recsys_core.errors import ArtifactError

Sealed = TypeVar("Sealed", bound=BaseModel)


class Lineage(BaseModel):
    """The origin of an artifact, which the planner compares to tell whether it is stale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: dict[str, str] = Field(
        default_factory=dict, description='Version read of each input: "asset", "asset/partition" or a raw source.'
    )
    code_version: str = Field(description="Hash of the code that made it, from `recsys_core.fingerprint`.")
    parameters: dict[str, JsonValue] = Field(default_factory=dict, description="Settings that it was made with.")
    libraries: dict[str, str] = Field(default_factory=dict, description="Version of each library that shaped it.")
    data_from: int | None = Field(default=None, description="Earliest event seen, unix seconds; None: no events.")
    data_until: int | None = Field(default=None, description="Latest event seen, unix seconds; None: no events.")
    facts: dict[str, JsonValue] = Field(
        default_factory=dict, description="Numbers worth keeping, such as fit_end; an undefined number becomes null."
    )

    @field_validator("parameters", "facts", mode="after")
    @classmethod
    def _undefined_becomes_null(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """JSON has no NaN, and an undefined metric must not prevent its artifact from being stored."""
        return {name: finite(item) for name, item in value.items()}


class FileEntry(BaseModel):
    """Size and content hash of one file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    bytes: int


class Manifest(BaseModel):
    """One version of one artifact: its files and where they come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset: str
    partition: str | None
    version: str = Field(description="`version_of` the files.")
    files: dict[str, FileEntry] = Field(description="By name relative to the version's folder, / between levels.")
    lineage: Lineage
    made_at: float = Field(description="Unix seconds at which the publication began.")
    duration_s: float = Field(description="Seconds that writing the files took.")


class Making(BaseModel):
    """How a version was last made, which may differ from how its bytes were first made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    lineage: Lineage
    made_at: float
    duration_s: float


class Pointer(BaseModel):
    """The content of CURRENT.

    A rebuild to the same bytes keeps the folder with its first manifest, and only the pointer gets the new lineage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset: str
    partition: str | None
    made: Making | None = Field(
        description="The current version. None: a first publication began and has not finished. A CURRENT that is "
        "missing beside existing versions was therefore lost."
    )


def finite(value: JsonValue) -> JsonValue:
    """The value as JSON can hold it: NaN and the infinities become null, at any depth."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, list):
        return [finite(item) for item in value]
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    return value


def version_of(files: Mapping[str, FileEntry]) -> str:
    """The content hash of a set of files: equal files under equal names give an equal version.

    It is the sha256 of what `sha256sum` prints for the files in the order of their names, so that a version can be
    checked from a shell.
    """
    lines = (f"{entry.sha256}  {name}\n" for name, entry in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sealed(body: BaseModel, indent: int | None = None) -> bytes:
    """The model as JSON with its own hash beside it; one line unless indented."""
    content = body.model_dump(mode="json")
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
    text = json.dumps({"body": content, "sha256": digest}, sort_keys=True, indent=indent, allow_nan=False)
    return text.encode() + b"\n"


def unsealed(text: bytes, model: type[Sealed], indent: int | None = None) -> Sealed:
    """The model that `sealed` wrote.

    Raises:
        ArtifactError: A byte differs from what was written, or the content does not fit the model.
    """
    try:
        body = model.model_validate(json.loads(text)["body"])
        # Comparing all bytes, not only the hash, also notices a change between the tokens of the JSON.
        is_as_written = sealed(body, indent) == text
    # Sealing again may fail, too: JSON reads 1e999 as infinity, and cannot write it. RecursionError: many brackets.
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(f"not a sealed {model.__name__.lower()}: {type(error).__name__}") from error
    if not is_as_written:
        raise ArtifactError(f"the {model.__name__.lower()} does not match its own hash")
    return body
