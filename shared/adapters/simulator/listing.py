"""Pages of a listing, newest first, by the API's cursors."""

from collections.abc import Mapping

from shared.adapters.simulator.batches import SimulatedBatch
from shared.adapters.simulator.messages import ApiError

_DEFAULT_LIMIT = 20
_MAX_LIMIT = 1000


def page_of(
    shown: list[SimulatedBatch], query: Mapping[str, str]
) -> tuple[list[SimulatedBatch], bool]:
    """The page asked for and whether more follows in its direction. Raises ApiError.

    A cursor that isn't there gives an empty page: what the API does then is not known.
    """
    limit = _limit(query.get("limit"))
    ids = [batch.id for batch in shown]
    after, before = query.get("after_id"), query.get("before_id")
    if after is not None and before is not None:
        message = "after_id, before_id: only one of them may be given"
        raise ApiError(400, "invalid_request_error", message)
    if before is not None:
        newer = shown[: ids.index(before)] if before in ids else []
        return newer[-limit:], len(newer) > limit
    if after is not None:
        shown = shown[ids.index(after) + 1 :] if after in ids else []
    return shown[:limit], len(shown) > limit


def _limit(text: str | None) -> int:
    if text is None:
        return _DEFAULT_LIMIT
    try:
        limit = int(text)
    except ValueError:
        fault = "Input should be a valid integer, unable to parse string as an integer"
    else:
        if 1 <= limit <= _MAX_LIMIT:
            return limit
        fault = "Input should be " + (
            "greater than or equal to 1" if limit < 1 else f"less than or equal to {_MAX_LIMIT}"
        )
    raise ApiError(400, "invalid_request_error", f"limit: {fault}")
