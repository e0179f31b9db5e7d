"""The homes that hostile input is tried on."""

from tests.app.conftest import home
from tests.handlers.cli.conftest import docmill, provider
from tests.handlers.fixtures import aws, endpoint

__all__ = ["aws", "docmill", "endpoint", "home", "provider"]
