"""A report as a page, made from the model's Markdown, which may be written to do harm.

HTML in the Markdown is text. Links lead to the web or to mail only, and say where; pictures become
their description, as fetching one tells somebody that the page was opened, and what its address
holds. Should anything get by, the page's own policy allows no script, no frame, no form and nothing
to be loaded.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, MutableMapping, Sequence
from functools import cache
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

_STYLE: Final = """
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c1c1c; background: #fff; overflow-wrap: break-word; }
h1, h2, h3 { line-height: 1.25; margin: 1.6em 0 .5em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { border: 1px solid #ccc; padding: .3em .6em; text-align: left; vertical-align: top; }
pre, code { font: .9em ui-monospace, monospace; background: #f4f4f4; }
pre { padding: .8em; overflow-x: auto; }
blockquote { margin: 1em 0; padding-left: 1em; border-left: 3px solid #ccc; color: #555; }
.cut { background: #fff3cd; padding: .5em .8em; }
.leads, .picture, footer { color: #666; font-size: .85em; }
footer { margin-top: 3rem; border-top: 1px solid #ccc; }
@media print { body { margin: 0; max-width: none; } }
"""
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
    "; base-uri 'none'; form-action 'none'"
)
HTML_BEGINS: Final = (
    b'<!doctype html>\n<html>\n<head>\n<meta charset="utf-8">\n'
    b'<meta name="generator" content="docmill">\n'
)

_SCHEMES: Final = ("http", "https", "mailto")


def render_page(facts: Mapping[str, object], fields: Mapping[str, Any], text: str) -> bytes:
    """The whole page. `facts` are docmill's, by name; `fields` what the answer has besides."""
    title = escape(str(facts["document"]))
    cut = '<p class="cut">The answer was cut short.</p>\n' if facts["truncated"] else ""
    page = (
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'{_table(fields)}{cut}<main dir="auto">\n{_markdown().render(text)}</main>\n'
        f"<footer>\n{_table(facts)}</footer>\n</body>\n</html>\n"
    )
    return HTML_BEGINS + page.encode("utf-8", "replace")


def _table(values: Mapping[str, object]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(_shown(value))}</td></tr>\n"
        for name, value in values.items()
    )
    return f"<table>\n{rows}</table>\n" if rows else ""


def _shown(value: object) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


@cache
def _markdown() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # noqa: PLC0415 - 70 ms, where a page is made

    made = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable("table")
    made.validateLink = _is_safe  # type: ignore[method-assign]
    made.add_render_rule("image", _picture)
    made.add_render_rule("link_open", _link_open)
    made.add_render_rule("link_close", _link_close)
    return made


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    return parts.scheme.lower() in _SCHEMES and bool(parts.netloc or parts.path)


Rule = Sequence["Token"]


def _picture(
    renderer: "RendererHTML",
    tokens: Rule,
    place: int,
    options: Any,
    env: MutableMapping[str, Any],
) -> str:
    shown = renderer.renderInlineAsText(tokens[place].children, options, env)
    return f'<span class="picture">[picture: {escape(shown)}]</span>'


def _link_open(
    renderer: "RendererHTML",
    tokens: Rule,
    place: int,
    options: Any,
    env: MutableMapping[str, Any],
) -> str:
    token = tokens[place]
    env.setdefault("links", []).append(str(token.attrs.get("href", "")))
    token.attrs = {"href": token.attrs.get("href", ""), "rel": "nofollow noopener noreferrer"}
    return renderer.renderToken(tokens, place, options, env)


def _link_close(
    _renderer: "RendererHTML",
    _tokens: Rule,
    _place: int,
    _options: Any,
    env: MutableMapping[str, Any],
) -> str:
    """Where the link leads stands behind it: its words may say something else."""
    url = env["links"].pop()
    return f'</a> <span class="leads">({escape(urlsplit(url).netloc or url)})</span>'
