"""Worlds are small, so what is done a page at a time has small pages here: every loop turns.

The sizes in use are in the hundreds; a crash between two pages must be met with four documents.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from shared.app import intake, plan, results, slices

_PAGE = 2
_PLACES: tuple[tuple[ModuleType, str], ...] = (
    (slices, "SLICE"),
    (intake, "SLICE"),
    (plan, "SLICE"),
    (results, "_FLUSH_LINES"),
)


@contextmanager
def small_pages() -> Iterator[None]:
    """Have pages of two while it lasts."""
    before = [(module, name, getattr(module, name)) for module, name in _PLACES]
    for module, name in _PLACES:
        setattr(module, name, _PAGE)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
