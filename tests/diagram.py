"""The life of a batch as README.md draws it, made from the table that the code runs by.

`python -m tests.diagram` writes it anew; a test compares the two.
"""

import re
from pathlib import Path

from shared.domain.batch import TERMINAL, TRANSITIONS, BatchEvent, BatchStatus

README = Path(__file__).parents[1] / "README.md"
_PLACE = re.compile(r"(?<=<!-- life of a batch -->\n).*?(?=<!-- end -->)", re.DOTALL)


def drawn() -> str:
    """A Mermaid state diagram: every move of the table that leads elsewhere."""
    moves: dict[tuple[BatchStatus, BatchStatus], list[BatchEvent]] = {}
    for (status, event), to in TRANSITIONS.items():
        if to is not status:
            moves.setdefault((status, to), []).append(event)
    lines = [f"    [*] --> {BatchStatus.PLANNED}"]
    lines += [
        f"    {status} --> {to}: {', '.join(event.value for event in events)}"
        for (status, to), events in moves.items()
    ]
    lines += [f"    {status} --> [*]" for status in BatchStatus if status in TERMINAL]
    return "```mermaid\nstateDiagram-v2\n" + "\n".join(lines) + "\n```\n"


def in_readme() -> str:
    """What README.md shows."""
    found = _PLACE.search(README.read_text("utf-8"))
    return found[0] if found else ""


def main() -> None:
    """Write the diagram into README.md."""
    text = README.read_text("utf-8")
    README.write_text(_PLACE.sub(lambda _: drawn(), text), "utf-8")


if __name__ == "__main__":
    main()
