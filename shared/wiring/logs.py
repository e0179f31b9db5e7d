"""Logs are JSON lines of past-tense verbs with ids; never prompts, outputs or keys.

So a traceback names its frames without their variables, which hold all of these.
"""

import logging
import os

import structlog
from structlog.typing import EventDict, WrappedLogger


def configure_logs(level: str) -> None:
    """Write structured logs to standard output, as Lambda expects them."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _of_invocation,
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


def _of_invocation(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """Say which function it was, and in which trace: Lambda sets that anew per invocation."""
    if function := os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
        line["function"] = function
        line["trace"] = os.environ.get("_X_AMZN_TRACE_ID", "").partition(";")[0]
    return line
