"""Faults that are real: processes that are killed, disks that are full, functions out of time."""
