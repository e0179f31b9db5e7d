"""The output bucket, in which a summary is compared with the one before it.

A group is finished when the summary about to be written says so and the one that is there does
not, or says it with other numbers. So nothing is remembered besides what is published, and who is
told before the writing is told again after a crash in between.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from shared.adapters.s3_blobs import S3Blobs
from shared.app.publish import SUMMARY
from shared.domain.document import DocumentStatus
from shared.domain.published import finished_groups
from shared.ports.blobs import BlobNotFound


class Announce(Protocol):
    """Is told of a finished group."""

    def __call__(self, event: str, /, **facts: object) -> None: ...


class AnnouncedReports(S3Blobs):
    """Reports that tell which groups are finished, once for each time that they are."""

    def __init__(self, *args: Any, announce: Announce, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._announce = announce

    def write_many(self, items: Iterable[tuple[str, bytes]]) -> None:
        """See `S3Blobs.write_many`."""
        super().write_many(self._announced(items))

    def _announced(self, items: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        for key, data in items:
            job, _, name = key.partition("/")
            if name == SUMMARY:
                before: dict[str, Any] = {}
                with suppress(BlobNotFound):
                    before = finished_groups(self.read(key))
                for group, counts in finished_groups(data).items():
                    if before.get(group) != counts:
                        self._announce(
                            "group_finished",
                            job=job,
                            group=group,
                            reported=counts["documents"][DocumentStatus.REPORTED],
                            failed=counts["documents"][DocumentStatus.FAILED],
                        )
            yield key, data
