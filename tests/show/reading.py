"""HTML as a reader meets it: its words, and what is in it."""

from __future__ import annotations

from html.parser import HTMLParser

# Elements that end a word: text on both sides of them is not one word.
BLOCKS = {"div", "p", "td", "th", "tr", "li", "br", "b", "i", "u", "summary", "details", "code", "pre",
          "small", "strong"}


class Reader(HTMLParser):
    """Collects the words, the elements and their attributes; text of `style` is no words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.skipping = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.elements.append((tag, dict(attrs)))
        self.skipping = tag in ("style", "script")
        self.pieces += [" "] if tag in BLOCKS else []

    def handle_endtag(self, tag: str) -> None:
        self.skipping = False
        self.pieces += [" "] if tag in BLOCKS else []

    def handle_data(self, data: str) -> None:
        self.pieces += [] if self.skipping else [data]

    @property
    def text(self) -> str:
        """The words in their order, one space between them."""
        return " ".join("".join(self.pieces).split())


def words(text: str) -> set[str]:
    """The words of a text without the punctuation around them."""
    return {word for word in (piece.strip(",:;()") for piece in text.split()) if word}
