"""How many ways lead through a function: McCabe's number, counted in the syntax tree.

Run as a program by `risk`, in a process of its own: foreign source can exhaust Python's parser, and parsing holds the
interpreter that an engine runs on. One JSON line for each file on stdin, `{"source": TEXT, "spans": [[first, length],
...]}`; one JSON line out for each, `[[name, line, branches], ...]` of the functions that a span touches, or null
where the source does not parse.

T. J. McCabe, "A Complexity Measure", IEEE TSE 2(4), 1976. Counted: if, for, while, except, case (not the bare `_`),
assert, the conditional expression, each further operand of and/or, and each for and if of a comprehension.
"""

import ast
import json
import sys
from collections.abc import Iterator

_ONE = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Assert, ast.IfExp)
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def measured(source: str, spans: list[list[int]]) -> list[tuple[str, int, int]]:
    """(name, line, branches) of each touched function. Raises SyntaxError, and what else the parser raises."""
    return [
        (name, node.lineno, branches(node)) for name, node in _functions(ast.parse(source)) if _touched(node, spans)
    ]


def _functions(tree: ast.AST) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function with its dotted name, nested ones too. A loop, not a recursion: a tree can be deep."""
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        prefix, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (*_FUNCTION, ast.ClassDef)):
                name = f"{prefix}{child.name}"
                waiting.append((f"{name}.", child))
                if isinstance(child, _FUNCTION):
                    yield name, child
            else:
                waiting.append((prefix, child))


def _touched(node: ast.FunctionDef | ast.AsyncFunctionDef, spans: list[list[int]]) -> bool:
    last = node.end_lineno or node.lineno
    return any(first <= last and node.lineno < first + length for first, length in spans)


def branches(function: ast.AST) -> int:
    """One, and one more for each decision. What a nested function decides counts for the nested function alone."""
    count, waiting = 1, list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        count += _weight(node)
        if not isinstance(node, _FUNCTION):
            waiting.extend(ast.iter_child_nodes(node))
    return count


def _weight(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.match_case):
        return 0 if isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None and node.guard is None else 1
    return int(isinstance(node, _ONE))


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = measured(asked["source"], asked["spans"])
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            answer = None
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
