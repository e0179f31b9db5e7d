from shared.wiring.ambient import new_batch_id


def test_batch_ids_are_not_drawn_twice() -> None:
    assert len({new_batch_id() for _ in range(1000)}) == 1000
