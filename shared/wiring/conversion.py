"""The one child process that converts documents."""

from functools import cache

from shared.adapters.builtin import catalog
from shared.adapters.converters.process import ConverterProcess


@cache
def converter() -> ConverterProcess:
    """The converter of this process; it starts nothing before it is needed."""
    return ConverterProcess(catalog().sight)
