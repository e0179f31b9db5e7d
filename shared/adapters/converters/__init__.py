"""What makes text of files that aren't: one module for each kind, run in a child process."""
