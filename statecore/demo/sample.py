"""A small git repository made on the spot, for where the checkout has no history."""

import subprocess
from pathlib import Path

from specialists.change import ChangeRequest
from specialists.change.git import environment

_BASKET = '''"""The basket of a small shop. Prices are in cents."""


def total(prices: list[int]) -> int:
    return sum(prices)
'''

_DISCOUNT = '''"""The basket of a small shop. Prices are in cents."""

import json


def total(prices: list[int], coupon: str = "", member: bool = False) -> int:
    """What is to be paid, after the coupon."""
    price = sum(prices)
    if coupon == "TENTH" and price > 1000:
        price -= price // 10
    elif coupon == "GIFT" and len(prices) >= 3:
        price -= min(prices)
    if member and (coupon or price > 5000):
        price -= 100
    return max(price, minimum)
'''

_TEST = """from basket import total


def test_total() -> None:
    assert total([100, 250]) == 350
"""

_COMMITS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Start a shop", {"README.md": "# Shop\n"}),
    ("Add up a basket", {"basket.py": _BASKET}),
    ("Test the basket", {"test_basket.py": _TEST}),
    ("Take coupons", {"basket.py": _DISCOUNT, "README.md": "# Shop\n\nTakes coupons: TENTH, GIFT.\n"}),
)
_START = 1_760_000_000
"""Seconds since the epoch, of the first commit; the others follow by the hour."""


def make_sample(directory: str | Path) -> ChangeRequest:
    """A repository of four commits in `directory`, which is made if need be; to be reviewed is the last of them.

    The same commit ids everywhere. Raises FileNotFoundError where there is no git, CalledProcessError where it fails.
    """
    place = Path(directory).absolute()
    place.mkdir(parents=True, exist_ok=True)
    _git(place, "init", "--quiet", "--template=", "--object-format=sha1")
    _git(place, "symbolic-ref", "HEAD", "refs/heads/main")
    _git(place, "fast-import", "--quiet", "--force", given=_stream())
    _git(place, "-c", "core.autocrlf=false", "reset", "--hard", "--quiet", "HEAD")
    return ChangeRequest(str(place), "HEAD")


def _git(place: Path, *arguments: str, given: bytes = b"") -> None:
    plain = {name: value for name, value in environment().items() if name != "GIT_INDEX_FILE"}
    subprocess.run(["git", "-C", str(place), *arguments], input=given, env=plain, check=True, capture_output=True)


def _stream() -> bytes:
    """What `git fast-import` takes: it asks for no user and no clock."""
    lines = ["reset refs/heads/main\n"]
    for hour, (subject, files) in enumerate(_COMMITS):
        lines.append("commit refs/heads/main\n")
        lines.append(f"committer Sample <sample@example.org> {_START + 3600 * hour} +0000\n{_data(subject)}")
        lines += [f"M 100644 inline {name}\n{_data(content)}" for name, content in files.items()]
    return "".join(lines).encode()


def _data(content: str) -> str:
    return f"data {len(content.encode())}\n{content}\n"
