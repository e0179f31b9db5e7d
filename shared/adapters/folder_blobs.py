"""Blobs in a folder. Its one rule: no key leads out of the root, and a write is whole or absent."""

# pathlib costs more than the system calls themselves on ten thousand small files.
# ruff: noqa: PTH100, PTH102, PTH105, PTH108, PTH120

import errno
import os
import re
import secrets
import stat as modes
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Final

from shared.domain.names import escaped
from shared.ports.blobs import (
    Blob,
    BlobChanged,
    BlobError,
    BlobNotFound,
    BlobStoreUnavailable,
    BlobUnreadable,
    Unlisted,
    somebodys,
    stat_each,
)

ETAG_HEX: Final = 32
"""Half of a SHA-256: 128 bits."""

CHUNK_BYTES: Final = 1 << 20

_READ_AT_ONCE: Final = 256 << 20
"""A file may claim any size, and this much is set aside before the first byte is read."""

REMEMBERED_DIGESTS: Final = 64
"""Large files whose digest is kept, so that range reads of a manifest hash it once."""

SETTLED_S: Final = 3.0
"""A file younger than this may change again within one tick of its clock (FAT's is 2 s), so its
digest is not kept."""

TEMPORARY_PREFIX: Final = ".docmill-"

_UNSAYABLE: Final = re.compile("(?:^|/)\\.{0,2}(?:/|\\Z)|\x00|[\ud800-\udfff]")
"""An empty, `.` or `..` segment (so an absolute key too), a NUL, a name that isn't UTF-8."""

_NOT_UTF8: Final = re.compile("[\udc80-\udcff]")

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})

_IS_LINK: Final = frozenset({errno.ELOOP, errno.EMLINK})
"""How opening a link is refused where it isn't to be followed (BSD says EMLINK)."""

_NO_FILE: Final = frozenset({errno.ENXIO, errno.EOPNOTSUPP, errno.ENODEV})
"""How sockets and devices refuse to be opened."""

_UNAVAILABLE: Final = frozenset(
    {
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
        *(errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN),
    }
)
"""Faults of the process or of a network disk: not of the one file, and trying later may help."""

_NO_WRITES: Final = {
    errno.ENOSPC: "no room left on the disk of {root}",
    errno.EFBIG: "a limit on the size of files stops writing to {root}",
    errno.EDQUOT: "the disk quota of {root} is used up",
    errno.EROFS: "the disk of {root} is read-only",
    errno.EIO: "the disk of {root} failed to write",
}

_READ_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
_WRITE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_Identity = tuple[int, int, int, int, int]


