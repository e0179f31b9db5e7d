"""Those who use docmill: they put documents into the bucket, again, changed, and take them away.

What they put says inside it which document and version it is, so the ledger can tell.
"""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

from shared.ports.blobs import BlobNotFound, Blobs
from tests.world.ledger import Ledger, marked

_FOLDERS = ("", "a/", "b/")
_RECIPE = """---
model: claude-opus-4-6
max_tokens: 1000
max_wait: {wait}
group_by: {group_by}
max_attempts: {attempts}
continue: {more}
{limit}{shape}---
{wording}

## Risks

{{{{ document.text }}}}
"""
_NO_RECIPE = "---\nmodel: claude-opus-4-6\nmax_tokens: many\n---\n{{ document.text }}\n"
_LONG = 0.15
"""How often a document is beyond the context of the world's model (`tests.world.world`)."""

_SHAPES = (
    "",
    (
        "output: json\nsplit: never\n"
        "fields: {score: {type: integer, minimum: 0, maximum: 9}, risk: [low, high]}\n"
    ),
    "fields: {score: integer}\n",
    "output: text\n",
)
"""What a job's recipes want back, one after the other. An answer of fields alone can't say which
document a part of it is of, so the ledger couldn't tell whose merge it goes into."""

_LIMITS = (None, None, None, Decimal("0.03"), Decimal("0.09"))
"""Of a document here a request may cost 0.016 dollars, and costs a tenth."""

_MANIFEST = "rows.jsonl"
LONG_TEXT = 32_000
"""Characters of a document that is beyond the context."""


@dataclass(slots=True, kw_only=True)
class People:
    """`put_event` says to the world that a key was written. `versions` is what lies where now:
    for a document's name, `<job>/<path>`, the number its text carries, `limits` what its recipes
    ever let a job cost."""

    rng: random.Random
    bucket: Blobs
    ledger: Ledger
    put_event: Callable[[str], None]
    tell: Callable[..., None]
    jobs: tuple[str, ...]
    versions: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    etags: dict[tuple[str, str], int] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    limits: dict[str, list[Decimal | None]] = field(default_factory=dict)
    long: float = _LONG
    _rows: dict[str, dict[str, int]] = field(default_factory=dict)
    _last: int = 0
    _copies: int = 0
    _shape: int = 0

    @property
    def current(self) -> set[str]:
        """The documents that lie in the bucket now."""
        rows = {
            f"{name.partition('/')[0]}/{row}" for name, held in self._rows.items() for row in held
        }
        return {name for name in self.keys if name not in self.deleted} | rows

    def put_recipe(self, job: str, *, usable: bool = True) -> None:
        """Write the job's recipe, as it was or another."""
        rng = self.rng
        text = _RECIPE.format(
            wait=rng.choice(("1s", "1m", "10m")),
            group_by=rng.choice(("folder", "folder", "none")),
            attempts=rng.choice((1, 2, 3)),
            more=rng.choice((0, 1, 3)),
            wording=rng.choice(("Review this.", "Assess this.")),
            shape=_SHAPES[self._shape % len(_SHAPES)],
            limit="" if (dollars := rng.choice(_LIMITS)) is None else f"max_cost: {dollars}\n",
        )
        self._shape += 1
        if usable:
            self.limits.setdefault(job, []).append(dollars)
        self._put(f"{job}/_recipe.md", text if usable else _NO_RECIPE)

    def put_new(self) -> None:
        """A document that wasn't there."""
        name = f"{self.rng.choice(self.jobs)}/{self.rng.choice(_FOLDERS)}d{self._next()}.md"
        self.keys[name] = 0
        self._write(name, 0)

    def put_again(self) -> None:
        """The same content once more, or one that was there before."""
        if name := self._some():
            self._write(name, self.rng.choice((self.keys[name], self.rng.randint(0, 1))))

    def put_copies(self) -> None:
        """The same content under several names."""
        self._copies += 1
        job = self.rng.choice(self.jobs)
        content = f"{job}/~copy{self._copies}"
        for _ in range(self.rng.randint(2, 4)):
            name = f"{job}/{self.rng.choice(_FOLDERS)}c{self._copies}-{self._next()}.md"
            self.ledger.shared[name] = content
            self.keys[name] = 0
            self._write(name, 0)

    def put_changed(self) -> None:
        """New content under an old name."""
        if name := self._some():
            self._write(name, self._next())

    def put_empty(self) -> None:
        """Something that can't be sent."""
        name = f"{self.rng.choice(self.jobs)}/e{self._next()}.md"
        self.keys[name] = 0
        self._put(name, "")

    def delete(self) -> None:
        """A document is taken away; nobody is told."""
        if name := self._some():
            self.tell("deleted", name)
            self.deleted.add(name)
            self.bucket.delete(name)

    def put_ready(self) -> None:
        """Declare a folder complete."""
        self._put(f"{self.rng.choice(self.jobs)}/{self.rng.choice(_FOLDERS)}_READY", "")

    def put_manifest(self) -> None:
        """Write a manifest: rows that are new, changed, gone, broken, or there twice."""
        rng = self.rng
        name = f"{rng.choice(self.jobs)}/{_MANIFEST}"
        rows = self._rows.setdefault(name, {})
        job = name.partition("/")[0]
        for _ in range(rng.randint(1, 3)):
            row = f"r{rng.randint(1, 4)}"
            if rng.random() < 0.2:
                rows.pop(row, None)
            elif row not in rows or rng.random() < 0.4:
                rows[row] = self._next()
        lines = [
            json.dumps({"id": row, "text": self._text(f"{job}/{row}", version)})
            for row, version in rows.items()
        ]
        rng.shuffle(lines)
        if rng.random() < 0.15:
            lines.append("{broken")
        if lines and rng.random() < 0.15:
            lines.append(lines[0])
        for row, version in rows.items():
            self._now(f"{job}/{row}", version)
        self._put(name, "".join(line + "\n" for line in lines))

    def _write(self, name: str, version: int) -> None:
        before = self._etag(name)
        self.keys[name] = self.versions[name] = version
        self._put(name, self._text(name, version))
        etag = self._etag(name)
        self.etags[name, etag] = version
        if before not in ("", etag):
            self.ledger.forgive(name, version)

    def _etag(self, name: str) -> str:
        """What the bucket calls the content by now, or did before it was taken away."""
        with suppress(BlobNotFound):
            self.latest[name] = self.bucket.stat(name).etag
        return self.latest.get(name, "")

    def _now(self, name: str, version: int) -> None:
        """What a row is from now on; what was something else in between may be paid for again."""
        if self.versions.get(name, version) != version:
            self.ledger.forgive(name, version)
        self.versions[name] = version

    def _text(self, name: str, version: int) -> str:
        """Says so anywhere in it, so each part does; the same version always has the same text."""
        mark = marked(self.ledger.shared.get(name, name), version)
        if random.Random(mark).random() >= self.long:
            return f"A document. {mark}"
        return f"A paragraph of a long document. {mark}\n\n" * (LONG_TEXT // (len(mark) + 34))

    def _put(self, key: str, text: str) -> None:
        self.deleted.discard(key)
        self.tell("put", key, f"{len(text)} bytes", *_shown(text))
        self.bucket.write_many([(key, text.encode())])
        self.put_event(key)

    def _some(self) -> str:
        return self.rng.choice(sorted(self.keys)) if self.keys else ""

    def _next(self) -> int:
        self._last += 1
        return self._last + 1


def _shown(text: str) -> list[str]:
    return [part for part in text.split() if part.startswith("@@")]
