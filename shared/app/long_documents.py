"""A document that is too long for one request: split, asked about part by part, and merged.

What is next is told from the records of its parts each time, never remembered: which are missing,
which have failed, whether all are answered, and whether the answers fit into one request.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as _replaced

from msgspec.structs import replace

from shared.app.contents import UNKNOWN_CONTEXT, Ready
from shared.app.deps import Deps
from shared.app.groups import open_groups_of
from shared.app.parts import answer_key, drop
from shared.domain.document import (
    SOURCE_CHANGED,
    Document,
    DocumentStatus,
    Failure,
    failed,
    released,
    report_lost,
    requeued,
    split,
)
from shared.domain.ids import CustomId
from shared.domain.long_prompts import (
    fits,
    joined,
    merge_note,
    part_note,
    room_for_text,
    run_note,
    runs,
)
from shared.domain.manifest_row import TEXT
from shared.domain.parts import MOST_PARTS, Part, Parts, part_path
from shared.domain.recipe import Recipe
from shared.domain.recipe_split import Split
from shared.domain.rendering import Renderer, RenderError, RenderInput
from shared.domain.report import report_text
from shared.domain.splitting import cuts, size_of
from shared.domain.text import LEAST_CHARS_PER_TOKEN, too_large
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
class Needed:
    """The requests that a document needs still: how many bytes each has at most, of as many as
    there may be, and how many there will be likely."""

    sizes: list[int]
    likely: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
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


class LongDocuments:
    """What requests for long documents, and for parts of them, say; by one recipe."""

    def __init__(
        self, deps: Deps, recipe: Recipe, renderer: Renderer, *, tidy: bool = True
    ) -> None:
        self._deps = deps
        self._recipe = recipe
        self._renderer = renderer
        self._tidy = tidy
        model = deps.catalog.find(recipe.model)
        self._context = model.context_window if model else UNKNOWN_CONTEXT
        self._room = room_for_text(recipe, self._context)
        self.has_split = False

    def prompt(self, document: Document, content: Ready) -> str | Document | None:
        """The prompt for a part or for a merge; the document as it goes on where it is split now,
        its parts written before; None where one ordinary request is enough. Raises RenderError.
        """
        try:
            if document.part is not None:
                return self._part_prompt(document, document.part, content)
            if not self.is_too_long(document, content):
                self.drop(document)
                return None
            stage = self._stage(document, content)
        except TooLong as why:
            return failed(document, why.failure, now=self._deps.clock())
        return stage.prompt or self._begun(document, stage)

    def drop(self, document: Document) -> None:
        """Forget the parts that a document had, as nobody waits for them any more."""
        if self._tidy and document.parts is not None:
            drop(self._deps, document)

    def is_too_long(self, document: Document, content: Ready) -> bool:
        """Whether a document certainly exceeds the model's context, or the provider said so, or all
        of its parts are answered already."""
        if too_large(len(content.input.text), self._context) is not None:
            return True
        mark = document.parts
        if mark is None or mark.digest != content.digest:
            return False
        return mark.fingerprint == self._recipe.fingerprint or bool(self._rows(document, content))

    def sizes(
        self, document: Document, content: Ready, encoded: Callable[[str, CustomId], bytes]
    ) -> Needed | None:
        """The requests that a long document needs still; None where one ordinary request is enough.
        Nothing is changed. Raises RenderError."""
        if document.part is not None or not self.is_too_long(document, content):
            return None
        try:
            return self._needed(document, content, encoded)
        except TooLong:
            return Needed(sizes=[], likely=0)

    def if_split(
        self,
        document: Document,
        content: Ready,
        encoded: Callable[[str, CustomId], bytes],
        whole: list[int],
    ) -> list[int]:
        """How many bytes the requests have at most for a document that needs one only, unless the
        provider finds it too long: no byte is more than one token."""
        if self._recipe.split is Split.NEVER or sum(whole) <= self._context:
            return whole
        try:
            return self._needed(document, content, encoded).sizes
        except (TooLong, RenderError):
            return whole

    def _needed(
        self, document: Document, content: Ready, encoded: Callable[[str, CustomId], bytes]
    ) -> Needed:
        stage = self._stage(document, content)
        name = CustomId("x" * 64)
        if stage.prompt is not None:
            return Needed(sizes=[len(encoded(stage.prompt, name))], likely=1)
        base = len(encoded(self._rendered(content.input, ""), name))
        asked = [base + 2 * stage.sizes[number] for number in stage.missing]
        if len(stage.parts.counts) == 1:
            asked = [
                len(encoded(self._piece_prompt(stage.pieces[number], content.input), name))
                for number in stage.missing
            ]
        merges = self._merges(len(stage.pieces), base)
        return Needed(sizes=[*asked, *merges], likely=len(asked) + 1)

    def merges(self, count: int) -> list[int]:
        """How many bytes the requests that merge so many parts have at most."""
        return self._merges(
            count, size_of(self._recipe.template) + size_of(self._recipe.system or "")
        )

    def _merges(self, count: int, base: int) -> list[int]:
        sizes: list[int] = []
        while True:
            answers = count * self._recipe.max_tokens * LEAST_CHARS_PER_TOKEN
            if answers <= self._room or count < 2:
                return [*sizes, base + answers]
            needed = 2 * -(-answers // max(self._room, 1)) + 1
            count = max(min(3 * count // 4, needed), 1)
            sizes += [base + answers // count + 1] * count

    def _stage(self, document: Document, content: Ready) -> _Stage:
        """How far it is: pieces of the text, or of answers that are too long together."""
        if self._recipe.split is Split.NEVER:
            why = too_large(len(content.input.text), self._context)
            message = why.message if why else "the provider says that its prompt is too long"
            raise TooLong(f"{message}, or write 'split: auto' into the recipe")
        stage = self._answered(document, content) or self._split(document, content)
        while True:
            if stage.missing:
                return stage
            answers = self._answers(document, stage)
            if answers is None:
                return stage
            prompt = self._rendered(content.input, joined(answers), merge_note(len(answers)))
            if fits(prompt, self._recipe, self._context):
                return _replaced(stage, prompt=prompt)
            stage = self._runs(document, content, stage.parts, answers)

    def _rows(self, document: Document, content: Ready) -> dict[str, Document]:
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

    def _answered(self, document: Document, content: Ready) -> _Stage | None:
        """What was asked about is merged, though the recipe may be another by now: it is paid."""
        rows = self._rows(document, content)
        if not rows or document.parts is None:
            return None
        found = [rows[path] for path in sorted(rows)]
        return _Stage(
            parts=document.parts,
            pieces=[row.part for row in found if row.part is not None],
            rows=rows,
            sizes=[row.content.size for row in found],
        )

    def _split(self, document: Document, content: Ready) -> _Stage:
        text = content.input.text
        if self._room < _LEAST_ROOM:
            raise TooLong(
                f"the prompt and max_tokens of {self._recipe.max_tokens:,} leave no room for parts "
                f"of it in the model's {self._context:,} tokens; lower max_tokens"
            )
        # What the provider calls too long isn't sent whole again, whatever its size.
        ends = cuts(text, max(min(self._room, size_of(text) // 2 + 4), 8))
        if len(ends) > MOST_PARTS:
            raise TooLong(
                f"the document has {len(text):,} characters and would take {len(ends)} parts; at "
                f"most {MOST_PARTS} are made of one; split it"
            )
        parts = Parts(digest=content.digest, fingerprint=self._recipe.fingerprint)
        pieces = self._made(document, content, parts, ends)
        sizes = [size_of(text[piece.start : piece.end]) for piece in pieces]
        return self._staged(document, parts, pieces, sizes)

    def _staged(
        self, document: Document, below: Parts, pieces: list[Part], sizes: list[int]
    ) -> _Stage:
        parts = replace(below, counts=(*below.counts, len(pieces)))
        paths = parts.paths(document.path, len(parts.counts) - 1)
        rows = self._deps.store.documents(document.job, paths)
        return _Stage(parts=parts, pieces=pieces, rows=rows, sizes=sizes)

    def _runs(self, document: Document, content: Ready, parts: Parts, answers: list[str]) -> _Stage:
        sizes = [size_of(each) + len("[Part 100 of 100]\n\n\n\n") for each in answers]
        ends = runs(sizes, self._room)
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

    def _begun(self, document: Document, stage: _Stage) -> Document:
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
        return split(document, stage.parts)

    def _answers(self, document: Document, stage: _Stage) -> list[str] | None:
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

    def _part_prompt(self, document: Document, part: Part, content: Ready) -> str | Document:
        if content.digest != part.digest:
            raise TooLong(
                "it changed after it was split; it has to be seen again",
                SOURCE_CHANGED,
                retryable=True,
            )
        if part.level == 0:
            prompt = self._piece_prompt(part, content.input)
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
            prompt = self._rendered(content.input, joined(answers), note)
        if not fits(prompt, self._recipe, self._context):
            raise TooLong(
                "the recipe's prompt adds so much to the text that it doesn't fit into the model's "
                f"{self._context:,} tokens"
            )
        return prompt

    def _piece_prompt(self, part: Part, whole: RenderInput) -> str:
        note = part_note(part.number, part.count)
        return self._rendered(whole, whole.text[part.start : part.end], note)

    def _rendered(self, whole: RenderInput, text: str, note: str = "") -> str:
        """The recipe's prompt with another text where the document's belongs, and a note below."""
        columns = whole.columns
        if columns is not None and TEXT in columns:
            columns = {**columns, TEXT: text}
        prompt = self._renderer.render(replace(whole, text=text, columns=columns))
        return f"{prompt}\n\n{note}" if note else prompt


def path_of(part: Part, level: int, number: int) -> str:
    """The path of another part of the same splitting."""
    return part_path(part.of, part.splitting, level, number)


def _record(
    document: Document, path: str, piece: Part, size: int, row: Document | None
) -> Document:
    if row is not None:
        return replace(row, group=document.group, content=replace(document.content, size=size))
    return Document(
        job=document.job,
        path=path,
        group=document.group,
        content=replace(document.content, size=size),
        status=DocumentStatus.WAITING,
        since=document.since,
        part=piece,
    )
