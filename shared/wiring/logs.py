"""Logs are JSON lines of past-tense verbs with ids; never prompts, outputs or keys.

So a traceback names its frames without their variables, which hold all of these.
"""

import logging

import structlog


def configure_logs(level: str) -> None:
    """Write structured logs to standard output, as Lambda expects them."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        cache_logger_on_first_use=True,
    )
