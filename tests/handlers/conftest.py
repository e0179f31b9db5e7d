"""One server for all tests of the handlers and of a stack's commands."""

from tests.handlers.fixtures import endpoint

__all__ = ["endpoint"]
