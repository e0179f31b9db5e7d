"""`docmill reports`: what the output bucket holds, listed, or fetched into a folder.

A fetched file has the object's time, with a mark of its ETag in the fraction of the second, which
S3 leaves zero: so what is there already shows without a state of its own, and without being read.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import click

from handlers.cli.faults import Fault
from handlers.cli.json_lines import json_line
from handlers.cli.process import on_leaving
from handlers.cli.session import LEFT_OPEN
from handlers.cli.stack.opened import jobs_of, named_job, only_job, opened
from handlers.cli.stack.transfer import Faults, Meter, meter, size, tell
from handlers.cli.wording import counted
from shared.adapters.folder_blobs import FolderBlobs
from shared.adapters.s3_blobs import CHUNK_BYTES, S3Blobs
from shared.app.publish import FAILURES, SUMMARY
from shared.app.sightings import is_document
from shared.app.slices import slices
from shared.domain.document import DocumentStatus
from shared.domain.ids import JobName
from shared.domain.names import CONFUSION, REPORT_SUFFIXES, TABLES, escaped
from shared.domain.published import NotASummary, read_summary
from shared.ports.blobs import Blob, BlobError, BlobNotFound, BlobStoreUnavailable, Unlisted
from shared.wiring.stack import Stack

_SECOND: Final = 1_000_000_000
_OF_THE_JOB: Final = (SUMMARY, FAILURES, *TABLES, CONFUSION)


def list_reports(stack: str, *, job: str | None, as_json: bool) -> int:
    """Print the path of every report, a line each."""
    prefix = f"{named_job(job)}/" if job is not None else ""
    listed = 0
    with opened(stack) as found:
        for blob in _published(found.reports, prefix):
            path = blob.key.removeprefix(prefix)
            name = path if job is not None else path.partition("/")[2]
            if name in (SUMMARY, FAILURES):
                continue
            listed += 1
            if as_json:
                facts = {"path": path, "size": blob.size, "modified": blob.modified}
                click.echo(json_line(facts))
            else:
                click.echo(escaped(path))
        if listed:
            return 0
        standing = _Standing()
        for name in _jobs(found, job):
            standing.look(name, found.reports)
    if standing.at_end:
        return 0
    click.echo(f"docmill: {standing.sentence()}", err=True)
    return LEFT_OPEN


@dataclass(slots=True)
class _Fetched:
    fetched: int = 0
    bytes: int = 0
    there: int = 0
    left_out: Faults = field(default_factory=Faults)


def fetch(stack: str, *, job: str | None, out: Path, as_json: bool) -> int:
    """Fetch what is missing in `out`, or another; 1 where a file could not be written."""
    prefix = f"{named_job(job)}/" if job is not None else ""
    if out.exists() and not out.is_dir():
        raise Fault(f"--out {out} is a file; name a folder")
    on_leaving("what is fetched is whole, and the same command fetches the rest")
    done = _Fetched()
    with opened(stack) as found:
        target = _Folder(found.reports, out, prefix)
        with meter("fetching", total=None, as_json=as_json) as shown:
            for part in slices(_published(found.reports, prefix)):
                target.fetch(part, done, shown)
        standing = _Standing()
        for name in target.jobs or _jobs(found, job):
            standing.look(name, found.reports)
    tell(
        f"{counted(done.fetched, 'file')} fetched ({size(done.bytes)}), "
        f"{done.there:,} there already; in {out}"
        + ("" if standing.at_end else f"; {standing.sentence()}"),
        event="fetched",
        facts={
            "stack": stack,
            "job": job,
            "out": str(out),
            "fetched": done.fetched,
            "bytes": done.bytes,
            "there": done.there,
            "left_out": done.left_out.count,
            "open": standing.open,
            "jobs_without_summary": len(standing.unknown),
        },
        as_json=as_json,
    )
    done.left_out.show()
    if done.left_out.count:
        return 1
    return 0 if standing.at_end else LEFT_OPEN


@dataclass(slots=True)
class _Standing:
    """What is still to come of the jobs that were looked at, by their summaries."""

    waiting: int = 0
    in_batch: int = 0
    unknown: list[JobName] = field(default_factory=list)

    @property
    def open(self) -> int:
        return self.waiting + self.in_batch

    @property
    def at_end(self) -> bool:
        return not self.open and not self.unknown

    def look(self, job: JobName, reports: S3Blobs) -> None:
        """Count one job in."""
        try:
            summary = read_summary(reports.read(f"{job}/{SUMMARY}"))
        except (BlobNotFound, NotASummary):
            self.unknown.append(job)
            return
        self.waiting += summary.documents[DocumentStatus.WAITING]
        self.in_batch += summary.documents[DocumentStatus.IN_BATCH]

    def sentence(self) -> str:
        """What is under way, and how long that may take."""
        told = []
        if self.unknown:
            first = self.unknown[0]
            more = len(self.unknown) - 1
            which = f"{escaped(first)} and {counted(more, 'other job')}" if more else escaped(first)
            told.append(f"no summary of {which} yet")
        if self.open:
            told.append(f"{self.waiting:,} waiting, {self.in_batch:,} in batches")
        return f"{'; '.join(told)}: reports may take up to a day, see `docmill status --stack`"


def _jobs(stack: Stack, job: str | None) -> list[JobName]:
    """The job that is named, or all. Raises Fault where there is none."""
    if job is not None:
        return [only_job(stack, job)]
    if not (found := jobs_of(stack)):
        raise Fault(f"nothing was dropped into {escaped(stack.name)} yet")
    return found


def _published(reports: S3Blobs, prefix: str) -> Iterator[Blob]:
    """Reports, tables, failures, summaries; not what is kept aside, nor anybody's hidden files."""
    for blob in reports.list(prefix):
        if isinstance(blob, Unlisted):
            raise Fault(blob.message)
        name = blob.key.rpartition("/")[2]
        published = name in _OF_THE_JOB or name.endswith(REPORT_SUFFIXES)
        if published and is_document(blob.key):
            yield blob


