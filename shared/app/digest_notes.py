"""Notes that a group is finished, and a digest of its reports is to be made.

A note is made before the summary that shows the group finished is written, so a crash in between
makes it again, and it stays until the digest's document is taken in. It is an open group of the
digests' job, of a name that none with documents has.
"""

from contextlib import suppress
from dataclasses import replace as with_other
from datetime import datetime

from msgspec.structs import replace

from shared.app.deps import Deps, NoRecipe
from shared.domain.digest import digest_job, digested_job
from shared.domain.document import DocumentStatus
from shared.domain.group import Group
from shared.domain.ids import JobName
from shared.domain.job import Job
from shared.domain.published import finished_groups
from shared.ports.blobs import BlobNotFound
from shared.ports.store import StaleWrite, Store

NOTE = "/"
"""Begins a note's name, which goes on with the group's. Digests themselves are in the group ""."""

RECIPE_MISSING = "recipe_missing"


def as_seen_by(deps: Deps, job: JobName) -> Deps:
    """The home as a job sees it: what digests are made of lies in the output."""
    return deps if digested_job(job) is None else with_other(deps, documents=deps.reports)


def is_note(group: Group) -> bool:
    """Whether the group holds no documents, and only says that a digest is to be made."""
    return digested_job(group.job) is not None and group.name.startswith(NOTE)


def note_finished(deps: Deps, job: Job, *, summary: bytes, published: str) -> bool:
    """Note the groups that `summary` says are finished and that the one at `published` doesn't, or
    says with other numbers; all of them for the first time. Whether the job wants digests."""
    if not deps.policy.reports_by_job or digested_job(job.name) is not None:
        return False
    digests = digest_job(job.name)
    try:
        deps.recipe(digests)
    except NoRecipe as missing:
        if missing.problem.type == RECIPE_MISSING:
            return False
    known: dict[str, object] = {}
    if job.digests:
        with suppress(BlobNotFound):
            known = dict(finished_groups(deps.reports.read(published)))
    now = deps.clock()
    for name, counts in finished_groups(summary).items():
        if known.get(name) != counts and counts["documents"][DocumentStatus.REPORTED]:
            _note(deps.store, digests, NOTE + name, now)
    return True


def _note(store: Store, job: JobName, name: str, now: datetime) -> None:
    """Make the note, or make it anew: what was read before isn't all."""
    while True:
        note = store.group(job, name) or Group(job=job, name=name, since=now, touched=now)
        try:
            store.swap_group(replace(note, touched=now, next_at=None))
        except StaleWrite:
            continue
        return
