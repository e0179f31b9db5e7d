"""For each built-in recipe an answer as a careful person would write it for one of its samples, and
what must not pass: a change to that answer, and the place that is named for it."""

from typing import Any

GOOD: dict[str, dict[str, Any]] = {
    "project-analysis": {"report": "## Project Overview\n\nA rate limiter.\n", "score": 5},
    "contract-review": {
        "report": "## In Short\n\nFor Parcelhawk B.V.: contract, Brackwater Haulage Limited\n",
        "document_type": "draft_or_template",
        "parties": ["Brackwater Haulage Limited", "Parcelhawk B.V."],
        "signed": "some_parties",
        "effective_date": None,
        "end_date": None,
        "renewal": "conflicting",
        "notice_days": None,
        "governing_law": "England and Wales",
        "obligations": [
            {
                "whose": "ours",
                "what": "Tender eighteen swap bodies each Working Night or pay 70% for each fewer",
                "due": "each Working Night",
                "place": "clause 3.3",
            }
        ],
        "risks": [
            {
                "severity": "high",
                "what": "An indemnity outside every cap, whoever caused the loss",
                "quote": "Clauses 7.2 and 7.4 do not apply to this indemnity.",
                "place": "clause 7.3",
            }
        ],
        "risks_high": 1,
        "missing_clauses": ["Data protection"],
        "needs_lawyer_now": True,
    },
    "code-review": {
        "report": "## Verdict\n\nrequest_changes: a receipt can carry SQL\n",
        "verdict": "request_changes",
        "findings": [
            {
                "file": "dispatcher/webhooks.py",
                "line": 43,
                "severity": "critical",
                "category": "security",
                "title": "A receipt's status and tracking number become SQL",
                "why": "A status of x', owner = 'y writes any column of any parcel.",
                "suggestion": "Pass the three values as parameters.",
                "confidence": "certain",
            }
        ],
    },
    "classification": {
        "label": "cancellation",
        "runner_up": "billing",
        "confidence": 0.9,
        "evidence": "Consider this our notice.",
    },
    "translation": {
        "report": "# Paketereignisse empfangen {#start}\n",
        "source_language": "en",
        "status": "translated",
        "questions": [{"source": "2 h 26 min", "question": "36 min + 2 h is 2 h 36 min?"}],
    },
    "seo-content": {
        "report": "## Outline\n\n- Webhook retries, explained\n",
        "title": "Webhook retry: what to expect and how to cope",
        "meta_description": (
            "How webhook retries work, why an event may come twice, and how one stored id keeps "
            "your shop from acting on it again."
        ),
        "slug": "webhook-retry",
        "primary_keyword": "webhook retry",
        "secondary_keywords": ["webhook idempotency", "duplicate webhook events"],
        "search_intent": "informational",
        "internal_links": [{"anchor": "store event ids", "url": "/docs/webhooks#idempotency"}],
        "words": 690,
        "open_points": ["What supports 'the most reliable delivery API in Europe'?"],
    },
    "business-report": {
        "report": "## Headline\n\nCash fell by EUR 113,210.40.\n",
        "area": "finance",
        "period": "2026-11-24",
        "compared_with": "2026-11-23",
        "status": "act",
        "headline": "Cash of Parcelhawk B.V. fell by EUR 113,210.40 in a day.",
        "anomalies": [
            {
                "where": "Parcelhawk UK Ltd, revenue",
                "value": "-2140.00",
                "what": "Negative; the note says credit notes",
                "severity": "high",
            }
        ],
        "data_problems": ["The Total row adds GBP to EUR"],
    },
}

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("project-analysis", {"score": 11}, "score"),
    ("project-analysis", {"score": "5/10"}, "score"),
    ("project-analysis", {"report": " "}, "report"),
    ("contract-review", {"effective_date": "January 2026"}, "effective_date"),
    ("contract-review", {"renewal": "evergreen"}, "renewal"),
    ("contract-review", {"notice_days": -1}, "notice_days"),
    ("contract-review", {"risks": [{"severity": "grave"}]}, "risks[0]"),
    ("contract-review", {"advice": "sign it"}, "the answer"),
    ("code-review", {"verdict": "LGTM"}, "verdict"),
    ("code-review", {"findings": [{"file": "a.py", "line": 0}]}, "findings[0]"),
    ("classification", {"label": "praise"}, "label"),
    ("classification", {"confidence": 95}, "confidence"),
    ("translation", {"status": "done"}, "status"),
    ("translation", {"questions": ["which tone?"]}, "questions[0]"),
    ("seo-content", {"title": "w" * 61}, "title"),
    ("seo-content", {"meta_description": "Too short."}, "meta_description"),
    ("seo-content", {"slug": "Webhook_Retry"}, "slug"),
    ("business-report", {"status": "red"}, "status"),
    ("business-report", {"headline": "h" * 141}, "headline"),
]
