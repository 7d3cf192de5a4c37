"""Naughty text and documents at a terminal: taken, or refused with exit code 2 and a reason; told on lines of printable
characters, none of which somebody else made.
"""

import json
import os
from pathlib import Path

import pytest

from statecore.cli import DATABASE
from tests.desk import Desk
from tests.naughty import DOCUMENTS, KEPT, TEXTS, document, one_line_each, small, storable
from tests.playground import QUICK

CLASSES = pytest.mark.parametrize("kind", TEXTS)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capsys, monkeypatch)


# -- documents


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_that_fits_no_contract_is_refused_at_every_edge(desk: Desk, kind: str) -> None:
    """As the input of a run from a file, from standard input and from a request, as a configuration, and as an export:
    exit code 2 or an error with a bounded text, no run, and no traceback.
    """
    for text in DOCUMENTS[kind]:
        file = desk.here / "given"
        file.write_bytes(text)
        begun = desk.here / "begun"
        begun.write_bytes(b'{"statecore_export":1}\n' + text + b"\n")
        for said in (
            desk("run", QUICK, "--input", "given"),
            desk("run", QUICK, "--input", "-", stdin=text),
            desk("import", "given"),
            desk("import", "begun") if text.strip() else desk("import", "given"),
        ):
            assert said.code == 2 and said.err.startswith("error: "), said
            assert len(said.both) < 100_000
            one_line_each(said.both.rstrip("\n").split("\n"))
    assert not Path(DATABASE).exists() or desk("runs", "--json").json == []


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_where_a_configuration_is_expected_stops_nothing_else(desk: Desk, kind: str) -> None:
    """It is refused by its name, or says nothing that the library asks for."""
    desk.run()
    for text in DOCUMENTS[kind]:
        Path("statecore.toml").write_bytes(text)
        said = desk("resume")
        assert said.code == 0 or (said.code == 2 and "statecore.toml" in said.err), said
        assert desk("runs").code == 0


CONFIGURATIONS = [
    "a = " + "[" * 100_000,
    "workflows = " + "[" * 2000 + "]" * 2000,
    "x = " + "9" * 5000,
    "x = " + "{a=" * 5000,
    "[log]\nkeep = nan",
    "[log]\nkeep = '1e400d'",
    "[log]\nkeep = ''",
    "log = []",
    "workflows = {}",
    "workflows = [[]]",
    "\ufeffworkflows = []",
    "workflows = ['\x1b]0;t\a:X']",
]


@pytest.mark.parametrize("text", CONFIGURATIONS, ids=lambda text: repr(text[:20]))
def test_a_configuration_that_cannot_be_right_is_named(desk: Desk, text: str) -> None:
    """Whatever is wrong with it: exit code 2, and the file is named."""
    desk.run()
    Path("statecore.toml").write_text(text)
    Path("given").write_text("{}")
    for command in (["resume"], ["run", QUICK, "--input", "given"]):
        said = desk(*command)
        assert said.code == 2
        one_line_each(said.both.rstrip("\n").split("\n"))


@CLASSES
def test_a_name_in_the_configuration_is_noted_on_one_line(desk: Desk, kind: str) -> None:
    """A workflow of any name is one that does not load: it is said, and stops nothing."""
    desk.run()
    refs = [text for text in TEXTS[kind] if storable(text)]
    Path("statecore.toml").write_text("workflows = " + json.dumps(refs, ensure_ascii=False).replace("\x7f", "\\u007f"))
    said = desk("resume")
    assert said.code == 0
    one_line_each(said.both.rstrip("\n").split("\n"))
    assert all(line.startswith("note: ") for line in said.err.splitlines())


@pytest.mark.parametrize("text", KEPT)
def test_an_odd_document_that_is_right_is_taken(desk: Desk, text: bytes) -> None:
    """Strict is not narrow: line ends, escapes and zeros that JSON allows are read."""
    said = desk("run", QUICK, "--input", "-", "--json", stdin=text)
    assert (said.code, said.json["condition"]) == (0, "completed")


# -- the command line


@CLASSES
def test_what_is_typed_is_shown_on_lines_of_printable_characters(desk: Desk, kind: str) -> None:
    """As input, tenant, id, name, reason: what is told has as many lines as it would with harmless text, and each of
    them is printable.
    """
    desk.run()
    for text in TEXTS[kind]:
        said = desk("run", QUICK, "--input", "-", stdin=document(text))
        assert said.code == (0 if storable(text) else 2)
        one_line_each(said.both.rstrip("\n").split("\n"))
        if storable(text):
            assert len(said.out.splitlines()) == 3 and len(said.err.splitlines()) == 7, said
    for text in small(TEXTS[kind]):
        if "\0" in text:
            continue  # no shell can type it
        for command in (
            ["run", QUICK, "--input", "{}", f"--tenant={text}"],
            ["run", QUICK, f"--input=no{text}"],
            ["show", "--", f"{text}o"],  # no id that is drawn has an o: as it is, `1` may be how a run begins
            ["cancel", f"--by={text}", f"--why={text}", "--", "nobody"],
            ["answer", f"--by={text}", f"--why={text}", "--", "r", text, text],
            ["export", "--", f"no{text}"],
            ["check", "--", text],
            [text],
        ):
            said = desk(*command)
            assert said.code == (0 if "--tenant" in command[-1] and storable(text) else 2), (command, said)
            one_line_each(said.both.rstrip("\n").split("\n"))
    assert desk("verify").code == 0
    one_line_each(desk("runs").out.rstrip("\n").split("\n"))


def test_what_is_no_file_is_not_imported(desk: Desk) -> None:
    """A device has no end, and a pipe may never speak: neither keeps the log."""
    os.mkfifo("pipe")
    for name in ("pipe", "/dev/zero"):
        said = desk("import", name)
        assert said.code == 2 and "no regular file" in said.err
