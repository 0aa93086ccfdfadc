"""Reads a text file: plain or gzip, any line ends, with or without a byte order mark.

The encoding is UTF-8 unless another one is described; text of a different encoding is refused with the first invalid
byte. At most MAX_BYTES are read at once; `blocks` reads a file of any size, in blocks of whole lines.
"""

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from lockgate.errors import BadData, StorageFailed

UTF8 = "utf-8"
MAX_BYTES = 256 << 20  # after decompression
CHUNK_BYTES = 1 << 20
BLOCK_BYTES = 4 << 20
LONGEST_LINE = 16 << 20  # bytes of a line in a file that is read in blocks
GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
GIT_LFS = b"version https://git-lfs.github.com/"
UTF8_MARK = codecs.BOM_UTF8
NEWLINE = b"\n"
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# (first bytes, file type, hint)
OTHER_FILE_TYPES = (
    (GIT_LFS, "a git-lfs pointer, not the file", "fetch the file itself: git lfs pull"),
    (b"PK\x03\x04", "a zip archive", "unpack it first"),
    (PARQUET, "a parquet file", "give a CSV here"),
    (b"BZh", "compressed with bzip2", "unpack it, or compress it with gzip"),
    (b"\xfd7zXZ", "compressed with xz", "unpack it, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it, or compress it with gzip"),
    (GZIP, "compressed twice", "unpack it once"),
    (b"%PDF", "a PDF", "give a CSV here"),
    (b"{", "JSON", "give a CSV here"),
    (b"<", "a web page", "a login page was saved instead of the file; download it again, signed in"),
)


def magic(path: Path, count: int = 4) -> bytes:
    """The first bytes of a file. Raises BadData or StorageFailed if it can't be opened."""
    with _opened(path) as file:
        return file.read(count)


def read(path: Path, encoding: str = UTF8) -> bytes:
    """The text of a file as UTF-8, with '\\n' line ends and no byte order mark.

    Raises BadData for text of another encoding (with the byte offset after decompression), for files over MAX_BYTES,
    and for an encoding that Python does not know.
    """
    content = _content(path)
    _refuse_other_file_types(content, path)
    if encoding == UTF8:
        _refuse_other_encodings(content, path)
    else:
        content = _as_utf8(content, encoding, path)
    text = content.removeprefix(UTF8_MARK)
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text


def blocks(path: Path, encoding: str = UTF8, seen: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
    """The text of a file as `read` gives it, in blocks of whole lines; only the last block may lack a line end.

    `seen` gets the bytes of the file that were read so far. Raises BadData as `read` does, and for a line of more than
    LONGEST_LINE bytes; memory does not depend on the size of the file.
    """
    decoder = _decoder(encoding, path)
    text = bytearray()
    with _content_in_chunks(path, seen) as chunks:
        for number, chunk in enumerate(chunks):
            if number == 0:
                _refuse_other_file_types(chunk, path)
            text += decoder.text(chunk)
            if len(text) >= BLOCK_BYTES and (end := text.rfind(b"\n") + 1):
                yield bytes(text[:end])
                del text[:end]
            elif len(text) > LONGEST_LINE:
                what = f"a line is longer than {LONGEST_LINE:,} bytes"
                raise BadData(what, where=f"{path}, line {decoder.lines + 1}", hint="is it the right file?")
    text += decoder.text(b"", final=True)
    if text:
        yield bytes(text)


@dataclass
class _Utf8:
    """Checks UTF-8 text chunk by chunk, and makes its line ends equal."""

    path: Path
    offset: int = 0  # of the chunk in the file
    lines: int = 0  # line ends before the chunk
    pending: bytes = b""  # a carriage return at the end of the last chunk: a line feed may follow
    decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder(UTF8))

    def text(self, chunk: bytes, final: bool = False) -> bytes:
        """The text of the next chunk, with equal line ends."""
        self._check(chunk, final)
        whole = self.pending + (chunk.removeprefix(UTF8_MARK) if self.offset == 0 else chunk)
        self.offset += len(chunk)
        self.pending = b"\r" if whole.endswith(b"\r") and not final else b""
        text = whole.removesuffix(self.pending)
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text
        self.lines += text.count(b"\n")
        return text

    def _check(self, chunk: bytes, final: bool) -> None:
        if self.offset == 0:
            _refuse_utf16(chunk, self.path)
        if (nul := chunk.find(b"\0")) >= 0:
            guess = "UTF-16" if chunk.count(b"\0", 0, 4096) > min(len(chunk), 4096) // 4 else "binary or damaged"
            what = f"NUL at byte {self.offset + nul}: the file looks {guess}"
            raise BadData(what, where=self._line_of(chunk, nul), hint="save it as UTF-8 text")
        before = len(self.decoder.getstate()[0])
        if before or final or not chunk.isascii():
            try:
                self.decoder.decode(chunk, final)
            except UnicodeDecodeError as error:
                offset = max(0, error.start - before)
                what = f"byte {self.offset + error.start - before} (0x{error.object[error.start]:02x}) is not UTF-8"
                hint = "it looks like Latin-1 or Windows-1252; save it as UTF-8"
                raise BadData(what, where=self._line_of(chunk, offset), hint=hint) from error

    def _line_of(self, chunk: bytes, offset: int) -> str:
        before = (self.pending + chunk[:offset]).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return f"{self.path}, line {self.lines + before.count(NEWLINE) + 1}"


