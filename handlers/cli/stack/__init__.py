"""The commands that work with a deployed stack. Only they import AWS's SDK, when they run."""
