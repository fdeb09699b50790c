"""Bytes become whole lines, whatever the block size, or are refused with the reason."""

import gzip
import io
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.data.movielens import lines as module
from recsys_core.data.movielens.lines import MAX_LINE_CHARS, Block, blocks
from recsys_core.errors import DataError


def read(data: bytes, encoding: str = "utf-8", block_bytes: int = 1 << 20) -> tuple[list[Block], list[str]]:
    notes: list[str] = []
    return list(blocks(io.BytesIO(data), "x.csv", encoding, notes, block_bytes=block_bytes)), notes


@pytest.mark.slow
@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"))), st.integers(1, 40))
def test_blocks_of_any_size_hold_the_same_lines_with_the_same_numbers(lines: list[str], block_bytes: int) -> None:
    text = "".join(f"{line}\n" for line in lines)
    found, _ = read(b"\xef\xbb\xbf" + text.encode(), block_bytes=block_bytes + 3)
    assert "".join(block.text for block in found) == text
    numbers = [block.first_line for block in found]
    assert numbers == [1 + text[: sum(len(b.text) for b in found[:at])].count("\n") for at in range(len(found))]
    assert not any(block.unterminated for block in found)


def test_a_byte_order_mark_is_accepted_and_noted() -> None:
    found, notes = read(b"\xef\xbb\xbfuserId\n")
    assert found[0].text == "userId\n"
    assert notes == ["x.csv starts with a byte-order mark"]


def test_crlf_mixed_with_lf_is_accepted_and_noted_once() -> None:
    found, notes = read(b"a\r\nb\nc\r\n", block_bytes=3)
    assert "".join(block.text for block in found) == "a\nb\nc\n"
    assert notes == ["x.csv ends lines with CRLF"]


def test_a_last_line_without_line_end_is_marked_and_noted() -> None:
    found, notes = read(b"a\nb")
    assert [(block.text, block.unterminated) for block in found] == [("a\n", False), ("b", True)]
    assert notes == ["x.csv's last line has no line end: the file may be cut short"]


def test_gzip_under_a_plain_name_is_unpacked_and_noted() -> None:
    found, notes = read(gzip.compress(b"a\nb\n"))
    assert found[0].text == "a\nb\n"
    assert notes == ["x.csv is packed with gzip"]


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_a_file_of_nothing_has_no_block(data: bytes) -> None:
    assert read(data)[0] == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a\rb\rc\r", "x.csv ends its lines with CR alone: convert its line ends to LF"),
        (b"a\n" * 100 + b"b\0c\n", "NUL byte at offset 201"),
        ("a\n".encode("utf-16"), "x.csv is UTF-16: save it as UTF-8"),
        ("a\n".encode("utf-16-le"), "NUL byte at offset 1"),
        ("a\nb\nCaf\u00e9\n".encode("latin-1"), 'line 3: the byte 0xe9 is not utf-8.*encoding="latin-1"'),
        (gzip.compress(b"a\n" * 1000, mtime=0)[:-9], "damaged or cut short"),
        (gzip.compress(b"a\n", mtime=0)[:-8] + b"\1" * 8, "damaged or cut short"),
        (b"\x1f\x8b\xff", "damaged or cut short"),
    ],
)
@pytest.mark.parametrize("block_bytes", [16, 1 << 20])
def test_bytes_that_are_no_text_are_refused_with_their_place(data: bytes, message: str, block_bytes: int) -> None:
    with pytest.raises(DataError, match=message):
        read(data, block_bytes=block_bytes)


def test_latin_1_is_read_where_it_is_asked_for() -> None:
    assert read("Caf\u00e9\n".encode("latin-1"), "latin-1")[0][0].text == "Caf\u00e9\n"


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    found, _ = read("\u00e9".encode() * (8 * MAX_LINE_CHARS) + b"\nb\n", block_bytes=1 << 20)
    assert len(found[0].text.split("\n")[0]) > MAX_LINE_CHARS
    assert len(found[0].text) <= 9 * MAX_LINE_CHARS
    assert found[0].text.endswith("\nb\n")


def test_a_file_beyond_the_cap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)
    with pytest.raises(DataError, match="holds more than 1,000 bytes"):
        read(gzip.compress(b"a\n" * 100_000), block_bytes=100)


def test_a_disk_that_fails_is_reported_by_file() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    stream: BinaryIO = Failing(b"a\n")
    with pytest.raises(DataError, match="is damaged or cut short"):
        list(blocks(stream, "x.csv", "utf-8", []))