class FolderBlobs:
    """The files below `root`, which may be `/`: a key is the path below it.

    `list` leaves out what `ignore` names (keys of files or folders), what `past` says is to be
    walked past (it is given keys, those of folders with a slash behind), and names that start with
    a dot. A symbolic link to a file is read when the file lies inside the root, or one of the
    folders `within` where they are given, and is an error otherwise. One to a folder isn't
    followed: inside, the folder is listed in its own place; otherwise it is an error, as is what
    is neither file nor folder. Missing folders are empty.
    """

    def __init__(
        self,
        root: Path,
        *,
        ignore: Collection[str] = (),
        within: Collection[Path] = (),
        past: Callable[[str], bool] | None = None,
    ) -> None:
        self._root = os.path.abspath(root)
        self._within = [os.path.realpath(folder) for folder in within or (self._root,)]
        self._base = self._root.rstrip("/") + "/"
        self._ignored = frozenset(ignore)
        self._past = past
        self._temporary = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}-"
        self._numbers = count()
        self._digests: dict[_Identity, str] = {}
        self._lock = Lock()

    def shown(self, key: str) -> str:
        """See `Blobs.shown`."""
        return escaped(self._base + key)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Blob | Unlisted]:
        """See `Blobs.list`; what vanishes meanwhile is left out. Reads every file for its etag.

        A hidden folder is walked when the prefix itself names it. Memory: the names of one folder
        per level.
        """
        folder, slash, begin = prefix.rpartition("/")
        if slash and _UNSAYABLE.search(folder):
            return
        try:
            self._check_inside(folder, writing=False)
        except BlobUnreadable as error:
            yield Unlisted(key=folder + slash, message=error.message)
            return
        walk = [self._names(folder + slash, begin)]
        while walk:
            found = next(walk[-1], None)
            if found is None:
                walk.pop()
            elif isinstance(found, Unlisted):
                yield found
            elif found.endswith("/"):
                if found > after or after.startswith(found):
                    walk.append(self._names(found, ""))
            elif found > after:
                yield from self._stat_if_there(found)

    def stat(self, key: str) -> Blob:
        """See `Blobs.stat`."""
        file, status = self._open(key)
        try:
            return Blob(
                key=key,
                size=status.st_size,
                etag=self._etag(file, status),
                modified=_moment(status),
            )
        except OSError as error:
            raise self._read_error(error, key) from error
        finally:
            os.close(file)

    def stat_many(self, keys: Sequence[str]) -> Sequence[Blob | BlobError]:
        """See `Blobs.stat_many`. One after the other: a disk gains nothing from threads."""
        return stat_each(self, keys)

    def exists(self, key: str) -> bool:
        """See `Blobs.exists`."""
        try:
            return modes.S_ISREG(os.lstat(self._path(key, writing=False)).st_mode)
        except BlobUnreadable:
            return False
        except OSError as error:
            if _is_general(error):
                raise self._read_error(error, key) from error
            return False

    def obstacle(self, key: str, *, ours: bytes = b"") -> str | None:
        """See `Blobs.obstacle`: also a folder in its place, or a file in that of its folder."""
        try:
            status = os.lstat(self._path(key, writing=True))
        except FileNotFoundError:
            return None
        except BlobUnreadable as error:
            return error.message
        except OSError as error:
            said = self._write_error(error, key)
            if isinstance(said, BlobStoreUnavailable):
                raise said from error
            return said.message
        if modes.S_ISDIR(status.st_mode):
            return f"{self.shown(key)} can't be written: it is a folder"
        if ours and modes.S_ISREG(status.st_mode):
            return somebodys(self, key, ours)
        return None

    def read(self, key: str) -> bytes:
        """See `Blobs.read`."""
        file, status = self._open(key)
        try:
            return _content(file, status)
        except OSError as error:
            raise self._read_error(error, key) from error
        finally:
            os.close(file)

    def read_many(
        self, keys: Sequence[str], *, etags: Sequence[str] | None = None
    ) -> Iterator[bytes | BlobError]:
        """See `Blobs.read_many`. One after the other: a disk gains nothing from threads."""
        for key, etag in zip(keys, etags or [""] * len(keys), strict=True):
            try:
                content = self.read(key)
            except BlobError as error:
                yield error
                continue
            if etag and sha256(content).hexdigest()[:ETAG_HEX] != etag:
                yield BlobChanged(f"{self.shown(key)} has changed")
            else:
                yield content

    def chunks(self, key: str, *, etag: str | None = None, offset: int = 0) -> Iterator[bytes]:
        """See `Blobs.chunks`. With an etag, a change while reading is told at the end too."""
        file, before = self._open(key)
        try:
            if etag is not None and self._etag(file, before) != etag:
                raise BlobChanged(f"{self.shown(key)} has changed")
            os.lseek(file, offset, os.SEEK_SET)
            while piece := os.read(file, CHUNK_BYTES):
                yield piece
            after = os.fstat(file)
        except OSError as error:
            raise self._read_error(error, key) from error
        finally:
            os.close(file)
        # Not `st_ctime`: it moves when another file takes this one's place, bytes untouched.
        if etag is not None and _content_marks(after) != _content_marks(before):
            raise BlobChanged(f"{self.shown(key)} was changed while it was read")

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Write each beside its place and move it there: readers see the old or the new, whole.

        A key that can't be written doesn't stop the others: the first BlobUnreadable is raised
        after them. BlobStoreUnavailable ends the writing. A process killed at any moment leaves
        whole files and at most one temporary one (`.docmill-…`). Nothing is forced to the disk: a
        power cut can undo or empty files of the last half minute.
        """
        made: set[str] = set()
        refused: BlobUnreadable | None = None
        for key, data in items:
            try:
                self._write(key, (data,), made)
            except BlobUnreadable as error:
                refused = refused or error
        if refused is not None:
            raise refused

    def write_stream(self, key: str, pieces: Iterable[bytes]) -> None:
        """See `Blobs.write_stream`."""
        self._write(key, pieces, set())

    def delete(self, key: str) -> None:
        """See `Blobs.delete`. A link is removed, never what it points to; folders stay."""
        path = self._path(key, writing=True)
        self._check_inside(key.rpartition("/")[0], writing=True)
        try:
            os.unlink(path)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise self._write_error(error, key) from error

    def _names(self, folder: str, begin: str) -> Iterator[str | Unlisted]:
        """Keys directly in `folder`, in the order of the keys below: folders end in `/`."""
        names = []
        odd: dict[str, str] = {}
        try:
            with os.scandir(self._base + folder) as entries:
                for entry in entries:
                    name = entry.name
                    hidden = name.startswith(TEMPORARY_PREFIX if begin.startswith(".") else ".")
                    if hidden or not name.startswith(begin) or folder + name in self._ignored:
                        continue
                    ending = _ending(entry)
                    if ending is None:
                        if self._is_listed_elsewhere(entry):
                            continue
                        ending = ""
                        odd[name] = self._why_odd(entry, folder + name)
                    if self._past is None or not self._past(folder + name + ending):
                        names.append(name + ending)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                yield self._too_long(folder)
            elif error.errno not in _ABSENT:
                yield Unlisted(key=folder, message=self._read_error(error, folder).message)
        names.sort()
        for name in names:
            if _NOT_UTF8.search(name):
                where = self.shown(folder + name.rstrip("/"))
                why = f"{where} can't be read: its name isn't UTF-8; rename it"
                yield Unlisted(key=folder + name, message=why)
            elif name in odd:
                yield Unlisted(key=folder + name, message=odd[name])
            else:
                yield folder + name

    def _is_listed_elsewhere(self, entry: os.DirEntry[str]) -> bool:
        return entry.is_symlink() and self._holds(os.path.realpath(entry.path))

    def _why_odd(self, entry: os.DirEntry[str], key: str) -> str:
        """Told without opening it: whoever writes into a pipe would take that for a reader."""
        if entry.is_symlink():
            return f"{self.shown(key)} can't be read: {self._out()}"
        return _odd(self.shown(key), 0)

    def _stat_if_there(self, key: str) -> Iterator[Blob | Unlisted]:
        try:
            yield self.stat(key)
        except BlobNotFound as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno == errno.ENAMETOOLONG:
                yield self._too_long(key)
        except BlobError as error:
            yield Unlisted(key=key, message=error.message)

    def _open(self, key: str) -> tuple[int, os.stat_result]:
        """The regular file at `key`, never waiting for a writer, never outside the root."""
        path = self._path(key, writing=False)
        self._check_inside(key.rpartition("/")[0], writing=False)
        try:
            file = self._opened(path, key)
        except OSError as error:
            if error.errno in _NO_FILE:
                raise BlobUnreadable(_odd(self.shown(key), 0)) from error
            raise self._read_error(error, key) from error
        status = os.fstat(file)
        if not modes.S_ISREG(status.st_mode):
            os.close(file)
            raise BlobUnreadable(_odd(self.shown(key), status.st_mode))
        return file, status

    def _opened(self, path: str, key: str) -> int:
        try:
            return os.open(path, _READ_FLAGS)
        except OSError as error:
            if error.errno not in _IS_LINK:
                raise
        return os.open(self._target(path, key), _READ_FLAGS)

    def _target(self, link: str, key: str) -> str:
        target = os.path.realpath(link)
        if not self._holds(target):
            raise BlobUnreadable(f"{self.shown(key)} can't be read: {self._out()}")
        if not os.path.lexists(target):
            raise BlobUnreadable(f"{self.shown(key)} can't be read: a link to nothing")
        return target

    def _holds(self, real: str) -> bool:
        return any(real == root or real.startswith(root.rstrip("/") + "/") for root in self._within)

    def _check_inside(self, folder: str, *, writing: bool) -> None:
        """Raise BlobUnreadable when a link on the way to `folder` leads out of the root."""
        if not folder or self._base == "/":
            return
        path = self._root
        for name in folder.split("/"):
            path = f"{path}/{name}"
            try:
                linked = modes.S_ISLNK(os.lstat(path).st_mode)
            except OSError:
                return  # what follows meets the same error and names it
            if linked and not self._holds(os.path.realpath(path)):
                done = "written" if writing else "read"
                shown = self.shown(folder)
                raise BlobUnreadable(f"{shown} can't be {done}: {self._out()}")

    def _out(self) -> str:
        return f"a link out of {', '.join(map(escaped, self._within))}"

    def _write(self, key: str, pieces: Iterable[bytes], made: set[str]) -> None:
        path = self._path(key, writing=True)
        folder = key.rpartition("/")[0]
        temporary = f"{self._base}{folder}/{self._temporary}{next(self._numbers)}"
        try:
            if folder not in made:
                self._check_inside(folder, writing=True)
                _make_folders(self._base + folder)
                made.add(folder)
            try:
                _write_new(temporary, pieces)
                os.replace(temporary, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
        except OSError as error:
            raise self._write_error(error, key) from error

    def _etag(self, file: int, status: os.stat_result) -> str:
        """The digest of all of `file`, whose position moves. Large settled files only once."""
        if status.st_size <= CHUNK_BYTES:
            return sha256(_content(file, status)).hexdigest()[:ETAG_HEX]
        identity = _identity(status)
        with self._lock:
            known = self._digests.get(identity)
        if known is not None:
            return known
        settled = time.time() - max(status.st_mtime, status.st_ctime) > SETTLED_S
        etag = _digest(file)
        if settled:
            with self._lock:
                self._digests[identity] = etag
                if len(self._digests) > REMEMBERED_DIGESTS:
                    del self._digests[next(iter(self._digests))]
        return etag

    def _too_long(self, key: str) -> Unlisted:
        why = f"{self.shown(key)} can't be read: its path is too long"
        return Unlisted(key=key, message=why)

    def _path(self, key: str, *, writing: bool) -> str:
        if _UNSAYABLE.search(key):
            done = "written" if writing else "read"
            raise BlobUnreadable(f'"{escaped(key)}" can\'t be {done}: it is no name of a file')
        return self._base + key

    def _read_error(self, error: OSError, key: str) -> BlobError:
        if error.errno in _ABSENT:
            return BlobNotFound(f"{self.shown(key)} isn't there")
        reason = f"{self.shown(key)} can't be read: {_reason(error)}"
        return BlobStoreUnavailable(reason) if _is_general(error) else BlobUnreadable(reason)

    def _write_error(self, error: OSError, key: str) -> BlobError:
        if error.errno in _NO_WRITES:
            return BlobStoreUnavailable(_NO_WRITES[error.errno].format(root=escaped(self._root)))
        reason = f"{self.shown(key)} can't be written: {_reason(error)}"
        return BlobStoreUnavailable(reason) if _is_general(error) else BlobUnreadable(reason)


def _ending(entry: os.DirEntry[str]) -> str | None:
    """`/` for a folder, nothing for a file or a link to one, None for anything else."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return "/"
        if entry.is_file():
            return ""
        return "" if entry.is_symlink() and not entry.is_dir() else None
    except OSError:
        return ""  # opening it will say what is wrong with it


