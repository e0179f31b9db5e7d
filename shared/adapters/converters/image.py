"""Images, turned as their camera says and brought within what the API takes and a model sees."""

import base64
import io
import warnings
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from shared.adapters.converters.markdown import one_line
from shared.adapters.converters.packages import broken
from shared.domain.attachment import Attachment
from shared.domain.catalog import Sight
from shared.domain.kinds import Kind
from shared.ports.converter import Converted, Unconvertible

MOST_BASE64: Final = 10_000_000
"""Characters of one image (reference)."""
_MOST_PIXELS: Final = 120_000_000
"""More is a bomb, or needs more memory than there is: 4 bytes each, twice."""
_PATCH: Final = 28
"""A token is a square of so many pixels; older pages say width x height / 750 (reference)."""
_OLDER: Final = 750
_QUALITIES: Final = (90, 80, 65, 50)
_ORIENTATION: Final = 0x0112
_TYPES: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}

Image.MAX_IMAGE_PIXELS = _MOST_PIXELS


def picture(name: str, data: bytes, kind: Kind, sight: Sight) -> Converted:
    """An image as an attachment. Raises Unconvertible."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            found = Image.open(io.BytesIO(data), formats=[kind.value.upper()])
            found.load()
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            message = f"it has more than {_MOST_PIXELS:,} pixels; make it smaller"
            raise Unconvertible("image_too_large", message) from error
        except UnidentifiedImageError as error:
            raise broken(f"it begins like a {kind.upper()}, and isn't one") from error
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise broken(f"it can't be read as an image ({error})") from error
    losses = []
    frames = getattr(found, "n_frames", 1)
    if frames > 1:
        losses.append(f"an animation of {frames:,} pictures: only the first is shown")
    image, turned = _turned(found)
    before = image.size
    if max(before) > sight.image_edge_px:
        image.thumbnail((sight.image_edge_px, sight.image_edge_px), Image.Resampling.LANCZOS)
        losses.append(_scaled(before, image.size))
    as_is = not turned and frames == 1 and image.size == before
    media_type = _TYPES[found.format or ""]
    encoded = base64.b64encode(data) if as_is else b""
    if not as_is or len(encoded) > MOST_BASE64:
        media_type, encoded = _encoded(image, found.format or "")
    title = one_line(name)
    size = f"{image.size[0]} x {image.size[1]} pixels"
    tokens = image_tokens(*image.size, sight)
    return Converted(
        text=f'The image "{title}" ({size}) is attached to this message.',
        attachments=(
            Attachment(
                media_type=media_type,
                title=title,
                data=encoded.decode("ascii"),
                edge_px=max(image.size),
                most_tokens=tokens,
                likely_tokens=tokens,
            ),
        ),
        losses=tuple(losses),
    )


def image_tokens(width: int, height: int, sight: Sight) -> int:
    """What an image of this size is billed as, by the dearer of the two rules, at most."""
    patches = -(-width // _PATCH) * -(-height // _PATCH)
    return min(max(patches, -(-width * height // _OLDER)), sight.image_tokens)


def _turned(image: Image.Image) -> tuple[Image.Image, bool]:
    """Upright. The API's models get pixels, not what stands beside them."""
    if image.getexif().get(_ORIENTATION, 1) == 1:
        return image.copy(), False
    return ImageOps.exif_transpose(image), True


def _scaled(before: tuple[int, int], after: tuple[int, int]) -> str:
    return (
        f"scaled from {before[0]} x {before[1]} to {after[0]} x {after[1]} pixels, "
        "as a model would see it"
    )


def _encoded(image: Image.Image, format_: str) -> tuple[str, bytes]:
    """As PNG where nothing is lost by it and it fits, else as JPEG, as good as fits."""
    if format_ != "JPEG":
        plain = image if image.mode in ("1", "L", "P", "RGB", "RGBA") else image.convert("RGBA")
        made = _saved(plain, "PNG")
        if len(made) <= MOST_BASE64:
            return _TYPES["PNG"], made
    flat = image
    if image.mode in ("P", "RGBA", "LA", "PA"):
        whole = image.convert("RGBA")
        flat = Image.new("RGB", image.size, "white")
        flat.paste(whole, mask=whole.getchannel("A"))
    elif image.mode not in ("RGB", "L"):
        flat = image.convert("RGB")
    for quality in _QUALITIES:
        made = _saved(flat, "JPEG", quality=quality)
        if len(made) <= MOST_BASE64:
            break
    return _TYPES["JPEG"], made


def _saved(image: Image.Image, format_: str, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return base64.b64encode(out.getbuffer())
