"""The story of a world: who called what when, and what went wrong; for a person at night.

Long ids get short names (`B1` is docmill's batch, `P1` the provider's), in order of appearance.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.batch import Batch, Member
from shared.domain.document import Document
from shared.domain.group import Group
from shared.domain.job import Job
from shared.domain.pause import Pause
from shared.ports.batch_api import ProviderBatch
from shared.ports.blobs import Blob

_PROVIDERS = re.compile(r"msgbatch_[0-9a-f]{24}")
_OURS = re.compile(r"(?<![a-z0-9])[a-km-np-z2-9]{12}(?![a-z0-9])")


@dataclass(slots=True)
class Story:
    """Lines are written only when somebody wants to read them."""

    begun: datetime
    wanted: bool = False
    lines: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def tell(self, now: datetime, who: str, what: str, *facts: object, fault: str = "") -> None:
        """Add a line; `facts` are shown as short as they can be."""
        if not self.wanted:
            return
        shown = " ".join(text for text in (brief(fact) for fact in facts) if text)
        mark = f"  !! {fault}" if fault else ""
        clock = str(timedelta(seconds=round((now - self.begun).total_seconds(), 3)))
        self.lines.append(self.renamed(f"{clock[:15]:>15}  {who:<12} {what:<26} {shown}{mark}"))

    def renamed(self, text: str) -> str:
        """The text with short names for ids."""
        if not self.wanted:
            return text
        text = _PROVIDERS.sub(lambda found: self._name("P", found[0]), text)
        return _OURS.sub(lambda found: self._known(found[0]), text)

    def batch(self, batch_id: str) -> None:
        """An id of ours is a word like others until it was drawn."""
        if self.wanted:
            self._name("B", batch_id)

    def _known(self, text: str) -> str:
        return self.names.get(text, text)

    def _name(self, letter: str, text: str) -> str:
        if text not in self.names:
            number = 1 + sum(name.startswith(letter) for name in self.names.values())
            self.names[text] = f"{letter}{number}"
        return self.names[text]


def brief(fact: object) -> str:
    """A value as a person at night wants to read it."""
    match fact:
        case Batch() | Document() | Group() | Job() | Pause():
            return f"[{_record(fact)}]"
        case Member():
            return fact.path
        case Blob():
            return f"[{fact.key} v:{fact.etag[:6]}]"
        case ProviderBatch():
            return f"[{fact.id} {fact.processing_status} {fact.counts.total} requests]"
        case datetime():
            return f"{fact:%H:%M:%S}"
        case timedelta():
            return f"{fact.total_seconds():+.3f} s"
        case bytes():
            return f"{len(fact)} bytes"
        case dict():
            return ", ".join(_pair(key, value) for key, value in fact.items()) or "none"
        case list() | tuple() | set():
            values = sorted(fact) if isinstance(fact, set) else fact
            return ", ".join(brief(value) for value in values) or "none"
        case _:
            return "none" if fact is None else str(fact)


def _record(fact: Batch | Document | Group | Job | Pause) -> str:
    match fact:
        case Batch():
            held = f" {fact.provider_id}" if fact.provider_id else ""
            note = f" ({fact.note})" if fact.note else ""
            return f"{fact.id} {fact.status}{held} {fact.requests} requests{note}"
        case Document():
            parts = [fact.path, fact.status, f"v:{fact.content.etag[:6]}"]
            parts += [f"in {fact.batch}"] if fact.batch else []
            parts += [f"newer:{fact.newer.content.etag[:6]}"] if fact.newer else []
            parts += [fact.failure.type] if fact.failure else []
            return " ".join(parts)
        case Group():
            marks = "".join(f" {name}" for name in ("ready", "drained") if getattr(fact, name))
            return f"{fact.job}/{fact.name}{marks}"
        case Job():
            return f"{fact.name}{' stale' if fact.stale else ''}"
        case Pause():
            return f"{fact.reason} until {fact.until:%H:%M:%S}"


def _pair(key: object, value: object) -> str:
    return brief(value) if isinstance(value, Document) else f"{brief(key)}={brief(value)}"
