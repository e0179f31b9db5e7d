"""What the provider finds too long is split, where docmill's own estimate let it pass.

Such a request costs nothing. Only one for a whole document: a part or a merge that is too long
fails, as it would be again.
"""

from typing import Final

from msgspec.structs import replace

from shared.domain.batch import Batch
from shared.domain.document import Document, Failure
from shared.domain.outcome import Fail, Outcome, Retry
from shared.domain.parts import Parts

_TOO_LONG: Final = ("prompt is too long", "input length and `max_tokens` exceed")
"""How `invalid_request_error` words it (reported, not documented)."""


def split_instead(outcome: Outcome, document: Document) -> Outcome:
    """The outcome, or a further try where the document is to be split for that."""
    if not isinstance(outcome, Fail) or not _says_too_long(outcome.failure):
        return outcome
    if document.part is not None or document.merges:
        return outcome
    if document.unfinished is not None:  # what there is of its report stays, without the rest
        return outcome
    attempts = max(outcome.failure.attempts - 1, 0)  # it isn't the same request again
    return Retry(attempts=attempts, failure=outcome.failure)


def marked_long(document: Document, outcome: Retry, batch: Batch) -> Document:
    """The document as it is, or with the mark that makes planning split it."""
    if not _says_too_long(outcome.failure) or document.claimed_digest is None:
        return document
    parts = Parts(digest=document.claimed_digest, fingerprint=batch.fingerprint)
    return replace(document, parts=parts)


def _says_too_long(failure: Failure) -> bool:
    return failure.type == "invalid_request_error" and failure.message.startswith(_TOO_LONG)
