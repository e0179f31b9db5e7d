"""The API key in Secrets Manager: had, or what a person has to do about it."""

from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from shared.domain.pause import PauseReason
from shared.ports.batch_api import Unavailable

_PERSONS: Final = {
    "ResourceNotFoundException": "isn't there, or holds no value yet",
    "AccessDeniedException": "may not be read by this function",
    "DecryptionFailure": "can't be decrypted: may this function use its KMS key?",
    "InvalidRequestException": "can't be read: is it to be deleted?",
    "InvalidParameterException": "is no secret",
}
"""What time doesn't mend; by the API reference of GetSecretValue."""

_PUT: Final = "put the Anthropic API key and nothing else into it (put-secret-value)"


def read_key(client: Any, arn: str) -> str:
    """The key. Raises Unavailable: ACCESS where a person has to mend it, UNREACHABLE otherwise."""
    try:
        answer: dict[str, Any] = client.get_secret_value(SecretId=arn)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _PERSONS:
            message = f"the secret {arn} {_PERSONS[code]}; {_PUT}"
            raise Unavailable(message, reason=PauseReason.ACCESS) from error
        raise _unreachable(arn, code or "an error without a code") from error
    except BotoCoreError as error:
        raise _unreachable(arn, type(error).__name__) from error
    key = str(answer.get("SecretString", "")).strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        fault = "holds a space, a line end or another odd character" if key else "is empty"
        raise Unavailable(f"the secret {arn} {fault}; {_PUT}", reason=PauseReason.ACCESS)
    return key


def _unreachable(arn: str, why: str) -> Unavailable:
    message = f"the secret {arn} can't be read now ({why})"
    return Unavailable(message, reason=PauseReason.UNREACHABLE)
