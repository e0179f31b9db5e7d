"""Lines out of a stream of bytes: cut at LF and nowhere else, in time linear in the bytes."""

_LF = b"\n"


class Lines:
    """Collects pieces of a stream and hands out the lines that are complete.

    Nothing is decoded, so a line may hold any other separator (U+2028, a lone CR). A line that
    comes in many pieces is put together once, when its end is there. Blank lines are dropped.
    """

    def __init__(self) -> None:
        self._begun: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends."""
        if _LF not in data:
            self._begun.append(data)
            return []
        lines = data.split(_LF)
        rest = lines.pop()
        if self._begun:
            lines[0] = b"".join([*self._begun, lines[0]])
        self._begun = [rest] if rest else []
        return _without_blanks(lines)

    def finish(self) -> list[bytes]:
        """The last line, where the stream ended without a line end."""
        line = b"".join(self._begun)
        self._begun = []
        return _without_blanks([line])


def _without_blanks(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if line and not line.isspace()]
