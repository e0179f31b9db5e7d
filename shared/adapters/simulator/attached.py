"""Document and image blocks: what the API finds wrong with them, and what they count as.

Messages are worded after those that users quote of the live API.
"""

import base64
import binascii
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from typing import Any, Final, TypeVar, cast

from shared.adapters.builtin import catalog
from shared.domain.attachment import PDF, most_pages

_IMAGES: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
}
_MOST_EDGE: Final = 8_000
_MOST_EDGE_OF_MANY: Final = 2_000
_MANY: Final = 20
_MOST_BASE64: Final = 10_000_000
_MOST_REQUEST: Final = 32_000_000
_PATCH: Final = 28
_BYTES_PER_TOKEN: Final = 4
_KEPT: Final = 256


T = TypeVar("T")
_seen: dict[bytes, object] = {}


class _Wrong(Exception):
    """The message is the API's."""


def attached(params: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each document and image block of the messages, with its place."""
    messages = params.get("messages")
    for place, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for number, block in enumerate(content if isinstance(content, list) else ()):
            if isinstance(block, dict) and block.get("type") in ("document", "image"):
                yield f"messages.{place}.content.{number}", block


def fault_of_attached(params: dict[str, Any], context_tokens: int) -> str | None:
    """The first thing that is wrong with them."""
    blocks = list(attached(params))
    many = sum(block["type"] == "image" for _, block in blocks) > _MANY
    pages = images = size = 0
    try:
        for where, block in blocks:
            data = _source(where, block)
            size += len(data)
            if block["type"] == "document":
                pages += _pdf(data)[0]
            else:
                images += 1
                _check_image(where, block["source"]["media_type"], data, many=many)
    except _Wrong as wrong:
        return str(wrong)
    most = most_pages(context_tokens)
    if pages > most:
        return f"A maximum of {most} PDF pages may be provided."
    if images > most:
        return f"messages: at most {most} images may be provided"
    return "Request exceeds the maximum size" if size > _MOST_REQUEST else None


def tokens_of(params: dict[str, Any]) -> int:
    """What they count as in all; what is wrong counts as nothing."""
    total = 0
    for where, block in attached(params):
        try:
            data = _source(where, block)
            total += _pdf(data)[1] if block["type"] == "document" else _image(data)[2]
        except _Wrong:
            continue
    return total


def _source(where: str, block: dict[str, Any]) -> str:
    source = block.get("source")
    if not isinstance(source, dict):
        raise _Wrong(f"{where}.{block['type']}.source: Field required")
    known = [PDF] if block["type"] == "document" else list(_IMAGES)
    inner = f"{where}.{block['type']}.source.base64"
    if source.get("type") != "base64":
        raise _Wrong(f"{where}.{block['type']}.source.type: not simulated: {source.get('type')!r}")
    if source.get("media_type") not in known:
        raise _Wrong(f"{inner}.media_type: Input should be {' or '.join(map(repr, known))}")
    data = source.get("data")
    if not isinstance(data, str) or not data:
        raise _Wrong(f"{inner}.data: Field required")
    return data


def _bytes(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise _Wrong("Invalid base64 data") from None


def _pdf(data: str) -> tuple[int, int]:
    return _known(data, _read_pdf)


def _image(data: str) -> tuple[str, int, int]:
    return _known(data, _read_image)


def _known(data: str, read: Callable[[bytes], T]) -> T:
    """What `read` makes of it, kept for a while: a block is checked first and counted then."""
    key = sha256(data.encode()).digest()
    if key not in _seen:
        try:
            _seen[key] = read(_bytes(data))
        except _Wrong as wrong:
            _seen[key] = wrong
        if len(_seen) > _KEPT:
            del _seen[next(iter(_seen))]
    found = _seen[key]
    if isinstance(found, _Wrong):
        raise found
    return cast("T", found)


def _read_pdf(data: bytes) -> tuple[int, int]:
    """Pages and tokens."""
    import pypdfium2  # noqa: PLC0415 - only where there are PDFs

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise _Wrong("The PDF specified is password protected.") from None
        raise _Wrong("The PDF specified was not valid.") from None
    with closing(document):
        size = 0
        for number in range(len(document)):
            try:
                with closing(document[number]) as page, closing(page.get_textpage()) as text:
                    size += len(text.get_text_range(errors="ignore").encode())
            except pypdfium2.PdfiumError:
                continue
        pages = len(document)
    return pages, pages * catalog().sight.page_image_tokens + size // _BYTES_PER_TOKEN


def _read_image(data: bytes) -> tuple[str, int, int]:
    """Its type, its longer side, and tokens."""
    from PIL import Image  # noqa: PLC0415 - only where there are images

    try:
        with Image.open(io.BytesIO(data), formats=list(_IMAGES.values())) as image:
            (width, height), kind = image.size, image.format or ""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise _Wrong("Could not process image") from None
    tokens = -(-width // _PATCH) * -(-height // _PATCH)
    return kind, max(width, height), min(tokens, catalog().sight.image_tokens)


def _check_image(where: str, media_type: str, data: str, *, many: bool) -> None:
    if len(data) > _MOST_BASE64:
        raise _Wrong(f"{where}.image.source.base64: image exceeds 10 MB maximum")
    kind, edge, _ = _image(data)
    if kind != _IMAGES[media_type]:
        raise _Wrong(
            f"{where}.image.source.base64.data: The image was specified using the {media_type} "
            f"media type, but the image appears to be a image/{kind.lower()} image"
        )
    if edge > (_MOST_EDGE_OF_MANY if many else _MOST_EDGE):
        most = f"{_MOST_EDGE_OF_MANY} pixels for many-image requests" if many else "8000 pixels"
        raise _Wrong(f"{where}.image.source.base64.data: image dimensions exceed max: {most}")
