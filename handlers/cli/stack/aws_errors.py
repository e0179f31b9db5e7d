"""What AWS answers, as one line that says what is wrong, where, and what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError

from handlers.cli.faults import Fault
from handlers.cli.session import translated_errors
from shared.ports.blobs import BlobError
from shared.ports.store import StoreUnavailable
from shared.wiring.stack import StackUnusable

_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
)
_UNKNOWN = frozenset(
    {
        *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
        *("SignatureDoesNotMatch", "InvalidToken", "AuthFailure", "InvalidSignatureException"),
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "403", "AllAccessDisabled"})
_NO_BUCKET = frozenset({"NoSuchBucket"})
_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_DENIED_ACTION = re.compile(r"not authorized to perform: ([\w:]+)(?: on resource: \"?([^\s\"']+))?")
_BLOB_ANSWER = re.compile(r"^(s3://\S+?)(?:/.*)? can't be (\w+)(?: now)?: S3 answered (\d+) ?(\w*)")
_S3_ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "CopyObject": "s3:PutObject on the input bucket and s3:GetObject on the source",
}
_BLOB_ACTIONS = {"listed": "s3:ListBucket", "read": "s3:GetObject", "written": "s3:PutObject"}

_LOG_IN = "log in again (`aws sso login`, or new keys)"


@contextmanager
def translated(stack: str) -> Iterator[None]:
    """Turn what a person can mend into a Fault of one line."""
    try:
        with translated_errors():
            yield
    except StackUnusable as error:
        raise Fault(str(error)) from None
    except ResponseParserError:
        raise Fault(
            "what answered isn't AWS: a proxy, or a wrong AWS_ENDPOINT_URL? Run the same command "
            "again once that is mended"
        ) from None
    except (BotoCoreError, ClientError) as error:
        raise Fault(_said(error, stack)) from None
    except Fault as fault:
        # The ports' errors know neither IAM nor the ways to log in; their causes do.
        raise _better(fault, stack) from None


def _better(fault: Fault, stack: str) -> Fault:
    error = fault.__context__
    cause = error.__cause__ if isinstance(error, BlobError | StoreUnavailable) else None
    found = _BLOB_ANSWER.match(fault.message)
    if found is None or _DENIED_ACTION.search(str(cause)):
        if isinstance(cause, ClientError):
            return Fault(_known(cause, stack) or fault.message)
        if isinstance(cause, NoCredentialsError | PartialCredentialsError | SSOError):
            return Fault(_said(cause, stack))
        return fault
    bucket, done, status, code = found.groups()
    if code in _EXPIRED or code in _UNKNOWN:
        return Fault(_of_credentials(code))
    if code in _NO_BUCKET:
        return Fault(_no_bucket(bucket.removeprefix("s3://")))
    if status == "403":
        return Fault(f"access denied: {_BLOB_ACTIONS.get(done, 's3')} on {bucket} is needed")
    return fault


def _said(error: BotoCoreError | ClientError, stack: str) -> str:
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        message = error.response.get("Error", {}).get("Message", "")
        return _known(error, stack) or f"{error.operation_name}: AWS answered {code}: {message}"
    if isinstance(error, NoCredentialsError):
        return "no AWS credentials found: set AWS_PROFILE, or log in (`aws sso login`)"
    if isinstance(error, NoRegionError):
        return "no AWS region is set: set AWS_REGION to the stack's"
    if isinstance(error, ProfileNotFound | PartialCredentialsError):
        return f"the AWS credentials can't be used: {error}"
    if isinstance(error, SSOError | TokenRetrievalError):
        return f"the AWS session has expired: {_LOG_IN}"
    if isinstance(error, NoConnection | HTTPClientError):
        return f"AWS can't be reached ({_one_line(error)}); run the same command again to go on"
    return f"AWS can't be asked: {_one_line(error)}"


def _known(error: ClientError, stack: str) -> str | None:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", "")
    if code == "ValidationError" and "does not exist" in message:
        return (
            f"there is no stack {stack} in this account and region; is AWS_PROFILE or AWS_REGION "
            "another's?"
        )
    if code in _EXPIRED or code in _UNKNOWN:
        return _of_credentials(code)
    if code in _DENIED:
        if found := _DENIED_ACTION.search(message):
            where = f" on {found[2]}" if found[2] else ""
            return f"access denied: {found[1]}{where} is needed"
        action = _S3_ACTIONS.get(error.operation_name, f"permission for {error.operation_name}")
        return f"access denied: {action} is needed"
    if code in _NO_BUCKET:
        return _no_bucket(error.response.get("Error", {}).get("BucketName", ""))
    if code in _NO_QUEUE:
        return f"a queue of the stack {stack} is gone: `sam deploy` makes it again"
    return None


def _of_credentials(code: str) -> str:
    if code in _EXPIRED:
        return f"the AWS session has expired ({code}): {_LOG_IN}"
    return f"AWS doesn't know these credentials ({code}): see AWS_PROFILE and the AWS_… variables"


def _no_bucket(name: str) -> str:
    return f"there is no bucket {name}".rstrip() + "; was it deleted?"


def _one_line(error: BotoCoreError) -> str:
    return " ".join(str(error).split())
