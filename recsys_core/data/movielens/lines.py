"""A stream of bytes -> blocks of whole lines of text, with the number of their first line.

Here the bytes are checked (NUL, encoding, line ends, gzip) and the file's size is bounded. How a line splits into
fields is the business of `records`.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from recsys_core.data.movielens.archives import DAMAGE, MAX_FILE_BYTES, MAX_RATIO, damaged, is_bomb
from recsys_core.errors import DataError

BLOCK_BYTES = 16 << 20
"""A file is read in blocks of this size, so that memory does not grow with it beyond the table itself."""

MAX_LINE_CHARS = 1 << 20
"""A longer line is set aside; GroupLens' longest has a few hundred characters."""

GZIP_MAGIC = b"\x1f\x8b"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Whole lines, each ended by a line feed, but for an unterminated last line of the file."""

    text: str
    first_line: int  # from 1
    unterminated: bool = False


def blocks(
    stream: BinaryIO,
    file: str,
    encoding: str,
    notes: list[str],
    *,
    packed_bytes: int | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Block]:
    """Cut a file into blocks of whole lines; CRLF becomes LF, and what was odd is added to `notes`.

    Args:
        stream: the file, at its start; gzip under a plain name is unpacked.
        file: its name, for messages.
        encoding: "utf-8" or "latin-1".
        notes: receives one sentence per oddity that was accepted.
        packed_bytes: what the file takes where it lies, within a zip for one; None where nothing is packed.
        block_bytes: how much is read at once.

    Raises:
        DataError: the file is empty, UTF-16, not in `encoding`, holds NUL bytes, ends its lines with CR alone, is
            too large, unpacks to more than text can be packed to, or cannot be unpacked.
    """
    line = 1
    pieces = _pieces(_unpacked(stream, file, notes), file, packed_bytes, block_bytes)
    for data in _whole_lines(pieces):
        raw = data
        if line == 1:
            raw = _checked_start(data, file, notes)
        text = _decoded(raw, file, encoding, line)
        if "\r\n" in text:
            text = text.replace("\r\n", "\n")
            _note(notes, f"{file} ends lines with CRLF")
        unterminated = not text.endswith("\n")
        if unterminated:
            _note(notes, f"{file}'s last line has no line end: the file may be cut short")
        if text:  # nothing is left of a file that is a byte-order mark alone
            yield Block(text=text, first_line=line, unterminated=unterminated)
        line += data.count(b"\n")


def _note(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _unpacked(stream: BinaryIO, file: str, notes: list[str]) -> BinaryIO:
    head = _read(stream, file, 2)
    stream.seek(0)
    if head in UTF16_MARKS:
        raise DataError(f"{file} is UTF-16: save it as UTF-8")
    if head != GZIP_MAGIC:
        return stream
    _note(notes, f"{file} is packed with gzip")
    return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]  # reads as a BinaryIO, but is not declared one


def _whole_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces that end with a line end, then what is left of the file."""
    tail = b""
    for piece in pieces:
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield tail + piece[:cut]
            tail = piece[cut:]
        else:
            # A line without end may not fill memory: what lies beyond the cap is not needed to set the line aside.
            tail = _capped(tail + piece)
    if tail:
        yield tail


def _capped(tail: bytes) -> bytes:
    if len(tail) <= 8 * MAX_LINE_CHARS:
        return tail
    # At most 4 bytes a character, so this is still too long a line; errors="ignore" drops a character cut in two.
    return tail[: 4 * MAX_LINE_CHARS + 4].decode(errors="ignore").encode()


def _pieces(stream: BinaryIO, file: str, packed_bytes: int | None, block_bytes: int) -> Iterator[bytes]:
    """The file piece by piece, bounded as a whole.

    The zip's own check sees only what a member claims to hold; a gzip within it multiplies that once more. So what
    comes out in the end is compared with what was there at first, through however many layers.
    """
    offset = 0
    while piece := _read(stream, file, block_bytes):
        nul = piece.find(b"\0")
        if nul >= 0:
            raise DataError(f"{file} holds a NUL byte at offset {offset + nul:,}: it is damaged or not UTF-8 text")
        offset += len(piece)
        if offset > MAX_FILE_BYTES:
            raise DataError(f"{file} holds more than {MAX_FILE_BYTES:,} bytes: it is not a GroupLens file")
        if packed_bytes is not None and is_bomb(offset, packed_bytes):
            raise DataError(
                f"{file} is packed more than {MAX_RATIO}:1, as a zip bomb is: it is not a GroupLens file; fetch the "
                f"original again"
            )
        yield piece


def _read(stream: BinaryIO, file: str, size: int) -> bytes:
    try:
        return stream.read(size)
    except DAMAGE as error:
        raise damaged(Path(file), error) from error


def _checked_start(data: bytes, file: str, notes: list[str]) -> bytes:
    """The first block without its byte-order mark."""
    if b"\n" not in data and b"\r" in data:
        raise DataError(f"{file} ends its lines with CR alone: convert its line ends to LF")
    if data.startswith(UTF8_MARK):
        _note(notes, f"{file} starts with a byte-order mark")
        return data[len(UTF8_MARK) :]
    return data


def _decoded(data: bytes, file: str, encoding: str, first_line: int) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        raise DataError(
            f"{file}, line {line}: the byte 0x{data[error.start]:02x} is not {encoding}; save the file as UTF-8, or "
            f'set encoding="latin-1" if that is what it is'
        ) from error
