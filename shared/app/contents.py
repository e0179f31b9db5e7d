"""Reading waiting documents: each is ready to be rendered, or fails with its reason."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from msgspec.structs import replace

from shared.app.continuing import kept_texts
from shared.app.deps import Deps
from shared.app.folders import MOST_FOLDER_BYTES, read_folder
from shared.app.gone import misfits
from shared.app.ranges import Ranges
from shared.app.variants import plain, rendered_as
from shared.domain.attachment import TOO_MANY_PAGES, excess, most_pages
from shared.domain.bundle import bundle
from shared.domain.document import SOURCE_CHANGED, Content, Document, Failure, RowPlace
from shared.domain.kinds import Kind, kind_of, most_bytes
from shared.domain.manifest import (
    Columns,
    InvalidManifest,
    InvalidRow,
    ManifestKind,
    manifest_kind,
    parse_row,
    read_header,
    row_text,
    row_word,
)
from shared.domain.manifest_row import digest_of
from shared.domain.parts import MOST_BYTES
from shared.domain.recipe import Recipe
from shared.domain.recipe_split import Split
from shared.domain.record import Record
from shared.domain.rendering import RenderInput
from shared.domain.text import LEAST_CHARS_PER_TOKEN, Unreadable, decode, too_large
from shared.domain.truth import Truth, withheld
from shared.domain.unfinished import KeptText
from shared.ports.blobs import (
    BlobChanged,
    BlobError,
    BlobNotFound,
    Blobs,
    BlobStoreUnavailable,
)
from shared.ports.converter import Converted, Converter, Unconvertible

if TYPE_CHECKING:
    from shared.app.archive_contents import ArchiveContents
    from shared.app.parquet import ParquetRows

_SLICE_DOCUMENTS = 128
_SLICE_BYTES = 32_000_000
UNKNOWN_CONTEXT = 1_000_000
_MOST_BYTES_PER_CHAR = 4
"""The most bytes that one character takes in any encoding that is read."""


class Pdf(Record, frozen=True, kw_only=True):
    """A PDF that may be asked about by its pages. With `is_beyond` it has more than one request
    takes, so nothing of it is attached; so it is for a part, whose pages are cut out of it."""

    name: str
    data: bytes
    is_beyond: bool = False


class Ready(Record, frozen=True, kw_only=True):
    """A document that was read. `digest` is of its content: the same content, the same digest.
    `losses` say what could not be taken of it. `pdf` is it if it may be split by its pages. `kept`
    is what there is of its report, where only the rest is to be asked for.
    """

    digest: str
    input: RenderInput
    losses: tuple[str, ...] = ()
    pdf: Pdf | None = None
    kept: KeptText | None = None


Read = Ready | Failure


def read_contents(
    deps: Deps, documents: Iterable[Document], recipe: Recipe
) -> Iterator[tuple[Document, Read]]:
    """Read each document, in the order given, a bounded amount ahead; for a part, the whole that it
    is of, which is read once for parts that follow each other.

    Raises BlobStoreUnavailable when the place they lie in can't be read at all now.
    """
    for document, content in _contents(deps, documents, recipe):
        if isinstance(content, Ready):
            content = replace(content, input=rendered_as(document, content.input))  # noqa: PLW2901
        yield document, content


def _contents(
    deps: Deps, documents: Iterable[Document], recipe: Recipe
) -> Iterator[tuple[Document, Read]]:
    model = deps.catalog.find(recipe.model)
    context = model.context_window if model else UNKNOWN_CONTEXT
    together: deque[list[Document]] = deque()
    for _, content in _read_wholes(deps, recipe, _wholes(documents, together), context):
        for document in together.popleft():
            yield document, content


def _wholes(documents: Iterable[Document], together: deque[list[Document]]) -> Iterator[Document]:
    """What is to be read, once for the parts of a document that follow each other. `together` gets
    what each is read for."""
    for _, run in groupby(documents, key=_read_for):
        first, *others = run
        together.append([first, *others])
        part = first.part
        if part is None:
            yield first
        else:
            content = replace(first.content, size=part.whole_size)
            yield replace(first, path=part.of, content=content)


def _read_for(document: Document) -> tuple[str, Content]:
    part = document.part
    if part is None:
        return document.path, document.content
    return part.of, replace(document.content, size=part.whole_size)


def _read_wholes(
    deps: Deps, recipe: Recipe, documents: Iterable[Document], context: int
) -> Iterator[tuple[Document, Read]]:
    split = recipe.split is Split.AUTO
    inner = _InnerReader(
        deps.documents,
        recipe,
        context,
        file=lambda document, data: _file(deps.converter, document, data, context, split=split),
    )
    for part in _read_ahead(documents):
        kept = kept_texts(deps, part)
        for is_file, run in groupby(part, key=inner.leaves):
            read: Iterator[tuple[Document, Read]]
            if is_file:
                read = _read_files(deps, list(run), context, split=split)
            else:
                read = (
                    (each, _checked(each, inner.read(each), context, split=split)) for each in run
                )
            for document, content in read:
                yield document, _with_kept(content, kept.get(document.path))


def _with_kept(content: Read, kept: KeptText | None) -> Read:
    return replace(content, kept=kept) if kept and isinstance(content, Ready) else content


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
    deps: Deps, documents: list[Document], context: int, *, split: bool
) -> Iterator[tuple[Document, Read]]:
    most_text = _most_text(context, split=split)
    fit = [each for each in documents if each.content.size <= _limit(each, most_text)]
    contents = deps.documents.read_many(
        [document.content.source for document in fit],
        etags=[document.content.etag for document in fit],
    )
    for document in documents:
        if document.content.size > _limit(document, most_text):
            yield document, _too_many_bytes(document, context, split=split)
            continue
        data = next(contents)
        if isinstance(data, BlobError):
            yield document, _unreadable(data)
        else:
            read = _file(deps.converter, document, data, context, split=split)
            yield document, _checked(document, read, context, split=split)


def _most_text(context: int, *, split: bool) -> int:
    """Bytes of a document, at most."""
    if split:
        return MOST_BYTES
    return context * _MOST_BYTES_PER_CHAR * LEAST_CHARS_PER_TOKEN


def _limit(document: Document, most_text: int) -> int:
    """How many bytes are read. A file whose name says that it isn't text has a limit of its kind:
    its bytes say little of what a model gets of it."""
    return most_bytes(plain(document)) or most_text


def _too_many_bytes(document: Document, context: int, *, split: bool) -> Failure:
    most = most_bytes(plain(document))
    than = (
        f"the {most:,} bytes of a file of its kind that are read"
        if most
        else f"the {MOST_BYTES:,} bytes of a document that are split"
        if split
        else f"the model's context of {context:,} tokens can hold"
    )
    message = f"it is {document.content.size:,} bytes, more than {than}; {document.content.remedy}"
    return Failure(type="document_too_large", message=message)


def _file(
    converter: Converter, document: Document, data: bytes, context: int, *, split: bool
) -> Read:
    name = plain(document).rsplit("/", 1)[-1]
    kind = kind_of(name, data)
    by_pages = split and kind is Kind.PDF and not document.content.files
    pdf = Pdf(name=name, data=data) if by_pages else None
    try:
        if kind is None:
            found = Converted(text=decode(data).text)
        elif pdf is not None and document.part is not None and document.part.pages:
            pdf, found = _unattached(pdf)
        else:
            found = converter.convert(name, data, kind, most_pages=most_pages(context))
    except Unreadable as error:
        return Failure(type=error.type, message=error.message)
    except Unconvertible as error:
        if pdf is None or error.type != TOO_MANY_PAGES:
            return Failure(type=error.type, message=error.message, retryable=error.retryable)
        pdf, found = _unattached(pdf)
    digest = hashlib.sha256(data).hexdigest()[:32]
    return Ready(
        digest=digest,
        input=RenderInput(
            name=document.path.rsplit("/", 1)[-1],
            path=document.path,
            text=found.text,
            digest=digest,
            attachments=found.attachments,
        ),
        losses=found.losses,
        pdf=pdf,
    )


def _unattached(pdf: Pdf) -> tuple[Pdf, Converted]:
    return replace(pdf, is_beyond=True), Converted(text=f'The document "{pdf.name}" (PDF).')


def _checked(document: Document, content: Read, context: int, *, split: bool) -> Read:
    if isinstance(content, Ready):
        why = None if split else too_large(len(content.input.text), context)
        if why is not None:
            return Failure(type=why.type, message=why.message)
        attached, remedy = content.input.attachments, document.content.remedy
        if attached and (over := excess(attached, context, remedy=remedy)):
            return Failure(type=over[0], message=over[1])
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


class _InnerReader:
    """Reads what isn't a file of its own: rows, members of archives, folders and archives that are
    one document. `file` reads the bytes of a member, and of a part of a folder."""

    def __init__(
        self,
        blobs: Blobs,
        recipe: Recipe,
        context: int,
        *,
        file: Callable[[Document, bytes], Read],
    ) -> None:
        self._blobs = blobs
        self._recipe = recipe
        self._context = context
        self._split = recipe.split is Split.AUTO
        self._file = file
        self._rows = _RowReader(blobs, recipe.truth)

    @cached_property
    def _archives(self) -> "ArchiveContents":
        # Where no archive is read, nothing is imported for one.
        from shared.app.archive_contents import ArchiveContents  # noqa: PLC0415

        return ArchiveContents(self._blobs)

    def leaves(self, document: Document) -> bool:
        """Whether it is just a file, which is read with others."""
        return document.content.is_file and not misfits(document, self._recipe.shape)

    def read(self, document: Document) -> Read:
        """The document, whatever it is part or whole of."""
        content = document.content
        if content.is_row:
            return self._rows.read(document)
        if misfits(document, self._recipe.shape):
            message = "by the recipe as it is now, what lies there is cut into documents otherwise"
            return Failure(type=SOURCE_CHANGED, message=message, retryable=True)
        if content.size > self._most(document):
            return _too_many_bytes(document, self._context, split=self._split)
        try:
            if content.packed is not None:
                data = self._archives.member(content)
                return data if isinstance(data, Failure) else self._file(document, data)
            if content.source.endswith("/"):
                return self._folder(document)
            return self._archive(document)
        except BlobError as error:
            return _unreadable(error)

    def _most(self, document: Document) -> int:
        """How many bytes are read. What a folder's files come to shows once they are converted."""
        if document.content.source.endswith("/"):
            return MOST_FOLDER_BYTES
        return _limit(document, _most_text(self._context, split=self._split))

    def _archive(self, document: Document) -> Read:
        limit = _most_text(self._context, split=self._split)
        text = self._archives.whole(document.content, plain(document), limit)
        if isinstance(text, Failure):
            return text
        return _whole(document, text, text)

    def _folder(self, document: Document) -> Read:
        def part(name: str, data: bytes) -> Read:
            inside = replace(document.content, variant=None)
            of = replace(document, path=f"{plain(document)}/{name}", content=inside)
            return self._file(of, data)

        parts = read_folder(self._blobs, document.content, part)
        if isinstance(parts, Failure):
            return parts
        text = bundle(plain(document), [(name, each.input.text) for name, each in parts])
        read = _whole(document, text, "".join(f"{name}\0{each.digest}\n" for name, each in parts))
        return replace(
            read,
            input=replace(
                read.input,
                attachments=tuple(a for _, each in parts for a in each.input.attachments),
            ),
            losses=tuple(f"{name}: {loss}" for name, each in parts for loss in each.losses),
        )


