"""The homes that hostile input is tried on."""

from tests.app.conftest import home
from tests.handlers.cli.conftest import docmill, provider

__all__ = ["docmill", "home", "provider"]
