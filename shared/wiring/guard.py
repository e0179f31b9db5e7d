"""The one child process that renders templates which aren't plain."""

from functools import cache

from shared.adapters.template_guard import TemplateGuard


@cache
def template_guard() -> TemplateGuard:
    """The guard of this process; it starts nothing before it is needed."""
    return TemplateGuard()
