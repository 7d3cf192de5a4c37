"""Finding workflow classes: by REF (`module:Workflow`), by `statecore.toml` or `[tool.statecore]`, by entry point.

Only what a person named is ever imported: a REF on the command line, or the configuration of the working directory.
"""

import importlib
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from statecore.errors import BadInput, DefinitionError, UnknownWorkflow
from statecore.failures import told
from statecore.nearest import meant
from statecore.retention import age
from statecore.workflow import Workflow

GROUP = "statecore.workflows"

KEYS = {"": ("workflows", "log"), "log": ("keep",)}
"""What can be configured, by table."""


class NotInstalled(UnknownWorkflow):
    """The module is there, and another one that it needs is not."""


def workflow(ref: str) -> type[Workflow[Any]]:
    """The class that a REF names. Raises UnknownWorkflow, or DefinitionError where it is there and cannot be right."""
    module_name, colon, name = ref.partition(":")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module_name.split("."))):
        raise UnknownWorkflow(f"{ref!r} names no workflow: expected module:Workflow, as in support:SupportTicket")
    module = _module(module_name, ref)
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, Workflow) and found is not Workflow:
        return found
    there = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Workflow) and value is not Workflow
    ]
    if hidden := _hidden(module):
        raise UnknownWorkflow(f"{ref}: {hidden}")
    what = (
        f"{name} of module {module_name} is no workflow" if found is not None else f"module {module_name} has no {name}"
    )
    raise UnknownWorkflow(f"{ref}: {what}; workflows there: {', '.join(there) or 'none'}{meant(name, there)}")


def _hidden(module: Any) -> str:
    """Where a file of the working directory has the name of a module that was imported before it."""
    mine = Path(*module.__name__.split(".")).with_suffix(".py")
    found = getattr(module, "__file__", None)
    if not mine.is_file() or (found and mine.samefile(found)):
        return ""
    return f"module {module.__name__} is {found or 'a part of Python'}, and {mine} is hidden by it: give that file another name"


def _module(name: str, ref: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except DefinitionError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            if name.endswith(".py"):
                module, _, workflow = ref.partition(":")
                raise UnknownWorkflow(
                    f"{ref}: expected a module, found the name of a file: write {module.removesuffix('.py')}:{workflow}"
                ) from None
            where = f"in {here} or among the installed packages"
            raise UnknownWorkflow(
                f"{ref}: no module {error.name} {where}: check the spelling and the working directory"
            ) from None
        raise NotInstalled(f"{ref}: module {name} needs {error.name}, which is not installed: install it") from None
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {told(error)}" if told(error) else type(error).__name__
        raise UnknownWorkflow(
            f"{ref}: importing module {name} failed: {said} ({_place(error)}): mend the module"
        ) from error


def _place(error: BaseException) -> str:
    """File and line where the innermost frame of user code raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "no place"


def configured() -> tuple[list[type[Workflow[Any]]], list[str]]:
    """The workflows that the working directory and the installed packages name, and what is wrong with those that do
    not load.

    An installed package may name workflows that need more than is installed; those are nobody's fault, and left out.
    """
    listed = _listed()
    found, wrong = [], []
    for ref in dict.fromkeys((*listed, *(point.value for point in entry_points(group=GROUP)))):
        try:
            found.append(workflow(ref))
        except (UnknownWorkflow, DefinitionError) as error:
            if ref in listed or not isinstance(error, NotInstalled):
                wrong.append(str(error))
    return found, [*wrong, *_strange()]


def keep() -> float | None:
    """Seconds that finished runs are kept, as `[log] keep = "30d"` of the working directory says; None: for ever."""
    for file, table in _tables():
        log = table.get("log", {})
        if not isinstance(log, dict):
            raise BadInput(f"{file}: expected [log] to be a table, found {log!r}")
        if "keep" in log:
            try:
                return age(log["keep"])
            except BadInput as error:
                raise BadInput(f"{file}: keep of [log]: {error}") from None
    return None


def _listed() -> list[str]:
    for file, table in _tables():
        listed = table.get("workflows", [])
        if not (isinstance(listed, list) and all(isinstance(ref, str) for ref in listed)):
            raise BadInput(
                f'{file}: expected `workflows` to be a list like ["support:SupportTicket"], found {listed!r}'
            )
        if listed:
            return listed
    return []


def _strange() -> Iterator[str]:
    """Keys that say nothing here, whatever they were meant to say."""
    for file, table in _tables():
        for name, keys in KEYS.items():
            found = table.get(name, {}) if name else table
            for key in found if isinstance(found, dict) else ():
                if key not in keys:
                    of = f" of [{name}]" if name else ""
                    yield f"{file}: nothing is configured by `{key}`{of}, expected {' or '.join(keys)}{meant(key, keys)}"


def _tables() -> Iterator[tuple[Path, dict[str, Any]]]:
    """What `statecore.toml` and `[tool.statecore]` of the working directory say, the first first."""
    for file, keys in ((Path("statecore.toml"), ()), (Path("pyproject.toml"), ("tool", "statecore"))):
        if file.is_file():
            try:
                table = tomllib.loads(file.read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:  # one that no parser gets to the end of is as wrong as any
                raise BadInput(f"{file} cannot be read: {error}: mend it") from None
            for key in keys:
                table = table.get(key, {}) if isinstance(table, dict) else {}
            if isinstance(table, dict):
                yield file, table
