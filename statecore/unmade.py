"""A value that a function returns and that its class does not let it make: with a field left out, or one that is not
there. Seen in the function's text, where there is one, before any run.

Looked at is only what has to raise once it is reached: what a `return` gives. Within a `try` or a `with`, behind a
decorator and in a function inside the function, somebody may answer the fault, and all that is there is left alone.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from typing import Any

from statecore.hints import is_class


@cache
def unmade(fn: Callable[..., Any]) -> str:
    """`Reply(ticket) (missing a required argument: 'topic')`, or "" where nothing such is returned."""
    try:
        known = inspect.getclosurevars(fn)
        (function,) = ast.parse(textwrap.dedent(inspect.getsource(fn))).body
    except (OSError, TypeError, ValueError, SyntaxError):
        return ""
    if not isinstance(function, ast.FunctionDef) or function.decorator_list:
        return ""
    classes = {name: kind for name, kind in {**known.globals, **known.nonlocals}.items() if is_class(kind)}
    made = (call for value in _returned(function.body) for call in _calls(value))
    return next((f"{ast.unparse(call):.80} ({fault})" for call in made if (fault := _fault(call, classes))), "")


def _returned(body: Sequence[ast.stmt]) -> Generator[ast.expr, None, bool]:
    """What the statements return, and whether none behind them is reached."""
    for statement in body:
        match statement:
            case ast.Return(value=value):
                if value is not None:
                    yield value
                return True
            case ast.Raise() | ast.Break() | ast.Continue():
                return True
            case ast.If():
                over = yield from _returned(statement.body)
                if (yield from _returned(statement.orelse)) and over:
                    return True
            case ast.For() | ast.While():
                yield from _returned(statement.body)
                yield from _returned(statement.orelse)
            case ast.Match():
                for each in statement.cases:
                    yield from _returned(each.body)
    return False


def _calls(value: ast.AST) -> Iterator[ast.Call]:
    """The calls that a value is made by; those of a `lambda` are made by whoever calls it."""
    if isinstance(value, ast.Call):
        yield value
    if not isinstance(value, ast.Lambda):
        for inside in ast.iter_child_nodes(value):
            yield from _calls(inside)


def _fault(call: ast.Call, classes: dict[str, Any]) -> str:
    """Why a class does not let itself be called so; "" where it does, or where the text does not say with what."""
    given = {keyword.arg: None for keyword in call.keywords if keyword.arg is not None}
    known = len(given) == len(call.keywords) and not any(isinstance(each, ast.Starred) for each in call.args)
    if not (known and isinstance(call.func, ast.Name) and call.func.id in classes):
        return ""
    try:
        inspect.signature(classes[call.func.id]).bind(*call.args, **given)
    except TypeError as fault:
        return str(fault)
    return ""