def _make_folders(path: str) -> None:
    """`os.makedirs` calls itself once per level, and a name from outside may have a thousand."""
    missing = []
    while True:
        try:
            os.mkdir(path)
            break
        except FileExistsError:
            break
        except FileNotFoundError:
            missing.append(path)
            path = os.path.dirname(path.rstrip("/"))
    for path in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(path)


def _write_new(path: str, pieces: Iterable[bytes]) -> None:
    descriptor = os.open(path, _WRITE_FLAGS, 0o666)
    try:
        for data in pieces:
            written = os.write(descriptor, data)
            while written < len(data):
                written += os.write(descriptor, memoryview(data)[written:])
    finally:
        os.close(descriptor)


def _content(file: int, status: os.stat_result) -> bytes:
    """All of a file from its position on. One call to the system, unless it is just growing."""
    data = os.read(file, min(status.st_size, _READ_AT_ONCE) + 1)
    if len(data) == status.st_size:
        return data
    parts = [data]
    while data := os.read(file, CHUNK_BYTES):
        parts.append(data)
    return b"".join(parts)


def _digest(file: int) -> str:
    digest = sha256()
    while piece := os.read(file, CHUNK_BYTES):
        digest.update(piece)
    return digest.hexdigest()[:ETAG_HEX]


def _odd(shown: str, mode: int) -> str:
    what = "a folder" if modes.S_ISDIR(mode) else "not a regular file"
    return f"{shown} can't be read: it is {what}"


def _identity(status: os.stat_result) -> _Identity:
    return (
        *(status.st_dev, status.st_ino, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    )


def _content_marks(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _moment(status: os.stat_result) -> datetime:
    """The time of the last change; a nonsensical one on the disk is the epoch."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        return epoch + timedelta(seconds=status.st_mtime)
    except OverflowError:
        return epoch


def _is_general(error: OSError) -> bool:
    return error.errno in _UNAVAILABLE


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
