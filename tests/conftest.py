"""Generated inputs are the same in every run, and a slow machine fails none."""

from hypothesis import settings

settings.register_profile("docmill", derandomize=True, deadline=None)
settings.load_profile("docmill")
