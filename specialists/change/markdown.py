"""Foreign text in Markdown: it may look like anything and must mean nothing.

CommonMark and GitHub's extension of it: ASCII punctuation may be escaped by a backslash; but a pipe ends a table cell
even behind one in a code span, and `www.`, `https://`, `@name` and `#1` link by themselves. Those begin with a
numeric entity."""

import re

_PLAIN = r"[\w./ +=,:-]+"
_SPAN = re.compile(rf"(?<!`)`{_PLAIN}`(?!`)")
_ESCAPED = re.compile(r"[\\`*_{}\[\]()!~$^]")
_ENTITY = re.compile(r"[|<>&@#]|:(?=//)|\bw(?=ww\.)", re.IGNORECASE)


def text(foreign: str) -> str:
    """One line of prose in which nothing is markup, but a plain word in backticks, which stays code."""
    line = " ".join(foreign.split())
    kept, at = [], 0
    for match in _SPAN.finditer(line):
        kept += [_escaped(line[at : match.start()]), match[0]]
        at = match.end()
    return "".join([*kept, _escaped(line[at:])])


def _escaped(foreign: str) -> str:
    escaped = _ESCAPED.sub(lambda match: f"\\{match[0]}", foreign)
    return _ENTITY.sub(lambda match: f"&#{ord(match[0])};", escaped)


def code(foreign: str) -> str:
    """A name as a code span; one with characters that could end the span or the table cell as escaped prose."""
    return f"`{foreign}`" if re.fullmatch(_PLAIN, foreign) and foreign.strip() == foreign else text(foreign)
