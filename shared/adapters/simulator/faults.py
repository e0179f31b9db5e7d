"""Faults on demand: a script that is consumed call by call, and rates for rows."""

from dataclasses import dataclass, field
from enum import StrEnum

from shared.adapters.simulator.messages import ApiError, Cut, Framing


class Call(StrEnum):
    """The methods of the Batches API, and the one that counts tokens."""

    CREATE = "create"
    RETRIEVE = "retrieve"
    LIST = "list"
    CANCEL = "cancel"
    DELETE = "delete"
    RESULTS = "results"
    COUNT_TOKENS = "count_tokens"


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@dataclass(slots=True, kw_only=True)
class Fault:
    """What goes wrong with the next `times` calls of a kind.

    Either `status` (an error answer, nothing done) or `cut` (the connection ends before the
    effect, after it without an answer, or in the results after `lines` lines). `times` None is
    always; `rate` is the share of calls that it strikes. With `after_effect` the error answer comes
    although the work is done, as a 500 may. `delay_s` holds the answer back, also without a fault.
    """

    call: Call
    status: int | None = None
    cut: Cut | None = None
    times: int | None = 1
    lines: int = 0
    message: str = "simulated"
    error_type: str | None = None
    error_code: str | None = None
    retry_after: str | None = None
    rate: float = 1.0
    after_effect: bool = False
    framing: Framing = Framing.CHUNKED
    delay_s: float = 0.0

    def error(self) -> ApiError | None:
        """The error answer, if that is the fault."""
        if self.status is None:
            return None
        headers = {} if self.retry_after is None else {"retry-after": self.retry_after}
        return ApiError(
            self.status,
            self.error_type or _TYPES.get(self.status, "api_error"),
            self.message,
            error_code=self.error_code,
            headers=headers,
        )


@dataclass(slots=True, kw_only=True)
class Faults:
    """Everything that goes wrong; the default is nothing.

    Rates are shares of rows, decided by the seed when a batch is created, among rows whose
    custom_id holds `containing`; `invalid_rate` is of structured answers. `not_found_s` is how
    long a new batch answers 404, `listing_lag_s` how long it is missing from listings.
    `wrong_counts` adds to the count of succeeded rows. Of the results of each batch, `lost_lines`
    are left out, and the other `…_lines` are added.
    """

    script: list[Fault] = field(default_factory=list)
    error_rate: float = 0.0
    error_type: str = "api_error"
    error_message: str = "simulated"
    containing: str = ""
    refusal_category: str | None = "cyber"
    expire_rate: float = 0.0
    refuse_rate: float = 0.0
    truncate_rate: float = 0.0
    pause_rate: float = 0.0
    overflow_rate: float = 0.0
    invalid_rate: float = 0.0
    out_of_credit: bool = False
    spend_limit: bool = False
    tier_limit: bool = False
    not_found_s: float = 0.0
    listing_lag_s: float = 0.0
    wrong_counts: int = 0
    duplicate_lines: int = 0
    malformed_lines: int = 0
    stray_lines: int = 0
    lost_lines: int = 0

    def next_for(self, call: Call, draw: float = 0.0) -> Fault | None:
        """Take the next scripted fault of this call; `draw` is below the rate of what strikes."""
        for place, fault in enumerate(self.script):
            if fault.call is call and draw < fault.rate:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        del self.script[place]
                return fault
        return None
