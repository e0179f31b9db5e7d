"""Lines out of a stream of bytes: cut at LF and nowhere else, in time linear in the bytes."""

from typing import Final

_LF = b"\n"

MAX_LINE_BYTES: Final = 64 << 20
"""300,000 tokens are some 1.5 MB of text, and JSON writes a byte in six at most: ours, with room.
No more is held of a line without an end."""


class Lines:
    """Collects pieces of a stream and hands out the lines that are complete.

    Nothing is decoded, so a line may hold any other separator (U+2028, a lone CR). A line that
    comes in many pieces is put together once, when its end is there. Blank lines are dropped. Of a
    line longer than `most` comes its beginning only, which can't be read as JSON.
    """

    def __init__(self, most: int = MAX_LINE_BYTES) -> None:
        self._most = most
        self._begun: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends."""
        if _LF not in data:
            self._begin(data)
            return []
        lines = data.split(_LF)
        rest = lines.pop()
        if self._begun:
            self._begin(lines[0])
            lines[0] = b"".join(self._begun)
        self._begun, self._held = [], 0
        self._begin(rest)
        return _without_blanks(lines)

    def finish(self) -> list[bytes]:
        """The last line, where the stream ended without a line end."""
        line = b"".join(self._begun)
        self._begun, self._held = [], 0
        return _without_blanks([line])

    def _begin(self, piece: bytes) -> None:
        piece = piece[: self._most - self._held]
        if piece:
            self._begun.append(piece)
            self._held += len(piece)


def _without_blanks(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if line and not line.isspace()]
