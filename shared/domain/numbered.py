"""A text with its lines numbered, so that nobody has to count them, a model least of all."""


def numbered(text: str) -> str:
    """The text, each line behind its number and a bar: ` 9| return None`."""
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    width = len(str(len(lines)))
    return "\n".join(f"{number:>{width}}| {line}" for number, line in enumerate(lines, 1))
