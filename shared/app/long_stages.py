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
from shared.app.parts import answer_key
from shared.domain.document import Document, DocumentStatus, Failure, report_lost, requeued
from shared.domain.long_prompts import fits, joined, merge_note, part_note, room_for_text, runs
from shared.domain.manifest_row import TEXT
from shared.domain.parts import MOST_PARTS, Part, Parts
from shared.domain.recipe import Recipe
from shared.domain.recipe_split import Split
from shared.domain.rendering import Renderer, RenderInput
from shared.domain.report import report_text
from shared.domain.splitting import cuts, size_of
from shared.domain.text import too_large
from shared.ports.blobs import BlobError, BlobNotFound, BlobStoreUnavailable

TOO_LARGE = "document_too_large"
_LEAST_ROOM = 400
"""Bytes of text that a part has at least: with less, the recipe leaves no room to speak of."""


class TooLong(Exception):
    """It can't be split or merged; `failure` says why."""

    def __init__(self, message: str, type_: str = TOO_LARGE, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.failure = Failure(type=type_, message=message, retryable=retryable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How far a document is: the pieces of its highest level, with the records there are of them.
    `prompt` is that of its merge, once all are answered."""

    parts: Parts
    pieces: Sequence[Part]
    rows: dict[str, Document]
    sizes: Sequence[int]
    prompt: str | None = None

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


class Stages:
    """Tells how far documents are, by one recipe; it changes nothing."""

    def __init__(self, deps: Deps, recipe: Recipe, renderer: Renderer) -> None:
        self._deps = deps
        self._renderer = renderer
        self.recipe = recipe
        model = deps.catalog.find(recipe.model)
        self.context = model.context_window if model else UNKNOWN_CONTEXT
        self.room = room_for_text(recipe, self.context)

    def of(self, document: Document, content: Ready) -> Stage:
        """How far it is: pieces of the text, or of answers that are too long together."""
        if self.recipe.split is Split.NEVER:
            why = too_large(len(content.input.text), self.context)
            message = why.message if why else "the provider says that its prompt is too long"
            raise TooLong(f"{message}, or write 'split: auto' into the recipe")
        stage = self._answered(document, content) or self._split(document, content)
        while True:
            if stage.missing:
                return stage
            answers = self._answers(document, stage)
            if answers is None:
                return stage
            prompt = self.rendered(content.input, joined(answers), merge_note(len(answers)))
            if fits(prompt, self.recipe, self.context):
                return _replaced(stage, prompt=prompt)
            stage = self._runs(document, content, stage.parts, answers)

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
        found = [rows[path] for path in sorted(rows)]
        return Stage(
            parts=document.parts,
            pieces=[row.part for row in found if row.part is not None],
            rows=rows,
            sizes=[row.content.size for row in found],
        )

    def _split(self, document: Document, content: Ready) -> Stage:
        text = content.input.text
        if content.input.attachments:
            raise TooLong("pages and images of it are attached, which aren't split; split it")
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

    def _staged(
        self, document: Document, below: Parts, pieces: list[Part], sizes: list[int]
    ) -> Stage:
        parts = replace(below, counts=(*below.counts, len(pieces)))
        paths = parts.paths(document.path, len(parts.counts) - 1)
        rows = self._deps.store.documents(document.job, paths)
        return Stage(parts=parts, pieces=pieces, rows=rows, sizes=sizes)

    def _runs(self, document: Document, content: Ready, parts: Parts, answers: list[str]) -> Stage:
        sizes = [size_of(each) + len("[Part 100 of 100]\n\n\n\n") for each in answers]
        ends = runs(sizes, self.room)
        if ends is None:
            raise TooLong(
                f"the answers about its {parts.counts[0]} parts are too long to be merged; lower "
                "max_tokens, or use a model with a larger context"
            )
        pieces = self._made(document, content, parts, ends)
        merged = [sum(sizes[piece.start : piece.end]) for piece in pieces]
        return self._staged(document, parts, pieces, merged)

    def _made(
        self, document: Document, content: Ready, parts: Parts, ends: Sequence[int]
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
        """The prompt about one piece of the text. Raises RenderError."""
        note = part_note(part.number, part.count)
        return self.rendered(whole, whole.text[part.start : part.end], note)

    def rendered(self, whole: RenderInput, text: str, note: str = "") -> str:
        """The recipe's prompt with another text where the document's belongs, and a note below."""
        columns = whole.columns
        if columns is not None and TEXT in columns:
            columns = {**columns, TEXT: text}
        prompt = self._renderer.render(replace(whole, text=text, columns=columns))
        return f"{prompt}\n\n{note}" if note else prompt
