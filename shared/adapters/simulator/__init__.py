"""A simulator of the Message Batches API: a pure core, and an HTTP skin around it."""
