"""What a recipe wants back: how a report is written, and the fields an answer has to have."""

import zlib
from enum import StrEnum
from typing import Any, Final

import msgspec

from shared.domain.record import Record
from shared.domain.sent_schema import sent

REPORT_FIELD: Final = "report"
"""In an answer with fields, the text that becomes the report; with `output: json` there is none."""


class Output(StrEnum):
    """What a report is written as."""

    MARKDOWN = "markdown"
    JSON = "json"
    TEXT = "text"
    HTML = "html"

    @property
    def suffix(self) -> str:
        """What a report's name ends in, behind the document's whole name."""
        return _SUFFIXES[self]


_SUFFIXES: Final = {
    Output.MARKDOWN: ".md",
    Output.JSON: ".json",
    Output.TEXT: ".txt",
    Output.HTML: ".html",
}
_WORDS: Final = {
    Output.MARKDOWN: "The whole report, in Markdown.",
    Output.TEXT: "The whole report, as plain text.",
    Output.HTML: "The whole report, in Markdown.",
}


class AnswerForm(Record, frozen=True, kw_only=True):
    """The form of a recipe's answers. `fields` are whole schemas by name, in the order asked for.

    It is kept with a batch, as the recipe may be another one by the time the answers come.
    """

    output: Output = Output.MARKDOWN
    fields: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """What a report's name ends in."""
        return self.output.suffix

    @property
    def keeps_text(self) -> bool:
        """Whether a report holds the answer word for word, to be read from it once more."""
        return not self.fields and self.output in (Output.MARKDOWN, Output.TEXT)

    @property
    def schema(self) -> dict[str, Any]:
        """What an answer has to be; only where there are fields.

        The report comes first: what is judged in the fields then follows from what was written.
        """
        report: dict[str, Any] = {}
        if self.output is not Output.JSON:
            report[REPORT_FIELD] = {"type": "string", "description": _WORDS[self.output]}
        properties = {**report, **self.fields}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    @property
    def sent_format(self) -> dict[str, Any]:
        """`output_config.format` of a request."""
        return {"type": "json_schema", "schema": sent(self.schema)}

    def packed(self) -> bytes:
        """As it is kept with a batch; empty for Markdown without fields."""
        return b"" if self == AnswerForm() else zlib.compress(msgspec.json.encode(self))

    @classmethod
    def unpacked(cls, data: bytes) -> "AnswerForm":
        """The form that was packed; of a batch from before there were any, Markdown."""
        return msgspec.json.decode(zlib.decompress(data), type=cls) if data else cls()
