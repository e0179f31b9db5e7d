import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.app.spool import Spool
from shared.domain.bitmap import Bitmap


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20)), min_size=1, max_size=20),
    st.sets(st.integers(0, 19)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_body_is_the_requests_that_are_not_left_out(
    tmp_path: Path, requests: list[dict[str, str]], left_out: set[int]
) -> None:
    excluded = Bitmap()
    for place in left_out:
        excluded.add(place)
    kept = [request for place, request in enumerate(requests) if place not in left_out]
    with Spool(tmp_path) as spool:
        for request in requests:
            spool.add(json.dumps(request).encode())
        if not kept:
            with pytest.raises(ValueError, match="without requests"):
                spool.body(excluded)
            return
        body = spool.body(excluded)
        first, again = b"".join(body.chunks()), b"".join(body.chunks())
    assert json.loads(first) == {"requests": kept}
    assert first == again
    assert body.length == len(first)


def test_nothing_of_a_spool_is_left_in_its_folder(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.add(b"{}")
        assert not list(tmp_path.iterdir())
