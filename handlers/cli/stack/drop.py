"""`docmill drop`: files and folders become objects of the input bucket, those that aren't yet."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import click

from handlers.cli.faults import Fault
from handlers.cli.inputs import Inputs, check_inputs
from handlers.cli.options import recipe_in
from handlers.cli.process import on_leaving
from handlers.cli.stack.listing import beside, between
from handlers.cli.stack.local import Local, NamesOnly, check, files_of, folders_with_documents, walk
from handlers.cli.stack.opened import filled_job, opened
from handlers.cli.stack.sameness import Digests, digests, kept_sha256
from handlers.cli.stack.transfer import Faults, Meter, meter, size, tell
from handlers.cli.wording import counted
from shared.adapters.builtin import builtin_recipes, catalog
from shared.adapters.s3_blobs import PART_BYTES, THREADS
from shared.app.sightings import READY_NAME, RECIPE_NAME, is_document
from shared.app.slices import slices
from shared.domain.digest import DIGEST_RECIPE
from shared.domain.ids import JobName
from shared.domain.names import InvalidName, check_path, escaped
from shared.domain.recipe import RecipeError, parse_recipe
from shared.ports.blobs import Blob, BlobError, BlobNotFound
from shared.wiring.guard import template_guard
from shared.wiring.stack import Stack

DEFAULT_JOB = "project-analysis"
"""As `run` without a recipe does."""

_FEW = 2000
"""So many names are held at once; for more files, the bucket's listing is read along, and few files
among more objects are looked up one by one."""

_Pair = tuple[Local, Blob | None]


@dataclass(slots=True)
class _Dropped:
    uploaded: int = 0
    bytes: int = 0
    there: int = 0
    unread: Faults = field(default_factory=Faults)


def drop(
    inputs: Sequence[str],
    *,
    stack: str,
    job: str | None,
    group: str | None,
    recipe: str | None,
    digest: str | None,
    ready: bool,
    as_json: bool,
) -> int:
    """Upload what isn't there yet; 1 where a file could not be read any more."""
    target = filled_job(DEFAULT_JOB if job is None else job)
    _check_group(group)
    given = check_inputs(inputs)
    recipe_file = Path(recipe) if recipe is not None else given.recipe
    if recipe_file is not None and job is None:
        raise Fault(f"{recipe_file} is the recipe of which job? Name it with --job")
    digest_file = Path(digest) if digest is not None else given.digest_recipe
    text = None if recipe_file is None else _recipe(recipe_file)
    digest_text = None if digest_file is None else _recipe(digest_file)
    blobs = files_of(given)
    extent = check(walk(blobs, given, group))
    if not extent.files:
        raise Fault(f"no documents in {', '.join(map(escaped, inputs))}")
    done = _Dropped()
    on_leaving("what is uploaded is there, and the same command goes on from there")
    with opened(stack) as found:
        work = _Drop(found, blobs, target)
        _put_recipe(work, RECIPE_NAME, text)
        _put_recipe(work, DIGEST_RECIPE, digest_text)
        with meter("uploading", total=extent.files, as_json=as_json) as shown:
            for part in slices(work.pairs(given, group, extent.files, extent.first, extent.last)):
                work.upload(part, done, shown)
        if ready:
            markers = folders_with_documents(walk(blobs, given, group))
            found.documents.write_many((work.key(_below(each)), b"") for each in markers)
        held = text is None and not work.has_recipe()
    where = f"s3://{found.outputs.input_bucket}/{target}/"
    tell(
        f"{counted(extent.files, 'file')}: {done.uploaded:,} uploaded ({size(done.bytes)}), "
        f"{done.there:,} there already; in {where}",
        event="dropped",
        facts={
            "stack": stack,
            "job": target,
            "files": extent.files,
            "uploaded": done.uploaded,
            "bytes": done.bytes,
            "there": done.there,
            "unread": done.unread.count,
            "recipe_missing": held,
        },
        as_json=as_json,
    )
    done.unread.show()
    if held:
        message = f"job {target} has no recipe: its documents wait until one is dropped (--recipe)"
        click.echo(f"docmill: {escaped(message)}", err=True)
    return 1 if done.unread.count else 0


def _below(folder: str) -> str:
    return f"{folder}/{READY_NAME}" if folder else READY_NAME


def _check_group(group: str | None) -> None:
    if group is None:
        return
    try:
        check_path(f"{group}/document")
    except InvalidName as error:
        raise Fault(f"--group: {error.message}") from None
    if not is_document(f"{group}/document"):
        raise Fault(f"--group: {escaped(group)} is hidden, so what lies there is passed over")


