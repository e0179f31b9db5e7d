"""Reading waiting documents: each is ready to be rendered, or fails with its reason."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby

from msgspec.structs import replace

from shared.app.continuing import kept_parts
from shared.app.deps import Deps
from shared.domain.document import SOURCE_CHANGED, Document, Failure
from shared.domain.manifest import (
    InvalidManifest,
    InvalidRow,
    manifest_kind,
    parse_row,
    read_header,
    row_text,
)
from shared.domain.part import KeptPart
from shared.domain.recipe import Recipe
from shared.domain.record import Record
from shared.domain.rendering import RenderInput
from shared.domain.text import LEAST_CHARS_PER_TOKEN, Unreadable, decode, too_large
from shared.ports.blobs import (
    BlobChanged,
    BlobError,
    BlobNotFound,
    Blobs,
    BlobStoreUnavailable,
)

_SLICE_DOCUMENTS = 128
_SLICE_BYTES = 32_000_000
_SKIP_AT_MOST = 8_000_000
_UNKNOWN_CONTEXT = 1_000_000
_MOST_BYTES_PER_CHAR = 4
"""The most bytes that one character takes in any encoding that is read."""


class Ready(Record, frozen=True, kw_only=True):
    """A document that was read. `digest` is of its content: the same content, the same digest.

    `part` is what there is of its report, where only the rest is to be asked for.
    """

    digest: str
    input: RenderInput
    part: KeptPart | None = None


Read = Ready | Failure


def read_contents(
    deps: Deps, documents: Iterable[Document], recipe: Recipe
) -> Iterator[tuple[Document, Read]]:
    """Read each document, in the order given, a bounded amount ahead.

    Raises BlobStoreUnavailable when the place they lie in can't be read at all now.
    """
    model = deps.catalog.find(recipe.model)
    context = model.context_window if model else _UNKNOWN_CONTEXT
    rows = _RowReader(deps.documents)
    for part in _read_ahead(documents):
        kept = kept_parts(deps, part)
        for is_row, run in groupby(part, key=lambda document: document.content.row is not None):
            read: Iterator[tuple[Document, Read]]
            if is_row:
                read = ((each, _checked(rows.read(each), context)) for each in run)
            else:
                read = _read_files(deps.documents, list(run), context)
            for document, content in read:
                yield document, _with_part(content, kept.get(document.path))


def _with_part(content: Read, part: KeptPart | None) -> Read:
    return replace(content, part=part) if part and isinstance(content, Ready) else content


def _read_ahead(documents: Iterable[Document]) -> Iterator[list[Document]]:
    part: list[Document] = []
    size = 0
    for document in documents:
        part.append(document)
        size += document.content.size
        if len(part) >= _SLICE_DOCUMENTS or size >= _SLICE_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _read_files(
    blobs: Blobs, documents: list[Document], context: int
) -> Iterator[tuple[Document, Read]]:
    limit = context * _MOST_BYTES_PER_CHAR * LEAST_CHARS_PER_TOKEN
    fit = [document for document in documents if document.content.size <= limit]
    contents = blobs.read_many(
        [document.content.source for document in fit],
        etags=[document.content.etag for document in fit],
    )
    for document in documents:
        if document.content.size > limit:
            message = (
                f"it is {document.content.size:,} bytes, more than the model's context of "
                f"{context:,} tokens can hold; split it"
            )
            yield document, Failure(type="document_too_large", message=message)
            continue
        data = next(contents)
        if isinstance(data, BlobError):
            yield document, _unreadable(data)
        else:
            yield document, _checked(_file(document, data), context)


def _file(document: Document, data: bytes) -> Read:
    try:
        text = decode(data).text
    except Unreadable as error:
        return Failure(type=error.type, message=error.message)
    digest = hashlib.sha256(data).hexdigest()[:32]
    return Ready(
        digest=digest,
        input=RenderInput(
            name=document.path.rsplit("/", 1)[-1], path=document.path, text=text, digest=digest
        ),
    )


def _checked(content: Read, context: int) -> Read:
    if isinstance(content, Ready):
        why = too_large(len(content.input.text), context)
        if why is not None:
            return Failure(type=why.type, message=why.message)
    return content


def _unreadable(error: BlobError) -> Failure:
    match error:
        case BlobStoreUnavailable():
            raise error
        case BlobNotFound():
            message = "it was there when it was taken in and is gone now"
            return Failure(type="not_found", message=message, retryable=True)
        case BlobChanged():
            message = "it changed after it was seen and before it was read; it has to be seen again"
            return Failure(type=SOURCE_CHANGED, message=message, retryable=True)
        case _:
            return Failure(type="unreadable", message=error.message, retryable=True)


class _RowReader:
    """Reads rows by their place; rows that lie in order are read as one stream."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._open: tuple[str, str] | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._buffer = bytearray()
        self._start = 0
        self._headers: dict[tuple[str, str], tuple[str, ...]] = {}

    def read(self, document: Document) -> Read:
        """One row as a document: `text` is its text column, or all of its columns."""
        place = document.content.row
        if place is None:
            raise AssertionError(f"{document.path} is not a row")
        source = document.content.source
        kind = manifest_kind(source.rsplit("/", 1)[-1], named_directly=True)
        if kind is None:
            raise AssertionError(f"{source} is not a manifest")
        try:
            data = self._bytes(source, place.manifest_etag, place.offset, place.length)
            header = self._header(source, place.manifest_etag) if kind == "csv" else None
            columns = parse_row(kind, data, header)
        except BlobError as error:
            return _unreadable(error)
        except InvalidRow as error:
            return Failure(type=error.type, message=f"line {place.line}: {error.message}")
        except InvalidManifest as error:
            return Failure(type="invalid_manifest", message=error.message)
        return Ready(
            digest=document.content.etag,
            input=RenderInput(
                name=document.path,
                path=document.path,
                text=row_text(columns),
                columns=columns,
                digest=document.content.etag,
            ),
        )

    def _header(self, source: str, etag: str) -> tuple[str, ...]:
        key = (source, etag)
        if key not in self._headers:
            chunks = self._blobs.chunks(source, etag=etag)
            self._headers[key] = read_header(chunks).names
        return self._headers[key]

    def _bytes(self, source: str, etag: str, offset: int, length: int) -> bytes:
        end = self._start + len(self._buffer)
        if self._open != (source, etag) or not self._start <= offset <= end + _SKIP_AT_MOST:
            self._open = None
            self._chunks = self._blobs.chunks(source, etag=etag, offset=offset)
            self._buffer.clear()
            self._start = offset
            self._open = (source, etag)
        while self._start + len(self._buffer) < offset + length:
            piece = next(self._chunks, None)
            if piece is None:
                raise BlobChanged(f"{source} is shorter than it was")
            self._buffer += piece
            if self._start + len(self._buffer) <= offset:
                self._start += len(self._buffer)
                self._buffer.clear()
        drop = offset - self._start
        if drop:
            del self._buffer[:drop]
            self._start = offset
        return bytes(self._buffer[:length])