class _Folder:
    """A folder that becomes like what lies below a prefix."""

    def __init__(self, reports: S3Blobs, out: Path, prefix: str) -> None:
        self._reports = reports
        self._out = out
        self._prefix = prefix
        self._files = FolderBlobs(out)
        self.jobs: list[JobName] = []
        """Those of which something was published, in the order of their names."""

    def fetch(self, part: Sequence[Blob], done: _Fetched, shown: Meter) -> None:
        """Fetch those that aren't there."""
        self._out.mkdir(parents=True, exist_ok=True)
        for blob in part:
            job, in_job, _ = blob.key.partition("/")
            if job and in_job and job not in self.jobs[-1:]:
                self.jobs.append(JobName(job))
        wanted = [blob for blob in part if not self._is_there(blob)]
        done.there += len(part) - len(wanted)
        shown.advance(len(part) - len(wanted))
        small = [blob for blob in wanted if blob.size <= CHUNK_BYTES]
        contents = self._reports.read_many([blob.key for blob in small])
        for blob, content in zip(small, contents, strict=True):
            if isinstance(content, BlobStoreUnavailable):
                raise content
            self._take(blob, content if isinstance(content, BlobError) else (content,), done, shown)
        for blob in wanted:
            if blob.size > CHUNK_BYTES:
                self._take(blob, self._reports.chunks(blob.key), done, shown)

    def _take(
        self,
        blob: Blob,
        pieces: BlobError | Sequence[bytes] | Iterator[bytes],
        done: _Fetched,
        shown: Meter,
    ) -> None:
        path = self._path(blob)
        try:
            if isinstance(pieces, BlobError):
                raise pieces
            self._files.write_stream(path, pieces)
        except BlobStoreUnavailable:
            raise
        except BlobError as error:
            done.left_out.add(error.message)
            return
        # Last: a process that is killed before this fetches the file anew.
        stamp = _stamp(blob)
        os.utime(self._out / path, ns=(stamp, stamp), follow_symlinks=False)
        done.fetched += 1
        done.bytes += blob.size
        shown.advance(1, blob.size)

    def _is_there(self, blob: Blob) -> bool:
        try:
            found = (self._out / self._path(blob)).lstat()
        except (OSError, ValueError):
            return False  # writing it says what is wrong
        return found.st_size == blob.size and found.st_mtime_ns == _stamp(blob)

    def _path(self, blob: Blob) -> str:
        return blob.key.removeprefix(self._prefix)


def _stamp(blob: Blob) -> int:
    """The time of its file: that of the object, whose second is filled with a mark of its version.

    An object that was replaced while it was fetched gets the older one's time, so it is fetched
    anew by the next run.
    """
    mark = int.from_bytes(sha256(blob.etag.encode()).digest()[:8]) % _SECOND
    return int(blob.modified.timestamp()) * _SECOND + mark
