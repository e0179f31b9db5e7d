"""The command line, installed as `docmill`."""
