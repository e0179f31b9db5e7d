from hypothesis import given
from hypothesis import strategies as st

from shared.domain.bitmap import Bitmap


@given(st.lists(st.integers(0, 99_999), max_size=50))
def test_a_bitmap_holds_what_was_put_in_also_after_it_was_saved(places: list[int]) -> None:
    bitmap = Bitmap()
    for place in places:
        bitmap.add(place)
    again = Bitmap(bytes(bitmap))
    assert len(bitmap) == len(again) == len(set(places))
    assert all(place in again for place in places)
    assert 100_000 not in again


def test_a_whole_batch_fits_in_thirteen_kilobytes() -> None:
    bitmap = Bitmap()
    bitmap.add(99_999)
    assert len(bytes(bitmap)) == 12_500
