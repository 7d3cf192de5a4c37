"""Prompts: files beside the module that declares who is told them."""

import hashlib
from pathlib import Path

import pytest

from specialists.prompt import Prompt, read_prompt
from statecore.errors import DefinitionError


def read(path: object, version: str = "3", beside: str | None = None) -> Prompt:
    return read_prompt(path, version, beside, DefinitionError)  # type: ignore[arg-type]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "triage@3.md").write_bytes(b"Say {what}\r\n  it is about: \xc3\xa9.\n")
    return tmp_path


def test_a_prompt_is_its_file_to_the_byte(here: Path) -> None:
    """Nothing is filled in, trimmed or translated; the digest is that of the file, and a repr has the digest alone."""
    prompt = read("prompts/triage@3.md", beside=str(here / "shop.py"))
    data = (here / "prompts" / "triage@3.md").read_bytes()
    assert prompt.text.encode() == data and prompt.digest == hashlib.sha256(data).hexdigest()
    assert (prompt.id, prompt.short) == ("triage@3", prompt.digest[:12])
    assert "about" not in repr(prompt) and prompt.digest in repr(prompt)


def test_a_prompt_is_found_beside_its_module(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the process works; by its absolute path too, and in the working directory where no module has a file."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    beside = read("prompts/triage@3.md", beside=str(here / "shop.py"))
    assert read(here / "prompts" / "triage@3.md", beside="/nowhere/shop.py") == beside
    with pytest.raises(DefinitionError):
        read("prompts/triage@3.md")
    monkeypatch.chdir(here)
    assert read("prompts/triage@3.md") == beside


@pytest.mark.parametrize(
    ("name", "version", "id"),
    [
        ("plain.md", "3", "plain@3"),
        ("plain", "3", "plain@3"),
        ("p@1.2.md", "1.2", "p@1.2"),
        ("p@1.2", "1.2", "p@1.2"),
        ("p@2026-01.txt", "2026-01", "p@2026-01"),
        ("p@1.rc1", "1.rc1", "p@1.rc1"),
    ],
)
def test_a_file_may_say_its_version_and_need_not(here: Path, name: str, version: str, id: str) -> None:
    """With an ending or without, and with a point in it."""
    (here / name).write_text("Do.")
    assert read(here / name, version).id == id


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("prompts/triage@4.md", ("says version 4, expected 3", "wants a new version")),
        ("prompts/triage@3.1", ("says version 3.1, expected 3",)),
        ("prompts/triage@3.1.md", ("says version 3.1, expected 3",)),
        ("prompts/gone.md", ("expected the prompt in", "found no file", "put it beside the module")),
        ("prompts", ("found no file that can be read",)),
        ("prompts/empty.md", ("found an empty file", "say what the model is to do")),
        ("prompts/latin.md", ("is not UTF-8 at byte 1",)),
        ("", ("expected the path of a text file",)),
        (None, ("expected the path of a text file",)),
    ],
)
def test_what_is_no_prompt_is_refused(here: Path, path: str | None, told: tuple[str, ...]) -> None:
    """With the fault, what was expected, what was found, and the remedy."""
    (here / "prompts" / "empty.md").write_text(" \n")
    (here / "prompts" / "latin.md").write_bytes("dé".encode("latin-1"))
    with pytest.raises(DefinitionError) as refused:
        read(path, beside=str(here / "shop.py"))
    assert all(part in str(refused.value) for part in told)