def _recipe(file: Path) -> str:
    """Its text, looked through before anything is uploaded. Raises Fault."""
    text = recipe_in(file)
    if text is None:
        raise Fault(f"no recipe {file}: name a file (`docmill recipes show` prints a built-in one)")
    try:
        parse_recipe(text, name=file.name, catalog=catalog(), guard=template_guard())
    except RecipeError as error:
        raise Fault(f"{error}; nothing was uploaded") from None
    return text


def _put_recipe(work: "_Drop", name: str, text: str | None) -> None:
    """First, so that documents are grouped by it; and only if it is another: the stack looks
    through all of the job whenever one comes."""
    if text is None:
        return
    try:
        there = work.stack.documents.read(work.key(name))
    except BlobNotFound:
        there = b""
    if there != text.encode():
        work.stack.documents.write_many([(work.key(name), text.encode())])


class _Drop:
    """Uploading into one job of a stack."""

    def __init__(self, stack: Stack, blobs: NamesOnly, job: JobName) -> None:
        self.stack = stack
        self._blobs = blobs
        self._job = job

    def key(self, path: str) -> str:
        """Where a path of the job lies in the bucket."""
        return f"{self._job}/{path}"

    def has_recipe(self) -> bool:
        """Whether the job can be worked on."""
        return self._job in builtin_recipes() or self.stack.documents.exists(self.key(RECIPE_NAME))

    def pairs(
        self, given: Inputs, group: str | None, files: int, first: str, last: str
    ) -> Iterator[_Pair]:
        """Each file with what lies in its place."""
        found = walk(self._blobs, given, group)
        documents, ends = self.stack.documents, (self.key(first), self.key(last))
        if files > _FEW:
            yield from beside(
                found, documents, key=lambda each: self.key(each.path), first=ends[0], last=ends[1]
            )
            return
        there = {blob.key: blob for blob in islice(between(documents, *ends), _FEW + 1)}
        if len(there) <= _FEW:
            yield from ((each, there.get(self.key(each.path))) for each in found)
            return
        for part in slices(found):
            with ThreadPoolExecutor(THREADS, thread_name_prefix="s3-look") as pool:
                yield from zip(part, pool.map(self._look, part), strict=True)

    def _look(self, found: Local) -> Blob | None:
        try:
            return self.stack.documents.stat(self.key(found.path))
        except BlobNotFound:
            return None

    def upload(self, part: Sequence[_Pair], done: _Dropped, shown: Meter) -> None:
        """Put those of the files that aren't there; all of them are when this returns."""
        same = self._same([(found, blob) for found, blob in part if blob is not None])
        wanted = [found for found, _ in part if found.path not in same]
        done.there += len(same)
        shown.advance(len(same))
        small = [found for found in wanted if found.size <= PART_BYTES]
        contents = self._blobs.read_many([found.source for found in small])

        def items() -> Iterator[tuple[str, bytes]]:
            for found, content in zip(small, contents, strict=True):
                shown.advance(1, found.size)
                if isinstance(content, BlobError):
                    done.unread.add(content.message)
                    continue
                done.uploaded += 1
                done.bytes += len(content)
                yield self.key(found.path), content

        self.stack.documents.write_many(items())
        for found in wanted:
            if found.size > PART_BYTES:
                self._upload_large(found, done, shown)

    def _upload_large(self, found: Local, done: _Dropped, shown: Meter) -> None:
        pieces = self._blobs.chunks(found.source)
        try:
            first = next(pieces, b"")
        except BlobError as error:
            done.unread.add(error.message)
            return
        self.stack.documents.write_stream(self.key(found.path), chain((first,), pieces))
        done.uploaded += 1
        done.bytes += found.size
        shown.advance(1, found.size)

    def _same(self, pairs: Sequence[tuple[Local, Blob]]) -> set[str]:
        """The paths of those whose objects have their content already."""
        same: set[str] = set()
        unclear: list[tuple[Local, Digests]] = []
        for found, blob in pairs:
            if found.size != blob.size:
                continue
            try:
                known = digests(self._blobs.chunks(found.source), found.size)
            except BlobError:
                continue  # reading it to be uploaded meets the same
            if blob.etag in known.etags:
                same.add(found.path)
            else:
                unclear.append((found, known))
        with ThreadPoolExecutor(THREADS, thread_name_prefix="s3-ask") as pool:
            for path in pool.map(self._by_sha256, unclear):
                same |= {path} if path else set()
        return same

    def _by_sha256(self, unclear: tuple[Local, Digests]) -> str | None:
        found, known = unclear
        bucket = self.stack.outputs.input_bucket
        kept = kept_sha256(self.stack.s3, bucket, self.key(found.path))
        return found.path if kept == known.sha256 else None
