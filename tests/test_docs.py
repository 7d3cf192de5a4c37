"""The documentation is run: what a page shows is what happens, and what is public is on a reference page.

On a page, a `python` block is executed, and where a `text` block follows, that is what it prints. With a title, the
block is first written to that file and imported. A `console` block is typed into bash, and answers what is shown. `...`
stands for anything, a time for any time, and the id of a run for the id that came in its place. The blocks of one page
share a name space and an empty directory; `sh` blocks are only shown.

    python -m tests.test_docs PAGE...

writes into pages what they show now, where it differs. Read the difference: an output that was shortened by `...` is
written in full.
"""

import contextlib
import importlib
import inspect
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import attrs
import click
import pytest

import statecore
from statecore import Engine, cli, errors, events, failures, messages
from statecore.demo import ChangeReview
from statecore.graph import draw

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = ROOT / "docs" / "reference"
SINGLE = [*PAGES, *(ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY"))]

FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
RUN = re.compile(r"\b[0-9a-hjkmnp-tv-z]{12}\b")
"""The id of a run: it has no i, l, o or u, and hardly a word of twelve letters does without."""
VARIES = {
    r"\.\.\.": ".*?",
    r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC",
    r"\b\d\d:\d\d:\d\d\.\d{3}\b": r"\d\d:\d\d:\d\d\.\d{3}",
    r"\b\d+(?:\.\d)? (?:ms|s)\b": r"\d+(?:\.\d)? (?:ms|s)",
    r"\b[0-9a-f]{64}\b": "[0-9a-f]{64}",
    r" {2,}": " {2,}",
}
"""What another day shows otherwise (anything, a date, a time, a duration, a digest, and how far columns are apart), and
what is taken for it."""

TIME = 60.0
"""Seconds that one command of a page may take."""


@attrs.frozen
class Block:
    kind: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in FENCE.finditer(text):
        yield Block(found[1], found[2] or "", found[3], text.count("\n", 0, found.start()) + 2)


def matches(expected: str, found: str, ids: dict[str, str]) -> bool:
    """Whether `found` is what a page shows. `ids`: the run that an id of the page stands for; more are learnt here.

    Space at the ends of lines and around the whole is nobody's concern.
    """
    new: set[str] = set()

    def varying(name: str) -> str:
        if not RUN.fullmatch(name):
            return next(pattern for shown, pattern in VARIES.items() if re.fullmatch(shown, name))
        if name in ids or name in new:
            return ids.get(name, f"(?P=run_{name})")
        new.add(name)
        return rf"(?P<run_{name}>\w{{12}})"

    parts = re.split(f"({RUN.pattern}|{'|'.join(VARIES)})", trimmed(expected))
    wanted = "".join(varying(part) if place % 2 else re.escape(part) for place, part in enumerate(parts))
    same = re.fullmatch(wanted, trimmed(found), re.DOTALL)
    ids.update({name: same[f"run_{name}"] for name in new} if same else {})
    return same is not None


def trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines()).strip("\n")


class Reader:
    """Somebody who types a page in, in an empty directory. `mends`: and puts what is shown now where it differs."""

    def __init__(self, page: Path, mends: bool = False) -> None:
        self.page, self.mends = page, mends
        self.names: dict[str, Any] = {"__name__": "__docs__"}
        self.ids: dict[str, str] = {}
        self.printed: str | None = None

    def read(self) -> None:
        for block in blocks(self.page):
            if block.title:
                Path(block.title).write_text(block.text)
            if block.kind == "python":
                self.python(block)
            elif block.kind == "text" and self.printed is not None:
                self.same("```text\n", block.text, self.printed, block.line)
            elif block.kind == "console":
                self.console(block)
            if block.kind != "python":
                self.printed = None

    def python(self, block: Block) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            if block.title:
                module = importlib.import_module(block.title.removesuffix(".py"))
                self.names.update(vars(module))
            else:
                exec(compile("\n" * (block.line - 1) + block.text, str(self.page), "exec"), self.names)  # noqa: S102
        self.printed = out.getvalue()

    def console(self, block: Block) -> None:
        typed = COMMAND.findall(block.text)
        assert typed, f"{self.page.name}:{block.line}: a console block without a line that begins with `$ `"
        for command, expected in typed:
            real = RUN.sub(lambda shown: self.ids.get(shown[0], shown[0]), command)
            done = subprocess.run(
                ["bash", "-c", real],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(),
                timeout=TIME,
            )
            found = done.stdout.decode()
            assert done.returncode == 0, (
                f"{self.page.name}:{block.line}: `{command}` ended in {done.returncode}:\n{found}"
            )
            self.same(f"$ {command}\n", expected, found, block.line)

    def same(self, what: str, expected: str, found: str, line: int) -> None:
        """`what` stands before the output on the page."""
        if matches(expected, found, self.ids):
            return
        assert self.mends, f"{self.page.name}:{line}: {what}shows\n{found}\nand not\n{expected}"
        for shown, real in zip(dict.fromkeys(RUN.findall(expected)), dict.fromkeys(RUN.findall(found)), strict=False):
            self.ids.setdefault(shown, real)
        shown = {real: shown for shown, real in self.ids.items()}
        told = RUN.sub(
            lambda real: shown.get(real[0], real[0]), re.sub(r"^bash: .*Killed.*$", "...Killed...", found, flags=re.M)
        )
        self.page.write_text(self.page.read_text().replace(what + expected, what + trimmed(told) + "\n", 1))


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STATECORE", "PYTEST", "COV"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb", "LC_ALL": "C.UTF-8"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of a page runs in order, and gives the output that stands below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    try:
        Reader(page).read()
    finally:
        for name in set(sys.modules) - before:
            del sys.modules[name]


def test_a_page_that_shows_something_else_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above fails where a page shows another output than there is, another exit code, or code that raises."""
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    for text in (
        "python\nprint(1)\n```\n\n```text\n2",
        "console\n$ echo 1\n2",
        "console\n$ false",
        "python\nassert 1 == 2",
    ):
        page.write_text(f"```{text}\n```\n")
        with pytest.raises(AssertionError):
            Reader(page).read()


def public() -> dict[str, set[str]]:
    """The reference page of each public name."""
    names = {name for name in dir(statecore) if name[0] != "_"}
    exported = {name for name in names if not inspect.ismodule(getattr(statecore, name))}
    return {
        "python": exported | {name for name in vars(Engine) if name[0] != "_"},
        "errors": {name for name, value in vars(errors).items() if inspect.isclass(value)},
        "failures": {name for name, value in vars(failures).items() if inspect.isclass(value)},
        "events": {kind.__name__ for kind in _members(events.Event)} | {"Payload"},
        "inputs": {(get_origin(kind) or kind).__name__ for kind in _members(messages.Input)} | {"Done"},
    }


def _members(union: UnionType) -> tuple[Any, ...]:
    return get_args(union)


@pytest.mark.parametrize("page", public())
def test_what_is_public_is_on_its_reference_page(page: str) -> None:
    """Each exported name, error, failure, event and input has its place on the reference page of its kind."""
    text = (REFERENCE / f"{page}.md").read_text()
    missing = [name for name in sorted(public()[page]) if not re.search(rf"`{name}\b", text)]
    assert not missing, f"docs/reference/{page}.md says nothing of {', '.join(missing)}"


def test_each_command_and_option_is_on_the_reference_page() -> None:
    """Each command of `statecore` has a heading on the page of the command line, and below it each of its options."""
    text = (REFERENCE / "cli.md").read_text()
    sections = dict(re.findall(r"^## `(\w[\w-]*)`.*?$\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    common = sections.pop("statecore", "")
    assert set(sections) == set(commands())
    for name, command in commands().items():
        taken = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
        options = [option for parameter in taken for option in parameter.opts if option.startswith("--")]
        missing = [option for option in options if f"`{option}" not in sections[name] + common]
        assert not missing, f"docs/reference/cli.md says nothing of {', '.join(missing)} of {name}"


def commands() -> dict[str, click.Command]:
    return {name: command for name, command in cli.cli.commands.items() if not command.hidden}


@pytest.mark.parametrize("page", SINGLE, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_only_what_exists(page: Path) -> None:
    """Each `make` target and `statecore` command that a page names exists, and so does each file that it links to."""
    text = page.read_text()
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|\$ |^)make (\w+)", text, re.MULTILINE)) <= targets
    assert set(re.findall(r"(?:`|\$ |^|bin/)statecore ([a-z][a-z-]+)", text, re.MULTILINE)) <= set(commands())
    links = [link.partition("#")[0] for link in re.findall(r"(?:\]\(|src=\")([^)\s\"]+)", text)]
    gone = [link for link in links if not link.startswith("https://") and not (page.parent / link).exists()]
    assert not gone, f"{page.name} links to {', '.join(gone)}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "how-to").glob("*.md")), ids=lambda page: page.stem)
def test_a_page_can_be_found(page: Path) -> None:
    """Each page that says how to do something is linked on the first page and stands in the site's navigation."""
    name = f"how-to/{page.name}"
    assert f"]({name})" in (ROOT / "docs" / "index.md").read_text()
    assert f'= "{name}"' in (ROOT / "zensical.toml").read_text()


def test_the_picture_is_what_is_drawn_today() -> None:
    """The picture of the README is the demo's workflow as `statecore graph` draws it now."""
    kept = (ROOT / "docs" / "assets" / "change-review.svg").read_text()
    assert kept == draw(ChangeReview.machine.chart, "svg").rstrip("\n") + "\n", "draw it again, as CONTRIBUTING.md says"


def mend(page: Path) -> None:
    with tempfile.TemporaryDirectory() as empty, contextlib.chdir(empty):
        sys.path.insert(0, empty)
        Reader(page, mends=True).read()
        sys.path.remove(empty)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        mend(Path(name).resolve())
