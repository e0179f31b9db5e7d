"""Why a document that is too long for one request can't be split or merged."""

from typing import Final

from shared.domain.document import Failure

TOO_LARGE: Final = "document_too_large"


class TooLong(Exception):
    """It can't be split or merged; `failure` says why."""

    def __init__(self, message: str, type_: str = TOO_LARGE, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.failure = Failure(type=type_, message=message, retryable=retryable)
