"""What the environment says, read once, with all its faults told at once and no secret shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Self
from urllib.parse import urlsplit

from shared.domain.policy import (
    LOOKS_PER_MINUTE,
    MAX_BATCH_BYTES,
    MAX_BATCH_REQUESTS,
    MAX_REQUEST_BYTES,
)

MOST_LOOKS = 1_000_000
"""As good as no limit: for a simulator."""

ASK_ABOVE = Decimal(1)
"""US dollars. Ours: what nobody minds to lose on a try, and a mistake's first batch goes beyond."""


class InvalidSettings(Exception):
    """The environment can't be used; the message is one line that names every fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of both homes; those of AWS are empty on a laptop."""

    doubt_grace: timedelta = timedelta(seconds=60)
    max_batch_requests: int = MAX_BATCH_REQUESTS
    max_batch_bytes: int = MAX_BATCH_BYTES
    max_request_bytes: int = MAX_REQUEST_BYTES
    poll_interval: timedelta = timedelta(seconds=60)
    looks_per_minute: int = LOOKS_PER_MINUTE
    ask_above: Decimal = ASK_ABOVE
    table: str = ""
    input_bucket: str = ""
    output_bucket: str = ""
    collect_queue_url: str = ""
    upload_queue_url: str = ""
    submit_function: str = ""
    event_bus: str = ""
    stack: str = ""
    api_key_secret: str = ""
    api_key: str = field(default="", repr=False)
    base_url: str = field(default="", repr=False)
    """May hold a gateway's secret, in its path."""
    s3_endpoint: str = ""
    log_level: str = "info"

    @classmethod
    def from_env(cls, env: Mapping[str, str], *, required: tuple[str, ...] = ()) -> Self:
        """Read the environment. Raises InvalidSettings with every missing or wrong name."""
        faults = [f"{name} is not set" for name in required if not env.get(name)]

        def number(name: str, default: float, least: float, most: float) -> float:
            text = env.get(name, "").strip()
            if not text:
                return default
            try:
                value = float(text)
            except ValueError:
                value = least - 1
            if not least <= value <= most:
                faults.append(f"{name} must be a number from {least:,} to {most:,}, not {text!r}")
                return default
            return value

        settings = cls(
            doubt_grace=timedelta(seconds=number("DOCMILL_DOUBT_GRACE_S", 60, 0, 86_400)),
            poll_interval=timedelta(seconds=number("DOCMILL_POLL_INTERVAL_S", 60, 0.01, 3_600)),
            looks_per_minute=int(
                number("DOCMILL_LOOKS_PER_MINUTE", LOOKS_PER_MINUTE, 1, MOST_LOOKS)
            ),
            max_batch_requests=int(
                number("DOCMILL_MAX_BATCH_REQUESTS", MAX_BATCH_REQUESTS, 1, MAX_BATCH_REQUESTS)
            ),
            max_batch_bytes=int(
                number("DOCMILL_MAX_BATCH_BYTES", MAX_BATCH_BYTES, 1_000, MAX_BATCH_BYTES)
            ),
            max_request_bytes=int(
                number("DOCMILL_MAX_REQUEST_BYTES", MAX_REQUEST_BYTES, 1_000, MAX_BATCH_BYTES)
            ),
            ask_above=Decimal(str(number("DOCMILL_ASK_ABOVE", float(ASK_ABOVE), 0, 10**9))),
            table=env.get("DOCMILL_TABLE", ""),
            input_bucket=env.get("DOCMILL_INPUT_BUCKET", ""),
            output_bucket=env.get("DOCMILL_OUTPUT_BUCKET", ""),
            collect_queue_url=env.get("DOCMILL_COLLECT_QUEUE_URL", ""),
            upload_queue_url=env.get("DOCMILL_UPLOAD_QUEUE_URL", ""),
            submit_function=env.get("DOCMILL_SUBMIT_FUNCTION", ""),
            event_bus=env.get("DOCMILL_EVENT_BUS", ""),
            stack=env.get("DOCMILL_STACK", ""),
            api_key_secret=env.get("DOCMILL_API_KEY_SECRET", ""),
            api_key=env.get("ANTHROPIC_API_KEY", ""),
            base_url=env.get("ANTHROPIC_BASE_URL", ""),
            s3_endpoint=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL", ""),
            log_level=env.get("DOCMILL_LOG_LEVEL", "info"),
        )
        if settings.input_bucket and settings.input_bucket == settings.output_bucket:
            faults.append(
                "DOCMILL_OUTPUT_BUCKET is DOCMILL_INPUT_BUCKET, so reports would become documents"
            )
        faults += _faults_of_key(settings.api_key) + _faults_of_address(settings.base_url)
        if faults:
            raise InvalidSettings("; ".join(faults))
        return settings


def _faults_of_key(key: str) -> list[str]:
    if key.isascii() and key.isprintable() and " " not in key:
        return []
    return ["ANTHROPIC_API_KEY holds a space, a line end or another odd character"]


def _faults_of_address(address: str) -> list[str]:
    """What no call could ever get through to. The address isn't repeated: it may hold a secret."""
    name = "ANTHROPIC_BASE_URL"
    if not address:
        return []
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError:
        url = urlsplit("")
    if not address.isprintable() or " " in address:
        return [f"{name} holds a space, a line end or another odd character"]
    if url.scheme not in {"http", "https"} or not url.hostname:
        return [f"{name} is not an address such as https://api.anthropic.com"]
    if "@" in url.netloc:
        return [f"{name} holds a name or a password, and calls with an API key can't send both"]
    if url.query or url.fragment:
        return [f"{name} holds a '?' or '#'; it must be what '/v1/messages' can be added to"]
    return []
