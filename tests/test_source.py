"""What the source never does, read from its syntax: nothing that comes from outside can become code or a statement."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [file for room in ("statecore", "specialists", "guards") for file in sorted((ROOT / room).rglob("*.py"))]

MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "jsonpickle", "yaml", "code", "codeop", "runpy", "ctypes"}
"""None of them has a use here that is not a way from bytes to code, or around Python's own checks."""

CALLS = {"eval", "exec", "compile", "__import__", "input", "system", "popen", "getoutput", "getstatusoutput"}

IMPORTERS = {"statecore/finding.py": 1, "statecore/__init__.py": 1}
"""Where modules are imported by name, and how often: one that a person typed on the command line or configured, and the
two names of the library that are loaded when they are first asked for."""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Each call with the last part of what is called: `compile` for `compile(...)`, `re.compile` for that one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(name: str, source: str) -> Iterator[str]:
    """What a file does that it may not."""
    tree = ast.parse(source)
    for module in imported(tree):
        if module.split(".")[0] in MODULES or module.startswith("statemachine.io"):
            yield f"imports {module}"
        if module.split(".")[0] == "importlib" and not module.startswith(("importlib.metadata", "importlib.util")):
            importers.append(name)
    for called, node in calls(tree):
        if called in CALLS or called in ("os.system", "os.popen", "subprocess.getoutput"):
            yield f"calls {called}"
        for keyword in node.keywords:
            if keyword.arg == "shell" and not (
                isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            ):
                yield f"calls {called} with shell="
        if called.split(".")[-1].startswith("execute"):
            yield from (f"builds the statement {text}" for text in built(node))


def built(call: ast.Call) -> Iterator[str]:
    """The statement of an `execute` where it is put together: an f-string, a sum, a `%`, a `format` or a `join`."""
    for part in call.args[:1]:
        for node in ast.walk(part):
            if isinstance(node, ast.JoinedStr | ast.BinOp) or (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("format", "join")
            ):
                yield ast.unparse(part)
                return


importers: list[str] = []


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_from_outside_becomes_code(file: Path) -> None:
    """No pickle, marshal, shelve, eval, exec, compile, yaml, shell, `statemachine.io`, and no statement that is built;
    modules are imported by name in one place, by what a person typed.
    """
    importers.clear()
    name = str(file.relative_to(ROOT))
    assert list(faults(name, file.read_text())) == []
    assert len(importers) == IMPORTERS.get(name, 0)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from marshal import loads",
        "import yaml",
        "from statemachine.io import json",
        "eval('1')",
        "exec(text)",
        "compile(text, '', 'exec')",
        "__import__(name)",
        "import os\nos.system('x')",
        "subprocess.run(text, shell=True)",
        "subprocess.run(text, shell=maybe)",
        "db.execute(f'SELECT {x}')",
        "db.executemany('SELECT ' + x)",
        "db.execute_fetchall('SELECT %s' % x)",
        "db.execute('SELECT {}'.format(x))",
        "await_(db.execute(','.join(x)))",
    ],
)
def test_each_of_them_would_be_found(source: str) -> None:
    """The test above sees what it forbids."""
    assert list(faults("x.py", source))


def test_what_only_looks_like_it_is_none() -> None:
    """A compiled regular expression, and values that go as parameters, are fine."""
    fine = "import re, tomllib\nre.compile('x')\ndb.execute('SELECT ?', (x,))\ndb.execute(QUERY, (f'{x}',))\n"
    assert list(faults("x.py", fine + "subprocess.run(['x'], shell=False)")) == []
