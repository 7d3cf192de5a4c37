"""Foreign text in Markdown: it may look like anything and must mean nothing.

CommonMark and GitHub's extension of it: every ASCII punctuation character may be escaped; a pipe ends a table cell
even in a code span; `www.`, `https:`, `@name` and `#1` link by themselves. So what could begin any of these becomes a
numeric entity.
"""

import re

_PLAIN = re.compile(r"[\w./ +=,-]+")
_SPECIAL = re.compile(r"""[\\`*_{}\[\]()<>#!|~&@:$^"']|\bwww(?=\.)""", re.IGNORECASE)


def text(foreign: str) -> str:
    """One line of prose in which nothing is markup."""
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0][0])};{match[0][1:]}", " ".join(foreign.split()))


def code(foreign: str) -> str:
    """A name as a code span; one with characters that could end the span or the table cell as escaped prose."""
    return f"`{foreign}`" if _PLAIN.fullmatch(foreign) and foreign.strip() == foreign else text(foreign)
