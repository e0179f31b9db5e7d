"""The homes that recipes are used in."""

from tests.app.conftest import home
from tests.handlers.cli.conftest import docmill, provider
from tests.handlers.fixtures import aws, endpoint

__all__ = ["aws", "docmill", "endpoint", "home", "provider"]
