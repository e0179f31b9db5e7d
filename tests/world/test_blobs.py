from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from shared.ports.blobs import Blobs
from tests.adapters import test_blobs_contract as contract
from tests.world.blobs import MemoryBlobs

CONTRACT: tuple[Callable[[Blobs], None], ...] = (
    contract.test_awkward_names_are_kept_exactly,
    contract.test_a_new_place_is_empty,
    contract.test_a_list_is_ordered_by_key_over_the_whole_tree,
    contract.test_list_and_stat_tell_the_same,
    contract.test_the_etag_differs_exactly_when_the_content_does,
    contract.test_overwriting_replaces_the_whole,
    contract.test_the_last_of_several_writes_of_one_key_wins,
    contract.test_many_are_written_and_read_in_order,
    contract.test_what_is_missing_is_not_found,
    contract.test_chunks_begin_at_the_offset,
    contract.test_chunks_of_another_content_are_refused,
    contract.test_deleting_twice_is_deleting,
)


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_a_bucket_in_memory_does_what_every_place_does(check: Callable[[Blobs], None]) -> None:
    check(MemoryBlobs(lambda: datetime.now(UTC)))