def _whole(document: Document, text: str, identity: str) -> Ready:
    digest = hashlib.sha256(identity.encode()).hexdigest()[:32]
    name = document.path.rsplit("/", 1)[-1]
    return Ready(
        digest=digest,
        input=RenderInput(name=name, path=document.path, text=text, digest=digest),
    )


class _RowReader:
    """Reads rows by their place; rows that lie in order are read as one stream."""

    def __init__(self, blobs: Blobs, truth: Truth | None) -> None:
        self._blobs = blobs
        self._truth = truth
        self._ranges = Ranges(blobs)
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
            columns = self._columns(kind, source, place)
        except BlobError as error:
            return _unreadable(error)
        except InvalidRow as error:
            message = f"{row_word(source)} {place.line}: {error.message}"
            return Failure(type=error.type, message=message)
        except InvalidManifest as error:
            return Failure(type="invalid_manifest", message=error.message)
        told = withheld(columns, self._truth)
        digest = document.content.etag if told is columns else digest_of(told)
        return Ready(
            digest=digest,
            input=RenderInput(
                name=document.path,
                path=document.path,
                text=row_text(told),
                columns=told,
                digest=digest,
            ),
        )

    def _columns(self, kind: ManifestKind, source: str, place: RowPlace) -> Columns:
        if kind is ManifestKind.PARQUET:
            return self._parquet.read(source, place.manifest_etag, place.line)
        data = self._ranges.read(source, place.manifest_etag, place.offset, place.length)
        header = self._header(source, place.manifest_etag) if kind is ManifestKind.CSV else None
        return parse_row(kind, data, header)

    @cached_property
    def _parquet(self) -> "ParquetRows":
        from shared.app.parquet import ParquetRows  # noqa: PLC0415 - as with archives

        return ParquetRows(self._blobs)

    def _header(self, source: str, etag: str) -> tuple[str, ...]:
        key = (source, etag)
        if key not in self._headers:
            chunks = self._blobs.chunks(source, etag=etag)
            self._headers[key] = read_header(chunks).names
        return self._headers[key]
