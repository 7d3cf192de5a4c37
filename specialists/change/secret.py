"""What looks like a secret, and how to speak of text that may hold one.

Known forms (a private key's header, the tokens of large providers) are found anywhere; a password is found where it
is assigned as a literal (`password = "..."`, `DB_PASSWORD=...`) and looks random. Weaknesses: a password of plain
words is not seen, nor one in a binary file, nor one whose assignment spans lines or is bare YAML; a random test value
is taken for a secret. Entropy is Shannon's, in bits for each character of the value.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

import attrs

TEXT_LIMIT = 300
"""Characters of a name, a subject or a message that enter a payload."""

MIN_ENTROPY = 3.0
"""English words reach about 2.5 to 3 at this length, random letters and digits 3.5 and more."""

_FORMS: tuple[tuple[str, str], ...] = (
    ("private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    ("AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{30,255}|\bgithub_pat_[A-Za-z0-9_]{22,255}"),
    ("GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{16,}"),
    ("Google API key", r"\bAIza[0-9A-Za-z_-]{35}"),
    ("Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    ("OpenAI key", r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{0,100}[A-Za-z0-9]{20}[A-Za-z0-9_-]{0,200}"),
    ("npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("PyPI token", r"\bpypi-AgE[A-Za-z0-9_-]{40,}"),
)
_KNOWN = re.compile("|".join(f"({form})" for _, form in _FORMS))

_WORD = r"pass(?:word|wd|phrase)|pwd|secret|token|api_?key|access_?key|private_?key|credential"
_QUOTED = re.compile(
    rf"""(?P<word>{_WORD})s?["']?\]?\s*(?::\s*[A-Za-z_.]{{1,40}}\s*)?(?:=|:=?|=>)\s*"""
    r"""[bru]{0,2}(?P<mark>["'])(?P<value>[^"'\s]{8,500})(?P=mark)""",
    re.IGNORECASE,
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@'\"]{0,100}:(?P<value>[^\s/@'\"]{8,200})@")
_BARE = re.compile(
    r"^(?:export\s+)?[A-Z0-9_]{0,60}(?P<word>PASSWORD|PASSWD|PWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL)[A-Z0-9_]{0,20}="
    r"(?P<value>[A-Za-z0-9+/=_~!@#%^&*-]{12,500})\s*$"
)
_STAND_IN = re.compile(
    r"example|change.?me|placeholder|dummy|redacted|your[-_]|password|secret|xxx|\*\*\*|\.\.\.|[<{$%]", re.IGNORECASE
)


@attrs.frozen
class Secret:
    """`value` is for finding it elsewhere and must enter no payload; `hint` may."""

    kind: str
    value: str = attrs.field(repr=False)

    @property
    def hint(self) -> str:
        return f"looks like a {self.kind} ({len(self.value)} characters, not shown here)"


def secrets_in(line: str) -> Iterator[Secret]:
    """Each stretch of the text that looks like a secret."""
    for match in _KNOWN.finditer(line):
        yield Secret(_FORMS[(match.lastindex or 1) - 1][0], match[0])
    for form in (_QUOTED, _BARE, _URL):
        for match in form.finditer(line):
            if _looks_random(match["value"]):
                kind = "password in a URL" if form is _URL else f"literal {match['word'].lower()}"
                yield Secret(kind, match["value"])


def _looks_random(value: str) -> bool:
    mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return mixed and entropy(value) >= MIN_ENTROPY and not _STAND_IN.search(value)


def entropy(text: str) -> float:
    """Bits for each character, by the frequencies in the text itself."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def redact(text: str, values: frozenset[str] = frozenset()) -> str:
    """The text without what looks like a secret, and without the `values` known from elsewhere."""
    found = [(secret.value, secret.kind) for secret in secrets_in(text)]
    for value, kind in sorted([*found, *((value, "secret") for value in values)], key=lambda each: -len(each[0])):
        text = text.replace(value, f"[{kind} not shown]")
    return text


def printable(raw: bytes | str) -> str:
    """Text for a payload: bytes that are no UTF-8 as `\\xff`; control, format and unassigned characters as escapes,
    so that a name can neither break a line nor turn the direction of what stands beside it."""
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else ascii(c)[1:-1] for c in text)


def shown(raw: bytes | str, values: frozenset[str] = frozenset(), limit: int = TEXT_LIMIT) -> str:
    """Foreign text as it may enter a payload: printable, without secrets, bounded by leaving out of its middle, since
    the end of a path says what the file is."""
    text = redact(printable(raw), values)
    return text if len(text) <= limit else f"{text[: limit - 103]}...{text[-100:]}"
