"""From an archive to what intake takes in: a document for each of its files, or one for all."""

from collections.abc import Iterator

from shared.app.archives import Archive
from shared.app.sightings import Tell, group_of
from shared.domain.archive import ArchiveKind, BadArchive, Member, archive_kind
from shared.domain.bundle import HEAD_ROOM, ROOM
from shared.domain.document import Content, Failure, Packed, RowPlace, Sighting
from shared.domain.names import InvalidName, check_path, stand_in
from shared.domain.recipe import Recipe
from shared.ports.blobs import Blob, Blobs, BlobUnreadable


def archive_sightings(
    blobs: Blobs,
    blob: Blob,
    path: str,
    kind: ArchiveKind,
    *,
    recipe: Recipe | None,
    start: RowPlace | None,
    tell: Tell,
) -> Iterator[Sighting]:
    """The documents of an archive, and what can't become one as its failure.

    With `start`, members of that version are taken from that one on.
    """
    by = recipe.group_by if recipe else "folder"
    archive = Archive(blobs, blob.key, etag=blob.etag, size=blob.size, kind=kind)
    try:
        if recipe is not None and recipe.shape.whole_archives:
            yield _whole(archive, blob, path, by)
            return
        begin = start.line if start is not None and start.manifest_etag == blob.etag else 1
        nothing = True
        for member, content in archive.wanted():
            nothing = False
            if member.number >= begin:
                etag = archive.etag_of(member, content) if member.fault is None else ""
                yield _member(member, etag, blob, path, by)
        if nothing:
            yield _refused(blob, path, by, "invalid_archive", _empty(archive))
        elif left_out := str(archive.left_out):
            tell(f"{path}: left out {left_out}")
    except BadArchive as error:
        yield _refused(blob, path, by, "invalid_archive", error.message)
    except BlobUnreadable as error:
        yield _refused(blob, path, by, "unreadable", error.message)


def _empty(archive: Archive) -> str:
    left_out = str(archive.left_out)
    return f"it holds no files to read (left out: {left_out})" if left_out else "it holds no files"


def _whole(archive: Archive, blob: Blob, path: str, by: str) -> Sighting:
    """All of it as one document; its text is put together when it is sent."""
    size, files = HEAD_ROOM, 0
    for member, _ in archive.wanted(sound=True):
        files += 1
        size += member.size + 2 * len(member.name.encode()) + ROOM
    if not files:
        raise BadArchive(_empty(archive))
    return Sighting(
        path=path,
        group=group_of(path, by, blob.modified),
        content=Content(source=blob.key, etag=blob.etag, size=size, files=files),
    )


def _member(member: Member, etag: str, blob: Blob, path: str, by: str) -> Sighting:
    place = RowPlace(
        manifest_etag=blob.etag, line=member.number, offset=member.offset, length=member.length
    )
    group = group_of(path, by, blob.modified, manifest=path)
    failure = _failure(member, path)
    if failure is not None:
        content = Content(source=blob.key, etag=f"{blob.etag}:{member.number}", size=0, row=place)
        shown = f"{path}:{member.number}"
        return Sighting(path=shown, group=group, content=content, failure=failure, manifest=path)
    return Sighting(
        path=f"{path}/{member.name}",
        group=group,
        content=Content(
            source=blob.key,
            etag=etag,
            size=member.size,
            row=place,
            packed=Packed(name=member.name, deflated=member.deflated, crc=member.crc),
        ),
        manifest=path,
    )


def _failure(member: Member, path: str) -> Failure | None:
    try:
        check_path(member.name)
        check_path(f"{path}/{member.name}")
    except InvalidName as error:
        return Failure(type="invalid_name", message=f"member {member.number}: {error.message}")
    shown = stand_in(member.name)
    if member.fault is not None:
        return Failure(type="unreadable_member", message=f"{shown}: {member.fault}")
    if archive_kind(member.name) is not None:
        message = f"{shown}: an archive inside an archive isn't opened; drop it by itself"
        return Failure(type="nested_archive", message=message)
    return None


def _refused(blob: Blob, path: str, by: str, type_: str, message: str) -> Sighting:
    return Sighting(
        path=path,
        group=group_of(path, by, blob.modified),
        content=Content(source=blob.key, etag=blob.etag, size=blob.size),
        failure=Failure(type=type_, message=message, retryable=type_ == "unreadable"),
    )
