"""Which provider an output's batches are at: its address and key are remembered, as hashes alone.

A listing elsewhere doesn't show them, and would prove that they don't exist: they would be paid
for twice.
"""

import hashlib
import json
import secrets
from urllib.parse import urlsplit, urlunsplit

from handlers.cli.faults import Fault
from shared.domain.batch import LIVE, BatchStatus
from shared.domain.policy import EVER
from shared.ports.store import Store
from shared.wiring.laptop import JOB, utc_now
from shared.wiring.settings import Settings

PROVIDER = "provider"
"""Its name among the job's settings."""

_DEFAULT = "https://api.anthropic.com"
"""Where the SDK goes without ANTHROPIC_BASE_URL (`anthropic._client`)."""

_SENT = tuple(status for status in LIVE if status is not BatchStatus.PLANNED)
_HEX = 16
"""Digits of a hash that are kept: enough to tell two apart, too few to prove a guess by."""


def provider_notes(store: Store, settings: Settings) -> tuple[str, ...]:
    """What to know before batches that are under way are asked for.

    Raises Fault when they are at another address. A key may be rotated, so another is only said.
    """
    job = store.job(JOB)
    if job is None or PROVIDER not in job.settings:
        return ()
    was = json.loads(job.settings[PROVIDER])
    now = _hashes(settings, was["salt"])
    if was == now or not _under_way(store):
        return ()
    if was["address"] != now["address"]:
        raise Fault(
            "batches of this output are under way at another address; finish or cancel them with "
            "the ANTHROPIC_BASE_URL that they were submitted with"
        )
    note = (
        "ANTHROPIC_API_KEY is another than the last run's: the batches under way are visible to "
        "keys of the same workspace only"
    )
    return (note,)


def provider_text(settings: Settings) -> str:
    """What to remember of the provider, in which neither address nor key can be read."""
    return json.dumps(_hashes(settings, secrets.token_hex(_HEX)))


def _hashes(settings: Settings, salt: str) -> dict[str, str]:
    def hashed(value: str) -> str:
        return hashlib.sha256((salt + value).encode()).hexdigest()[:_HEX]

    address = hashed(_plain(settings.base_url or _DEFAULT))
    return {"salt": salt, "address": address, "key": hashed(settings.api_key)}


def _plain(address: str) -> str:
    """Two spellings of an address that lead to the same place are one."""
    url = urlsplit(address)
    return urlunsplit((url.scheme, url.netloc.lower(), url.path.rstrip("/"), "", ""))


def _under_way(store: Store) -> bool:
    far = utc_now() + EVER
    return any(store.due(status, now=far, limit=1) for status in _SENT)
