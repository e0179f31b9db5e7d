from collections.abc import Callable, Iterator

import pytest

from shared.adapters.builtin import catalog
from shared.adapters.converters.process import ConverterProcess
from shared.domain.kinds import kind_of
from shared.ports.converter import Converted, Unconvertible

Convert = Callable[[str, bytes], Converted]


@pytest.fixture(scope="session")
def converter() -> Iterator[ConverterProcess]:
    found = ConverterProcess(catalog().sight, patience_s=120.0)
    yield found
    found.close()


@pytest.fixture
def convert(converter: ConverterProcess) -> Convert:
    """Convert a file as reading documents does."""

    def converted(name: str, data: bytes) -> Converted:
        kind = kind_of(name, data)
        assert kind is not None, f"{name} would be read as text"
        return converter.convert(name, data, kind, most_pages=100)

    return converted


@pytest.fixture
def refused(convert: Convert) -> Callable[[str, bytes], str]:
    """The type of the failure, whose message is one line."""

    def why(name: str, data: bytes) -> str:
        with pytest.raises(Unconvertible) as caught:
            convert(name, data)
        assert caught.value.message
        assert "\n" not in caught.value.message
        return caught.value.type

    return why
