"""Mails (eml): who wrote what to whom, and what was attached, each converted in its turn."""

from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import Message, MIMEPart
from typing import TYPE_CHECKING, Final

from shared.adapters.converters.markdown import counted, joined, one_line, shortened
from shared.adapters.converters.packages import broken
from shared.adapters.converters.web import from_html
from shared.domain.attachment import MANY_IMAGES
from shared.domain.text import Unreadable, decode
from shared.ports.converter import Converted, Unconvertible

if TYPE_CHECKING:
    from shared.domain.attachment import Attachment

DEEPEST: Final = 3
"""Mails within mails that are read."""
_MOST_ATTACHED: Final = 30
_HEADERS: Final = ("From", "To", "Cc", "Date", "Subject")

Convert = Callable[[str, bytes], Converted]
"""Converts one attachment by its name and content. Raises Unconvertible or Unreadable."""


def mail(data: bytes, convert: Convert, *, depth: int) -> Converted:
    """An eml. Raises Unconvertible."""
    message = message_from_bytes(data, policy=policy.default)
    return _Mail(convert, depth).read(message)


class _Mail:
    def __init__(self, convert: Convert, depth: int) -> None:
        self._convert = convert
        self._depth = depth
        self._parts: list[str] = []
        self._attached: list[Attachment] = []
        self._losses: list[str] = []
        self._unread: list[str] = []

    def read(self, message: Message) -> Converted:
        if not isinstance(message, MIMEPart):
            raise broken("it is no mail")
        self._parts.append(_headers(message))
        bodies = _bodies(message)
        text, losses = _said(bodies)
        self._losses += losses
        self._parts.append(text)
        inline = 0
        for number, part in enumerate(_attachments(message, bodies)):
            if part.get_content_maintype() == "image" and not part.is_attachment():
                inline += 1  # logos, mostly
            elif number < _MOST_ATTACHED:
                self._attach(part, number)
            else:
                self._unread.append(_name(part, number))
        if inline:
            self._losses.append(f"{counted(inline, 'inline image')} left out")
        if self._unread:
            count = counted(len(self._unread), "attachment")
            self._losses.append(f"{count} left out: {shortened(self._unread)}")
        if not text.strip() and not self._attached and len(self._parts) == 2:
            raise Unconvertible("empty_document", "the mail has no text; there is nothing to read")
        return Converted(
            text=joined(self._parts),
            attachments=tuple(self._attached),
            losses=tuple(self._losses),
        )

    def _attach(self, part: MIMEPart, number: int) -> None:
        name = _name(part, number)
        try:
            found = self._converted(part, name)
        except (Unconvertible, Unreadable) as error:
            self._unread.append(f"{name} ({error.type})")
            return
        images = sum(each.is_image for each in (*self._attached, *found.attachments))
        if images > MANY_IMAGES:
            self._unread.append(f"{name} (more than {MANY_IMAGES} images)")
            return
        self._attached += found.attachments
        self._losses += [f"{one_line(name, 60)}: {loss}" for loss in found.losses]
        self._parts += [f"## Attachment: {one_line(name)}", found.text]

    def _converted(self, part: MIMEPart, name: str) -> Converted:
        if part.get_content_type() == "message/rfc822":
            inner = _inner(part)
            if self._depth >= DEEPEST or inner is None:
                raise Unconvertible("nested_too_deep", "a mail within mails")
            return _Mail(self._convert, self._depth + 1).read(inner)
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes):
            raise Unconvertible("unsupported_type", "it has no content")
        return self._convert(name, content)


def _headers(message: MIMEPart) -> str:
    found = ((name, _header(message, name)) for name in _HEADERS)
    return "\n".join(f"{name}: {value}" for name, value in found if value)


def _header(message: MIMEPart, name: str) -> str:
    try:
        return one_line(str(message.get(name, "")), 2_000)
    except (MessageError, ValueError, IndexError, AttributeError, TypeError):
        return ""  # one that breaks the library's parser


def _inner(part: MIMEPart) -> MIMEPart | None:
    """The mail that a part is."""
    if part.get_content_type() != "message/rfc822" or not part.is_multipart():
        return None
    inner = part.get_payload(0)
    return inner if isinstance(inner, MIMEPart) else None


def _bodies(message: MIMEPart) -> list[MIMEPart]:
    """What the mail says, in the ways it says it, plain text first."""
    bodies = []
    for way in ("plain", "html"):
        try:
            found = message.get_body((way,))
        except (KeyError, AttributeError, ValueError):
            continue  # a mail that is made up oddly
        if found is not None:
            bodies.append(found)
    return bodies


def _said(bodies: list[MIMEPart]) -> tuple[str, tuple[str, ...]]:
    """The text of the first body that has any, and what was left out of it."""
    for body in bodies:
        text, losses = _content(body)
        if text.strip():
            return text, losses
    return "", ()


def _content(part: MIMEPart) -> tuple[str, tuple[str, ...]]:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes) or not content.strip():
        return "", ()
    charset = part.get_content_charset() or ""
    try:
        text = content.decode(charset)
    except (LookupError, UnicodeDecodeError, ValueError):
        try:
            text = decode(content).text
        except Unreadable:
            text = content.decode("utf-8", "replace")
    return from_html(text) if part.get_content_subtype() == "html" else (text, ())


def _attachments(message: MIMEPart, bodies: list[MIMEPart]) -> Iterator[MIMEPart]:
    """Every part that isn't a body or another way to say the same."""
    if not message.is_multipart() or message.get_content_type() == "message/rfc822":
        if not any(message is body for body in bodies):
            yield message
        return
    same = message.get_content_subtype() == "alternative"
    for part in message.iter_parts():
        if not same or part.is_multipart() or part.get_content_maintype() != "text":
            yield from _attachments(part, bodies)


def _name(part: MIMEPart, number: int) -> str:
    try:
        given = part.get_filename()
    except (MessageError, ValueError, IndexError, AttributeError, TypeError):
        given = None
    if given:
        return one_line(given.replace("\\", "/").rpartition("/")[2])
    if (inner := _inner(part)) is not None and (subject := _header(inner, "Subject")):
        return one_line(subject)
    return f"{number + 1}.{part.get_content_subtype()}"
