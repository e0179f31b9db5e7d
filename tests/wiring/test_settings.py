from datetime import timedelta

import pytest

from shared.wiring.settings import InvalidSettings, Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings.doubt_grace == timedelta(seconds=60)
    assert settings.max_batch_requests == 100_000
    assert settings.max_batch_bytes == 256_000_000


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_env(
            {"DOCMILL_DOUBT_GRACE_S": "soon", "DOCMILL_MAX_BATCH_REQUESTS": "0"},
            required=("DOCMILL_TABLE",),
        )
    message = str(caught.value)
    assert "\n" not in message
    for name in ("DOCMILL_TABLE", "DOCMILL_DOUBT_GRACE_S", "DOCMILL_MAX_BATCH_REQUESTS"):
        assert name in message


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e9"])
def test_numbers_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(InvalidSettings):
        Settings.from_env({"DOCMILL_DOUBT_GRACE_S": text})


def test_how_often_batches_are_looked_at_follows_the_tier() -> None:
    assert Settings.from_env({}).looks_per_minute == 500
    assert Settings.from_env({"DOCMILL_LOOKS_PER_MINUTE": "2000"}).looks_per_minute == 2000
    with pytest.raises(InvalidSettings, match="LOOKS_PER_MINUTE"):
        Settings.from_env({"DOCMILL_LOOKS_PER_MINUTE": "0"})


def test_the_key_is_not_in_the_repr() -> None:
    assert "sk-canary" not in repr(Settings.from_env({"ANTHROPIC_API_KEY": "sk-canary"}))


def test_an_output_that_would_feed_the_input_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="reports would become documents"):
        Settings.from_env({"DOCMILL_INPUT_BUCKET": "b", "DOCMILL_OUTPUT_BUCKET": "b"})


def test_neither_the_key_nor_a_secret_in_a_gateways_address_is_shown() -> None:
    settings = Settings.from_env(
        {"ANTHROPIC_API_KEY": "canary", "ANTHROPIC_BASE_URL": "https://gateway/canary/"}
    )
    assert "canary" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    "address",
    [
        *("notaurl", "ftp://x", "api.anthropic.com", "http://", "https:///v1", "http://[::1"),
        *("http://me:canary@host", "https://canary@host/v1", "http://host:99999", "http://host:x"),
        *("http://ho st", " http://host", "http://host\n", "http://host/\x00", "http://host/?a=b"),
    ],
)  # fmt: skip
def test_an_address_that_no_call_could_reach_is_refused_without_being_repeated(
    address: str,
) -> None:
    with pytest.raises(InvalidSettings, match="ANTHROPIC_BASE_URL") as caught:
        Settings.from_env({"ANTHROPIC_BASE_URL": address})
    assert "canary" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "address",
    ["", "http://127.0.0.1:8377", "https://gateway.example/anthropic/", "http://[::1]:80"],
)
def test_any_address_that_a_path_can_be_added_to_is_taken(address: str) -> None:
    assert Settings.from_env({"ANTHROPIC_BASE_URL": address}).base_url == address


@pytest.mark.parametrize("key", ["canary x", "canary\n", "canaryé", "canary\x7f"])
def test_a_key_that_can_not_be_sent_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(InvalidSettings, match="ANTHROPIC_API_KEY holds") as caught:
        Settings.from_env({"ANTHROPIC_API_KEY": key})
    assert "canary" not in str(caught.value)


def test_the_numbers_of_a_fault_are_written_out() -> None:
    with pytest.raises(InvalidSettings, match="a number from 1,000 to 256,000,000, not '1'"):
        Settings.from_env({"DOCMILL_MAX_BATCH_BYTES": "1"})
    with pytest.raises(InvalidSettings, match=r"a number from 0\.01 to 3,600, not '0'"):
        Settings.from_env({"DOCMILL_POLL_INTERVAL_S": "0"})
