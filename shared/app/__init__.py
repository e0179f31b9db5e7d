"""Use cases: each performs what the domain decided, through the ports."""
