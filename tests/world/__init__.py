"""Whole worlds from a seed: the real use cases among people, queues, timers and a provider.

`make simulate SEEDS=10000` runs many and prints what happened; `make simulate SEED=7` tells the
story of one. The use cases, SqliteStore, the simulator's core, and in `on_aws` DynamoStore and
S3Blobs, are those that ship; every call on a port passes a gate (`gate`), where runs take turns
and faults strike (`weather`). `rules` is looked at after every write, `ending` in the end.

What a world assumes, as docmill does:
- A process is dead before its lease is over by anybody's clock.
- A batch that was created shows in a complete listing within `doubt_grace`, and what clocks may
  differ by is part of that time.
- An index is behind its rows by less than `index_lag`.
- On a laptop one process at a time works on an output; `cancel` needs that.
- An event that is lost is made up for when the job's recipe is put once more.
"""
