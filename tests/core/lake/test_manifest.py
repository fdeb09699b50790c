"""Manifests say what was written, and notice when they no longer do."""

import math
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_core.errors import ArtifactError
from recsys_core.lake import FileEntry, Lake, Lineage
from recsys_core.lake.manifest import Making, Pointer, sealed, unsealed, version_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.builds(FileEntry, sha256=st.text("0123456789abcdef", min_size=64, max_size=64), bytes=st.integers(0, 10))


def pointer(**facts: object) -> Pointer:
    lineage = Lineage(code_version="c", facts=facts)
    making = Making(version="0" * 64, lineage=lineage, made_at=1.5, duration_s=0.0)
    return Pointer(asset="a", partition=None, made=making)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_sealed_comes_back_equal(facts: dict[str, object]) -> None:
    assert unsealed(sealed(pointer(**facts)), Pointer) == pointer(**facts)


@given(st.data())
def test_any_single_bit_that_flips_breaks_the_seal(data: st.DataObject) -> None:
    text = bytearray(sealed(pointer(n=123, word="abc")))
    text[data.draw(st.integers(0, len(text) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ArtifactError):
        unsealed(bytes(text), Pointer)


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"null", b'{"body": {}}', b'{"body": null}', b"\xff", b"{"])
def test_text_that_is_no_seal_is_an_artifact_error(text: bytes) -> None:
    with pytest.raises(ArtifactError):
        unsealed(text, Pointer)


def test_spaces_between_tokens_break_the_seal_too() -> None:
    with pytest.raises(ArtifactError, match="own hash"):
        unsealed(sealed(pointer()).replace(b": ", b":  "), Pointer)


def test_a_pointer_is_one_line() -> None:
    assert sealed(pointer(text="two\nlines")).count(b"\n") == 1


def test_an_undefined_number_is_kept_as_null_at_any_depth() -> None:
    lineage = Lineage(code_version="c", facts={"ndcg": math.nan, "per_slice": {"new": [math.inf, 0.5]}})
    assert lineage.facts == {"ndcg": None, "per_slice": {"new": [None, 0.5]}}


def test_lineage_refuses_unknown_fields_and_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Lineage(code_version="c", made_by="me")  # type: ignore[call-arg]  # the point of the test
    with pytest.raises(ValidationError, match="frozen"):
        Lineage(code_version="c").code_version = "d"  # type: ignore[misc]  # the point of the test


@given(st.dictionaries(st.sampled_from("abcd"), ENTRY, min_size=1))
def test_a_version_does_not_depend_on_the_order_of_the_files(files: dict[str, FileEntry]) -> None:
    assert version_of(files) == version_of(dict(reversed(files.items())))


@given(st.dictionaries(st.sampled_from("abcd"), ENTRY, min_size=1))
def test_a_version_depends_on_every_name_and_every_hash(files: dict[str, FileEntry]) -> None:
    name, entry = next(iter(files.items()))
    other = FileEntry(sha256=entry.sha256[::-1] + "0", bytes=entry.bytes)
    rest = {key: value for key, value in files.items() if key != name}
    assert len({version_of(files), version_of({**rest, name: other}), version_of({**rest, "z": entry})}) == 3


def test_a_version_can_be_checked_with_sha256sum_alone(lake: Lake, lineage: Lineage, text) -> None:
    folder = lake.open("a", version=lake.publish("a", text("x"), lineage).version)
    command = "sha256sum $(find . -type f ! -name manifest.json -printf '%P\n' | LC_ALL=C sort) | sha256sum"
    shell = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    assert shell.stdout.split()[0] == folder.name
