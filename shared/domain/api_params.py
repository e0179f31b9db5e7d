"""Which parameters of the Messages API a recipe may send in a batch.

What is not known here goes through: the API learns new parameters faster than this file does.
"""

# Refused in a batch: platform.claude.com/docs/en/build-with-claude/batch-processing
NOT_IN_BATCHES = frozenset(
    {
        "stream",
        "speed",
        "store",
        "previous_thread_event_id",
        "cache_hint",
        "context_hint",
        "fallbacks",
        "research_preview_2026_02",
    }
)
# Refused by the API version the SDK sends: platform.claude.com/docs/en/api/migration-2026-10-21
API_VERSION = "2026-10-21"
SAMPLING = frozenset({"temperature", "top_p", "top_k"})

# For a hint only: what is easily put beside `model` in a recipe instead of under `params`.
USUAL_PARAMS = frozenset(
    {
        "cache_control",
        "container",
        "context_management",
        "inference_geo",
        "mcp_servers",
        "metadata",
        "output_config",
        "service_tier",
        "stop_sequences",
        "thinking",
        "tool_choice",
        "tools",
    }
)


def why_refused(key: str, value: object = None) -> str | None:
    """Why the parameter can't be sent, and what to do; None when it can."""
    match key:
        case "model" | "max_tokens" | "system":
            return f"has its own place; write '{key}:' beside 'params:', not below it"
        case "messages":
            return "docmill writes it from the prompt below the front matter; remove it"
        case "betas":
            return "no parameter but a header, which docmill sets where it is needed; remove it"
        case "billing_policy" if isinstance(value, dict):
            to_user = value.get("bill_to") == "user_profile"
            return "bill_to: user_profile fails in a batch; remove it" if to_user else None
    if key in NOT_IN_BATCHES:
        return "the Message Batches API refuses it; remove it"
    if key in SAMPLING:
        return f"API version {API_VERSION}, which is used, refuses it; remove it"
    return None
