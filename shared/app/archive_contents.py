"""Reading what lies in archives: one member by its place, or all that is text as one document."""

from shared.app.archives import Archive, MemberReader
from shared.domain.archive import BadArchive, archive_kind
from shared.domain.bundle import bundle
from shared.domain.document import Content, Failure
from shared.domain.text import Unreadable, decode
from shared.ports.blobs import Blobs


class ArchiveContents:
    """Archives in blobs; members that lie in order are read as one stream."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._members = MemberReader(blobs)

    def member(self, content: Content) -> bytes | Failure:
        """The bytes of a member. Raises BlobError."""
        place, packed = content.row, content.packed
        kind = archive_kind(content.source)
        if place is None or packed is None or kind is None:
            raise AssertionError(f"{content.source} holds no member")
        try:
            return self._members.read(
                content.source,
                place.manifest_etag,
                kind=kind,
                offset=place.offset,
                length=place.length,
                size=content.size,
                deflated=packed.deflated,
                crc=packed.crc,
            )
        except BadArchive as error:
            return Failure(type="unreadable_member", message=error.message)

    def whole(self, content: Content, title: str, limit: int) -> str | Failure:
        """Every file that is text, README first, then by path. Raises BlobError."""
        kind = archive_kind(content.source)
        if kind is None:
            raise AssertionError(f"{content.source} is no archive")
        etag = content.etag or self._blobs.stat(content.source).etag
        size = self._blobs.stat(content.source).size
        archive = Archive(self._blobs, content.source, etag=etag, size=size, kind=kind)
        texts: list[tuple[str, str]] = []
        left = limit
        try:
            for member, pieces in archive.wanted(sound=True):
                if member.size > left:
                    return _too_large(limit)
                try:
                    text = decode(b"".join(pieces())).text
                except Unreadable as error:
                    archive.left_out.add(_WHY.get(error.type, "not text"))
                    continue
                left -= len(text)
                texts.append((member.name, text))
        except BadArchive as error:
            return Failure(type="invalid_archive", message=error.message)
        if not texts:
            why = f"nothing in it is text (left out: {archive.left_out})"
            return Failure(type="unsupported_type", message=why)
        texts.sort(key=lambda each: (not _is_readme(each[0]), each[0]))
        note = f"Left out: {archive.left_out}." if archive.left_out.kinds else ""
        return bundle(title, texts, note=note)


_WHY = {"empty_document": "empty"}


def _is_readme(name: str) -> bool:
    """A README at the top, or in the one folder that archives put all into."""
    return name.count("/") <= 1 and name.rsplit("/", 1)[-1].casefold().startswith("readme")


def _too_large(limit: int) -> Failure:
    message = (
        f"its files are more than {limit:,} bytes, more than the model's context can hold; "
        "take each file as a document (`archives: files`), or pack fewer"
    )
    return Failure(type="document_too_large", message=message)
