"""From a file of a kind to what a request takes: each converter is imported when it is needed."""

from shared.adapters.converters.packages import Package, broken
from shared.domain.catalog import Sight
from shared.domain.kinds import IMAGES, Kind, kind_of
from shared.domain.text import Unreadable, decode
from shared.ports.converter import Converted, Unconvertible

_OPEN_DOCUMENT = b"application/vnd.oasis.opendocument"


def convert(
    name: str, data: bytes, kind: Kind, sight: Sight, *, most_pages: int, depth: int = 0
) -> Converted:
    """Convert one file. Raises Unconvertible, and whatever a library says of a hostile one."""
    try:
        return _convert(name, data, kind, sight, most_pages=most_pages, depth=depth)
    except Unreadable as error:
        raise Unconvertible(error.type, error.message) from error


def _convert(
    name: str, data: bytes, kind: Kind, sight: Sight, *, most_pages: int, depth: int
) -> Converted:
    if kind in IMAGES:
        from shared.adapters.converters.image import picture  # noqa: PLC0415 - imported where needed

        return picture(name, data, kind, sight)
    match kind:
        case Kind.PDF:
            from shared.adapters.converters import pdf  # noqa: PLC0415

            return pdf.document(name, data, sight, most_pages=most_pages)
        case Kind.ZIP:
            return _package(data)
        case Kind.HTML:
            from shared.adapters.converters.web import page  # noqa: PLC0415

            return page(data)
        case Kind.NOTEBOOK:
            from shared.adapters.converters.notebook import notebook  # noqa: PLC0415

            return notebook(data)
        case Kind.MAIL:
            from shared.adapters.converters.mail import mail  # noqa: PLC0415

            def attached(part: str, content: bytes) -> Converted:
                return _attached(part, content, sight, most_pages=most_pages, depth=depth + 1)

            return mail(data, attached, depth=depth)
        case _:
            raise Unconvertible("encrypted", "it is protected by a password; save it without one")


def _attached(name: str, data: bytes, sight: Sight, *, most_pages: int, depth: int) -> Converted:
    """What a mail brings along; a damaged part is that part's loss."""
    kind = kind_of(name, data)
    if kind is None:
        return Converted(text=decode(data).text)
    try:
        return convert(name, data, kind, sight, most_pages=most_pages, depth=depth)
    except (Unconvertible, MemoryError):
        raise
    except Exception as error:
        raise broken(type(error).__name__) from error


def _package(data: bytes) -> Converted:
    package = Package(data)
    if package.like("word/"):
        from shared.adapters.converters import word  # noqa: PLC0415

        return word.document(package)
    if package.like("ppt/"):
        from shared.adapters.converters.slides import slides  # noqa: PLC0415

        return slides(data, package)
    if package.like("xl/"):
        from shared.adapters.converters.sheets import workbook  # noqa: PLC0415

        return workbook(data, package)
    if "META-INF/container.xml" in package.names:
        from shared.adapters.converters.book import book  # noqa: PLC0415

        return book(package)
    if "mimetype" in package.names and package.read("mimetype").startswith(_OPEN_DOCUMENT):
        what = "an OpenDocument file; save it as docx, xlsx, pptx or PDF"
    else:
        what = "a ZIP archive that is no document"
    raise Unconvertible("unsupported_type", f"it is {what}")
