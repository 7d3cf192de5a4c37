"""A prompt: a text file beside the module that declares who is told it.

It is read once, when the module is, and is the system prompt as it stands: no template, nothing put in. Its file may say
whose version it is (`prompts/triage@3.md`), and is refused beside another: an edited prompt wants a new version, and a
file of its own. What was read is known by its digest.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import attrs

from statecore.errors import DefinitionError

SHORT = 12
"""Digits of a digest that a list shows: enough to tell two files apart."""


@attrs.frozen
class Prompt:
    """`name`: that of its file, without version and ending. `version`: of the specialist that is told it. `digest`:
    sha256 over the bytes of the file, as 64 hex digits.
    """

    name: str
    version: str
    text: str = attrs.field(repr=False)
    digest: str

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def short(self) -> str:
        return self.digest[:SHORT]


def read_prompt(
    path: str | os.PathLike[str], version: str, beside: str | None, wrong: Callable[[str], DefinitionError]
) -> Prompt:
    """`beside`: the file of the module that names the prompt; None where there is none (a notebook, a terminal), and
    the working directory stands in for it. `wrong`: puts the fault into the words of whoever declares.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise wrong(f'prompt={path!r}, expected the path of a text file: write prompt="prompts/triage@{version}.md"')
    file = (Path(beside).resolve().parent if beside else Path.cwd()) / path
    name, said = _named(file.name)
    if said and version not in said:
        raise wrong(
            f"the prompt {file} says version {said[-1]}, expected {version}, that of the specialist: an edited"
            " prompt wants a new version, and a file of its own"
        )
    try:
        data = file.read_bytes()
        text = data.decode()
    except UnicodeDecodeError as fault:
        raise wrong(f"the prompt {file} is not UTF-8 at byte {fault.start}: save it as UTF-8") from None
    except OSError as fault:
        raise wrong(
            f"expected the prompt in {file}, found no file that can be read ({fault.strerror}): put it beside the module"
            " that declares the specialist, or name its absolute path"
        ) from None
    if not text.strip():
        raise wrong(f"expected the prompt in {file}, found an empty file: say what the model is to do")
    return Prompt(name, version, text, hashlib.sha256(data).hexdigest())


def _named(file: str) -> tuple[str, tuple[str, ...]]:
    """The name of a prompt, and what its file may say for a version: all behind the `@`, and that without the ending,
    which begins with a letter, so that the `.2` of `triage@1.2` is none.
    """
    name, at, said = file.partition("@")
    if not at:
        return Path(file).stem, ()
    bare, _, ending = said.rpartition(".")
    return name, (said, bare) if bare and ending[:1].isalpha() else (said,)
