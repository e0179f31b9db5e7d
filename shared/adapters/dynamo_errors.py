"""What goes wrong with the table, in the port's words; and how long a busy one is asked again."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.exceptions import (
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from shared.ports.store import StoreUnavailable, StoreUnusable

_ROUNDS = 8
"""Answers in a row in which nothing that was asked was done, before that counts as unavailable."""

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 2.0

_PASSING = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
    }
)
_CREDENTIALS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }
)
_MISSING = frozenset({"ResourceNotFound", "ResourceNotFoundException"})


@contextmanager
def translated(table: str) -> Iterator[None]:
    """botocore's errors as StoreUnavailable or StoreUnusable; what is a fault of ours stays."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _MISSING:
            raise StoreUnusable(
                f"there is no table {table}, or it lacks its indexes: deploy the stack"
            ) from error
        if code in _CREDENTIALS:
            message = f"these credentials may not use the table {table} ({code})"
            raise StoreUnavailable(message) from error
        if code in _PASSING or status >= 500:
            message = f"the table {table} doesn't answer now ({code})"
            raise StoreUnavailable(message) from error
        raise
    except (
        BotoConnectionError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
    ) as error:
        raise StoreUnavailable(f"the table {table} can't be reached ({error})") from error


@dataclass(slots=True)
class Patience:
    """The waits of one call that the table did in parts.

    They grow as long as anything is left, so that many threads don't ask a busy table without end
    for what it can't give; only answers that brought nothing at all count against it.
    """

    table: str
    sleep: Callable[[float], None] = time.sleep
    waits: int = 0
    in_vain: int = 0

    def wait(self, *, left: int, of: int) -> None:
        """Before what is left is asked for again. Raises StoreUnavailable once that is in vain."""
        self.in_vain = self.in_vain + 1 if left == of else 0
        if not left:
            return
        if self.in_vain == _ROUNDS:
            raise StoreUnavailable(f"the table {self.table} is throttled: try again later")
        longest = min(_FIRST_WAIT_S * 2**self.waits, _LONGEST_WAIT_S)
        self.waits = min(self.waits + 1, _ROUNDS)
        self.sleep(longest * random.uniform(0.5, 1))
