"""How much of a job waits, for the estimate before money is spent."""

from shared.app.deps import Deps
from shared.domain.group import Load
from shared.domain.ids import JobName

_NO_END = Load(documents=1 << 60, bytes=1 << 60)


def waiting_load(deps: Deps, job: JobName) -> Load:
    """Documents and bytes that wait in all open groups of the job."""
    documents = size = 0
    for group in deps.store.groups(job):
        load = deps.store.load(job, group.name, enough=_NO_END)
        documents += load.documents
        size += load.bytes
    return Load(documents=documents, bytes=size)
