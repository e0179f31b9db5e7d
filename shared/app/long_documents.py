"""A document that is too long for one request: split, asked about part by part, and merged.

What is next is told from the records of its parts each time, never remembered: which are missing,
which have failed, whether all are answered, and whether the answers fit into one request.
"""

from typing import NamedTuple

from msgspec.structs import replace

from shared.app.contents import Ready
from shared.app.deps import Deps
from shared.app.groups import open_groups_of
from shared.app.long_costs import LongCosts
from shared.app.long_stages import Stage, Stages
from shared.app.parts import answer_key, drop
from shared.app.too_long import TooLong
from shared.domain.attachment import Attachment
from shared.domain.document import (
    SOURCE_CHANGED,
    Document,
    DocumentStatus,
    failed,
    released,
    requeued,
    split,
)
from shared.domain.long_prompts import fits, joined, run_note
from shared.domain.parts import Part, part_path
from shared.domain.recipe import Recipe
from shared.domain.rendering import Renderer
from shared.domain.report import report_text
from shared.domain.text import too_large
from shared.ports.blobs import BlobError, BlobStoreUnavailable


class Asked(NamedTuple):
    """What a request says: its prompt, what is attached, and what it lacks of its document."""

    prompt: str
    attachments: tuple[Attachment, ...] = ()
    losses: tuple[str, ...] = ()


class LongDocuments:
    """What requests for long documents, and for parts of them, say; by one recipe."""

    def __init__(
        self, deps: Deps, recipe: Recipe, renderer: Renderer, *, tidy: bool = True
    ) -> None:
        self._deps = deps
        self._recipe = recipe
        self._tidy = tidy
        self._stages = Stages(deps, recipe, renderer)
        self.costs = LongCosts(self._stages)
        self.has_split = False

    def asked(self, document: Document, content: Ready) -> Asked | Document | None:
        """What is said for a part or for a merge; the document as it goes on where it is split now,
        its parts written before; None where one ordinary request is enough. Raises RenderError.
        """
        try:
            if document.part is not None:
                return self._asked_of_part(document, document.part, content)
            if not self.is_too_long(document, content):
                self.drop(document)
                return None
            stage = self._stages.of(document, content)
        except TooLong as why:
            return failed(document, why.failure, now=self._deps.clock())
        if stage.prompt is None:
            return self._begun(document, stage)
        # What is lost of a PDF was told when it was cut; a merge doesn't look for it again.
        losses = content.losses or (document.losses if content.pdf is not None else ())
        return Asked(stage.prompt, losses=losses)

    def drop(self, document: Document) -> None:
        """Forget the parts that a document had, as nobody waits for them any more."""
        if self._tidy and document.parts is not None:
            drop(self._deps, document)

    def is_too_long(self, document: Document, content: Ready) -> bool:
        """Whether a document certainly exceeds the model's context, or the provider said so, or all
        of its parts are answered already."""
        if too_large(len(content.input.text), self._stages.context) is not None:
            return True
        if self._stages.pages.is_beyond(content):
            return True
        mark = document.parts
        if mark is None or mark.digest != content.digest:
            return False
        return mark.fingerprint == self._recipe.fingerprint or bool(
            self._stages.answered_rows(document, content)
        )

    def _begun(self, document: Document, stage: Stage) -> Document:
        """The document as it waits for its parts, which are written now.

        Those that wait already are written too, under another revision, so that nobody who saw
        them while their document had failed forgets them now.
        """
        deps = self._deps
        now = deps.clock()
        if document.status is not DocumentStatus.WAITING:  # a plan whose answers are gone
            return released(document, now=now)
        if document.parts is not None and document.parts.splitting != stage.parts.splitting:
            drop(deps, document)
        open_groups_of(deps.store, [document], now=now, ready=True)
        rows = stage.rows
        todo = set(stage.paths)
        while todo:
            writes: list[Document] = []
            for path, piece, size in zip(stage.paths, stage.pieces, stage.sizes, strict=True):
                row = rows.get(path)
                if path not in todo or (
                    row is not None
                    and row.status in (DocumentStatus.IN_BATCH, DocumentStatus.REPORTED)
                ):
                    continue
                if row is not None and row.status is DocumentStatus.FAILED:
                    row = requeued(row, now=now)
                writes.append(_record(document, path, piece, size, row))
            todo = deps.store.swap_documents(writes) if writes else set()
            rows = deps.store.documents(document.job, todo) if todo else {}
        self.has_split = True
        count = len(stage.pieces)
        deps.emit("document_split", document=document.path, parts=count, missing=len(stage.missing))
        return split(document, stage.parts, losses=stage.paged.losses if stage.paged else None)

    def _asked_of_part(self, document: Document, part: Part, content: Ready) -> Asked:
        if content.digest != part.digest:
            raise TooLong(
                "it changed after it was split; it has to be seen again",
                SOURCE_CHANGED,
                retryable=True,
            )
        if part.level == 0:
            prompt = self._stages.piece_prompt(part, content.input)
        else:
            below = [
                path_of(part, part.level - 1, number) for number in range(part.start, part.end)
            ]
            keys = [answer_key(self._deps, document.job, path) for path in below]
            found = list(self._deps.reports.read_many(keys))
            for each in found:
                if isinstance(each, BlobStoreUnavailable):
                    raise each
                if isinstance(each, BlobError):
                    raise TooLong(each.message, "unreadable", retryable=True)
            answers = [report_text(each) for each in found if isinstance(each, bytes)]
            note = run_note(part.number, part.count)
            prompt = self._stages.rendered(content.input, joined(answers), note)
        if not fits(prompt, self._recipe, self._stages.context):
            raise TooLong(
                "the recipe's prompt adds so much to the text that it doesn't fit into the model's "
                f"{self._stages.context:,} tokens"
            )
        if part.pages and part.level == 0:
            return Asked(prompt, attachments=(self._stages.pages.cut(part, content),))
        return Asked(prompt, losses=content.losses)


def path_of(part: Part, level: int, number: int) -> str:
    """The path of another part of the same splitting."""
    return part_path(part.of, part.splitting, level, number)


def _record(
    document: Document, path: str, piece: Part, size: int, row: Document | None
) -> Document:
    if row is not None:
        content = replace(document.content, size=size)
        return replace(row, group=document.group, content=content, part=piece)
    return Document(
        job=document.job,
        path=path,
        group=document.group,
        content=replace(document.content, size=size),
        status=DocumentStatus.WAITING,
        since=document.since,
        part=piece,
    )
