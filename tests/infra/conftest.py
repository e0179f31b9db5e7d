"""The AWS home, for functions from their packages."""

from tests.handlers.fixtures import aws, endpoint

__all__ = ["aws", "endpoint"]
