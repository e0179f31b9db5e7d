"""The way of each version of a document through the log, by its correlation id.

Many ids stand in one line: a line for each at every step would cost more than the table does.
They are joined, as CloudWatch takes a list apart into fields, of which it shows 200 in all.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from shared.domain.document import Document
from shared.domain.ids import JobName

SEEN = "documents_taken_in"
"""The step that names paths too: whoever knows a document only by its path begins there."""

_PATHS_IN_A_LINE = 64
_IDS_IN_A_LINE = 500
"""CloudWatch takes lines of 256 KB; a path has up to 1,024 bytes, each of which may be written with
three characters."""


class Log(Protocol):
    """The part of structlog's logger that is used."""

    def info(self, event: str, **facts: object) -> object: ...


class Followed:
    """Writes to `log` who came to which step.

    Uploads come one at a time: they are gathered until `flush`, or until a line is full. A function
    that is killed leaves those unsaid.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._seen: dict[JobName, list[str]] = {}

    def __call__(self, step: str, documents: Iterable[Document], /, **facts: object) -> None:
        """See `Follow`."""
        if step == SEEN:
            for document in documents:
                self._gather(document)
            return
        rest = iter(documents)
        while ids := [document.correlation_id for document in islice(rest, _IDS_IN_A_LINE)]:
            self._log.info(step, **facts, correlation_ids=" ".join(ids))

    def flush(self) -> None:
        """Write what was gathered."""
        for job in list(self._seen):
            self._write(job)

    def _gather(self, document: Document) -> None:
        seen = self._seen.setdefault(document.job, [])
        seen.append(f"{document.correlation_id} {document.path}")
        if len(seen) >= _PATHS_IN_A_LINE:
            self._write(document.job)

    def _write(self, job: JobName) -> None:
        lines = self._seen.pop(job)
        self._log.info(SEEN, job=job, documents="\n".join(lines))