@dataclass
class _Other:
    """Turns the text of another encoding into UTF-8, chunk by chunk."""

    utf8: _Utf8
    encoding: str
    decoder: codecs.IncrementalDecoder

    @property
    def lines(self) -> int:
        """The line ends so far."""
        return self.utf8.lines

    def text(self, chunk: bytes, final: bool = False) -> bytes:
        """The text of the next chunk as UTF-8, with equal line ends."""
        before = len(self.decoder.getstate()[0])
        try:
            decoded = self.decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            what = f"byte {error.start - before} of a part (0x{error.object[error.start]:02x}) is not {self.encoding}"
            where = f"{self.utf8.path}, after line {self.utf8.lines}"
            raise BadData(what, where=where, hint="correct encoding under problem.sources") from error
        return self.utf8.text(decoded.encode(), final)


def _decoder(encoding: str, path: Path) -> _Utf8 | _Other:
    if encoding == UTF8:
        return _Utf8(path)
    try:
        return _Other(_Utf8(path), encoding, codecs.getincrementaldecoder(encoding)())
    except LookupError as error:
        raise _unknown_encoding(encoding, path) from error


def line_of(content: bytes, offset: int) -> int:
    """The line number, from 1, of the byte at an offset."""
    return content.count(b"\n", 0, offset) + 1


def _content(path: Path) -> bytes:
    with _opened(path) as raw, _unpacked(raw, path) as file:
        return _bounded(file, path)


@contextmanager
def _content_in_chunks(path: Path, seen: Callable[[int], None]) -> Iterator[Iterator[bytes]]:
    with _opened(path) as raw, _unpacked(raw, path) as file:

        def chunks() -> Iterator[bytes]:
            while chunk := file.read(CHUNK_BYTES):
                seen(raw.tell())
                yield chunk

        yield chunks()


@contextmanager
def _unpacked(raw: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    """The file, unpacked if it is compressed with gzip. Raises BadData if reading finds it broken."""
    compressed = raw.read(2) == GZIP
    raw.seek(0)
    try:
        yield cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if compressed else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadData(
            f"the gzip file is broken: {error}", where=str(path), hint="it was truncated or damaged; download it again"
        ) from error


def _bounded(file: BinaryIO, path: Path) -> bytes:
    chunks, size = [], 0
    while chunk := file.read(CHUNK_BYTES):
        size += len(chunk)
        if size > MAX_BYTES:
            raise BadData(
                f"exceeds max_bytes {MAX_BYTES:,} after decompression",
                where=str(path),
                hint="a table of this kind is far smaller; is it the right file?",
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _opened(path: Path) -> BinaryIO:
    if path.is_dir():
        raise BadData("is a folder, not a file", where=str(path), hint="give the file in it")
    if path.exists() and not path.is_file():
        raise BadData("is not a regular file", where=str(path), hint="write the data to a file first")
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise BadData("there is no such file", where=str(path), hint="check the path") from error
    except OSError as error:
        raise StorageFailed(
            f"cannot be read: {error.strerror}", where=str(path), hint="check its permissions"
        ) from error


def _refuse_other_file_types(content: bytes, path: Path) -> None:
    start = content[:512].removeprefix(UTF8_MARK).lstrip()
    for first_bytes, what, hint in OTHER_FILE_TYPES:
        if start.startswith(first_bytes):
            raise BadData(f"not a CSV: it is {what}", where=str(path), hint=hint)


def _refuse_utf16(content: bytes, path: Path) -> None:
    if content.startswith(UTF16_MARKS):
        raise BadData("the text is UTF-16, from byte 0 on", where=str(path), hint="save it as UTF-8")


def _refuse_other_encodings(content: bytes, path: Path) -> None:
    _refuse_utf16(content, path)
    if (nul := content.find(b"\0")) >= 0:
        guess = "UTF-16" if content.count(b"\0", 0, 4096) > min(len(content), 4096) // 4 else "binary or damaged"
        where = f"{path}, line {line_of(content, nul)}"
        raise BadData(f"NUL at byte {nul}: the file looks {guess}", where=where, hint="save it as UTF-8 text")
    if not content.isascii() and (offset := _first_undecodable(content)) is not None:
        what = f"byte {offset} (0x{content[offset]:02x}) is not UTF-8"
        where = f"{path}, line {line_of(content, offset)}"
        raise BadData(what, where=where, hint="it looks like Latin-1 or Windows-1252; save it as UTF-8")


def _as_utf8(content: bytes, encoding: str, path: Path) -> bytes:
    try:
        return content.decode(encoding).removeprefix("\ufeff").encode()
    except LookupError as error:
        raise _unknown_encoding(encoding, path) from error
    except UnicodeDecodeError as error:
        where = f"{path}, line {line_of(content, error.start)}"
        what = f"byte {error.start} (0x{content[error.start]:02x}) is not {encoding}"
        raise BadData(what, where=where, hint="correct encoding under problem.sources") from error


def _unknown_encoding(encoding: str, path: Path) -> BadData:
    what = f"unknown encoding {ascii(encoding)[1:-1]}"
    return BadData(what, where=str(path), hint="correct encoding under problem.sources")


def _first_undecodable(content: bytes) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(content), CHUNK_BYTES):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(content[start : start + CHUNK_BYTES], final=start + CHUNK_BYTES >= len(content))
        except UnicodeDecodeError as error:
            return start - pending + error.start
    return None
