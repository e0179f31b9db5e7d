"""How far a document in parts is, as the records of its parts tell.

Pieces of its text are level 0; where their answers are too long together, runs of these are the
next level, and so on, until the answers of one fit into the request that merges them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as _replaced

from msgspec.structs import replace

from shared.app.contents import UNKNOWN_CONTEXT, Ready
from shared.app.deps import Deps
from shared.app.long_pages import LongPages, pages_text
from shared.app.parts import answer_key
from shared.app.too_long import TooLong
from shared.domain.attachment import named
from shared.domain.document import Document, DocumentStatus, report_lost, requeued
from shared.domain.estimate import BYTES_PER_TOKEN
from shared.domain.long_prompts import fits, joined, merge_note, part_note, room_for_text, runs
from shared.domain.manifest_row import TEXT
from shared.domain.page_ranges import Paged
from shared.domain.parts import MOST_PARTS, Part, Parts
from shared.domain.recipe import Recipe
from shared.domain.recipe_split import Split
from shared.domain.rendering import Renderer, RenderInput
from shared.domain.report import report_text
from shared.domain.splitting import cuts, size_of
from shared.domain.text import too_large
from shared.ports.blobs import BlobError, BlobNotFound, BlobStoreUnavailable

_LEAST_ROOM = 400
"""Bytes of text that a part has at least: with less, the recipe leaves no room to speak of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How far a document is: the pieces of its highest level, with the records there are of them,
    and about how many bytes of text each is. `prompt` is that of its merge, once all are answered;
    `paged` tells of the pages that a PDF was just cut into."""

    parts: Parts
    pieces: Sequence[Part]
    rows: dict[str, Document]
    sizes: Sequence[int]
    prompt: str | None = None
    paged: Paged | None = None

    @property
    def missing(self) -> list[int]:
        """The numbers of the pieces that have to be asked about still."""
        paths = self.paths
        return [
            number
            for number, path in enumerate(paths)
            if path not in self.rows or self.rows[path].status is not DocumentStatus.REPORTED
        ]

    def __post_init__(self) -> None:
        if len(self.pieces) != self.parts.counts[-1]:
            raise AssertionError("a stage is of one level")

    @property
    def paths(self) -> list[str]:
        """The paths of the pieces."""
        return self.parts.paths(self.pieces[0].of, len(self.parts.counts) - 1)


def _stage_of(parts: Parts, rows: dict[str, Document]) -> Stage:
    found = [rows[path] for path in sorted(rows)]
    return Stage(
        parts=parts,
        pieces=[row.part for row in found if row.part is not None],
        rows=rows,
        sizes=[row.content.size for row in found],
    )


class Stages:
    """Tells how far documents are, by one recipe; it changes nothing."""

    def __init__(self, deps: Deps, recipe: Recipe, renderer: Renderer) -> None:
        self._deps = deps
        self._renderer = renderer
        self.recipe = recipe
        model = deps.catalog.find(recipe.model)
        self.context = model.context_window if model else UNKNOWN_CONTEXT
        self.room = room_for_text(recipe, self.context)
        self.pages = LongPages(deps, recipe, self.context)

    def of(self, document: Document, content: Ready) -> Stage:
        """How far it is: pieces of the text, or of answers that are too long together."""
        if self.recipe.split is Split.NEVER:
            why = too_large(len(content.input.text), self.context)
            message = why.message if why else "the provider says that its prompt is too long"
            raise TooLong(f"{message}, or write 'split: auto' into the recipe")
        stage = (
            self._answered(document, content)
            or self._begun(document, content)
            or self._split(document, content)
        )
        while True:
            if stage.missing:
                return stage
            answers = self._answers(document, stage)
            if answers is None:
                return stage
            prompt = self.rendered(content.input, joined(answers), merge_note(len(answers)))
            if fits(prompt, self.recipe, self.context):
                return _replaced(stage, prompt=prompt)
            pages = stage.pieces[0].pages
            stage = self._runs(document, content, stage.parts, answers, pages=pages)

    def answered_rows(self, document: Document, content: Ready) -> dict[str, Document]:
        """The records of the highest level, if they are of this content and all are answered."""
        mark = document.parts
        if mark is None or not mark.counts or mark.digest != content.digest:
            return {}
        paths = mark.paths(document.path, len(mark.counts) - 1)
        rows = self._deps.store.documents(document.job, paths)
        answered = len(rows) == len(paths) and all(
            row.status is DocumentStatus.REPORTED for row in rows.values()
        )
        return rows if answered else {}

    def _answered(self, document: Document, content: Ready) -> Stage | None:
        """What was asked about is merged, though the recipe may be another by now: it is paid."""
        rows = self.answered_rows(document, content)
        if not rows or document.parts is None:
            return None
        return _stage_of(document.parts, rows)

    def _begun(self, document: Document, content: Ready) -> Stage | None:
        """What was cut once stays cut so: parts that are answered go with no other ones, whatever
        another version of docmill, or other limits, would make of the document by now."""
        new = Parts(digest=content.digest, fingerprint=self.recipe.fingerprint)
        mark = document.parts
        if mark is None or not mark.counts or mark.splitting != new.splitting:
            return None
        first = replace(mark, counts=mark.counts[:1])
        paths = first.paths(document.path, 0)
        rows = self._deps.store.documents(document.job, paths)
        return _stage_of(first, rows) if len(rows) == len(paths) else None

    def _split(self, document: Document, content: Ready) -> Stage:
        if content.pdf is not None:
            return self._by_pages(document, content)
        text = content.input.text
        if content.input.attachments:
            raise TooLong(
                f"it is too long for one request, and {named(content.input.attachments)} of it are "
                f"attached, so it isn't asked about in parts; {document.content.remedy}"
            )
        if self.room < _LEAST_ROOM:
            raise TooLong(
                f"the prompt and max_tokens of {self.recipe.max_tokens:,} leave no room for parts "
                f"of it in the model's {self.context:,} tokens; lower max_tokens"
            )
        # What the provider calls too long isn't sent whole again, whatever its size.
        ends = cuts(text, max(min(self.room, size_of(text) // 2 + 4), 8))
        if len(ends) > MOST_PARTS:
            raise TooLong(
                f"the document has {len(text):,} characters and would take {len(ends)} parts; at "
                f"most {MOST_PARTS} are made of one; split it"
            )
        parts = Parts(digest=content.digest, fingerprint=self.recipe.fingerprint)
        pieces = self._made(document, content, parts, ends)
        sizes = [size_of(text[piece.start : piece.end]) for piece in pieces]
        return self._staged(document, parts, pieces, sizes)

    def _by_pages(self, document: Document, content: Ready) -> Stage:
        note = part_note(MOST_PARTS, MOST_PARTS)
        paged = self.pages.ranges(content, self.rendered(content.input, content.input.text, note))
        parts = Parts(digest=content.digest, fingerprint=self.recipe.fingerprint)
        ends = [each.end for each in paged.ranges]
        pieces = self._made(document, content, parts, ends, pages=paged.pages)
        sizes = [each.likely_tokens * BYTES_PER_TOKEN for each in paged.ranges]
        return _replaced(self._staged(document, parts, pieces, sizes), paged=paged)

    def _staged(
        self, document: Document, below: Parts, pieces: list[Part], sizes: list[int]
    ) -> Stage:
        parts = replace(below, counts=(*below.counts, len(pieces)))
        paths = parts.paths(document.path, len(parts.counts) - 1)
        rows = self._deps.store.documents(document.job, paths)
        return Stage(parts=parts, pieces=pieces, rows=rows, sizes=sizes)

    def _runs(
        self, document: Document, content: Ready, parts: Parts, answers: list[str], *, pages: int
    ) -> Stage:
        sizes = [size_of(each) + len("[Part 100 of 100]\n\n\n\n") for each in answers]
        ends = runs(sizes, self.room)
        if ends is None:
            raise TooLong(
                f"the answers about its {parts.counts[0]} parts are too long to be merged; lower "
                "max_tokens, or use a model with a larger context"
            )
        pieces = self._made(document, content, parts, ends, pages=pages)
        merged = [sum(sizes[piece.start : piece.end]) for piece in pieces]
        return self._staged(document, parts, pieces, merged)

    def _made(
        self,
        document: Document,
        content: Ready,
        parts: Parts,
        ends: Sequence[int],
        *,
        pages: int = 0,
    ) -> list[Part]:
        starts = [0, *ends[:-1]]
        return [
            Part(
                of=document.path,
                splitting=parts.splitting,
                level=len(parts.counts),
                number=number,
                count=len(ends),
                start=start,
                end=end,
                digest=content.digest,
                whole_size=document.content.size,
                pages=pages,
            )
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
        ]

    def _answers(self, document: Document, stage: Stage) -> list[str] | None:
        """The answers of a level; None where some are gone, and are to be asked for again."""
        paths = stage.paths
        keys = [answer_key(self._deps, document.job, path) for path in paths]
        answers: list[str] = []
        gone = False
        for path, found in zip(paths, self._deps.reports.read_many(keys), strict=True):
            match found:
                case BlobNotFound():
                    now = self._deps.clock()
                    stage.rows[path] = requeued(report_lost(stage.rows[path], now=now), now=now)
                    gone = True
                case BlobStoreUnavailable():
                    raise found
                case BlobError():
                    raise TooLong(found.message, "unreadable", retryable=True)
                case _:
                    answers.append(report_text(found))
        return None if gone else answers

    def piece_prompt(self, part: Part, whole: RenderInput) -> str:
        """The prompt about one piece of the text, or some pages. Raises RenderError."""
        note = part_note(part.number, part.count)
        by_pages = pages_text(whole.name, part) if part.pages else None
        return self.rendered(whole, by_pages or whole.text[part.start : part.end], note)

    def rendered(self, whole: RenderInput, text: str, note: str = "") -> str:
        """The recipe's prompt with another text where the document's belongs, and a note below."""
        columns = whole.columns
        if columns is not None and TEXT in columns:
            columns = {**columns, TEXT: text}
        prompt = self._renderer.render(replace(whole, text=text, columns=columns))
        return f"{prompt}\n\n{note}" if note else prompt
