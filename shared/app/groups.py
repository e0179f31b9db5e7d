"""Keeping groups open while anything in them waits.

A group is opened before its documents are written as waiting: a crash in between leaves an open
group with nothing in it, which closes by itself, and never documents that nobody looks for.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from msgspec.structs import replace

from shared.domain.document import Document, Failure
from shared.domain.group import Group
from shared.domain.ids import JobName
from shared.domain.job import Job
from shared.ports.store import StaleWrite, Store


def open_group(
    store: Store,
    job: JobName,
    name: str,
    *,
    now: datetime,
    ready: bool = False,
    quiet: timedelta = timedelta(0),
) -> None:
    """Make sure that the group is looked at; `ready` closes it at once.

    A group touched less than `quiet` ago is left as it is, to spare the table a write for each
    of a thousand uploads a second.
    """
    while True:
        group = store.group(job, name)
        if group is None:
            group = Group(job=job, name=name, since=now, touched=now, ready=ready)
        elif now - group.touched < quiet and (group.ready or not ready):
            return
        else:
            group = replace(
                group,
                touched=now,
                ready=group.ready or ready,
                drained=group.drained and not ready,
                next_at=None if ready else group.next_at,
            )
        try:
            store.swap_group(group)
        except StaleWrite:
            continue
        return


def open_groups_of(
    store: Store, documents: Iterable[Document], *, now: datetime, ready: bool = False
) -> None:
    """Open the group of each."""
    for job, name in sorted({(document.job, document.group) for document in documents}):
        open_group(store, job, name, now=now, ready=ready)


def wake_groups(store: Store, job: JobName, *, now: datetime) -> None:
    """Have groups looked at that wait for a batch to cost less than it might."""
    for group in list(store.groups(job)):
        if group.next_at is not None and group.next_at > now:
            with suppress(StaleWrite):  # something came: it is looked at anyway
                store.swap_group(replace(group, next_at=None))


def mark_stale(store: Store, name: JobName) -> None:
    """Note that the job's published failures and summary are behind its state.

    Called before a change, for the crash that may follow, and after it, for a publish in between:
    that one finds the revision raised and leaves the mark.
    """
    change_job(store, name, lambda job: replace(job, stale=True))


def set_problem(store: Store, name: JobName, problem: Failure | None) -> None:
    """Note what keeps the whole job from being worked on, or that nothing does any more."""

    found = store.job(name)
    if (found.problem if found else None) != problem:
        change_job(store, name, lambda job: replace(job, stale=True, problem=problem))


def change_job(store: Store, name: JobName, change: Callable[[Job], Job]) -> Job:
    """Change what is remembered of a job, as it stands at the moment of the change."""
    while True:
        job = store.job(name) or Job(name=name, settings={})
        try:
            return store.swap_job(change(job))
        except StaleWrite:
            continue
