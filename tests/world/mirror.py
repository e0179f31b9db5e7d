"""The state as it was written, call by call, so that rules can be checked after every one of them.

It is fed by what the store says of each write, and is compared with the store in the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.domain.batch import Batch, Member
from shared.domain.bitmap import Bitmap
from shared.domain.document import Document
from shared.domain.group import Group
from shared.domain.ids import BatchId, JobName
from shared.domain.job import Job
from shared.domain.pause import Pause

Key = tuple[JobName, str]


@dataclass(slots=True)
class Mirror:
    """Every record by its name; the records' `rev` may be one behind."""

    documents: dict[Key, Document] = field(default_factory=dict)
    groups: dict[Key, Group] = field(default_factory=dict)
    batches: dict[BatchId, Batch] = field(default_factory=dict)
    members: dict[BatchId, Sequence[Member]] = field(default_factory=dict)
    jobs: dict[JobName, Job] = field(default_factory=dict)
    pause: Pause | None = None

    def sent(self, batch: Batch) -> list[Member]:
        """What of a batch's list was sent, or will be."""
        excluded = Bitmap(batch.excluded)
        return [m for place, m in enumerate(self.members[batch.id]) if place not in excluded]

    def twins(self, batch: Batch) -> list[tuple[Member, Member]]:
        """Those of a batch's list that it holds without having sent them, each with the one that
        was sent for it."""
        held, members = Bitmap(batch.twins), self.members[batch.id]
        return [
            (member, members[member.twin])
            for place, member in enumerate(members)
            if place in held and member.twin is not None
        ]
