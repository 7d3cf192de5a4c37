"""Pictures of a chart: Mermaid for a README, Markdown for people, SVG for a page of its own. All of it read from the
chart.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Literal

from statecore.chart import Chart, Node
from statecore.hints import spelled
from statecore.person import Person
from statecore.plan import Plan
from statecore.svg import layout as layout
from statecore.svg import svg
from statecore.view import Move, View, effect_of, work_of
from statecore.wait import spoken

Format = Literal["mermaid", "md", "svg"]


def draw(
    chart: Chart, format: Format, *, current: tuple[str, ...] = (), taken: Mapping[str, int] | Sequence[str] = ()
) -> str:
    """The chart as text of a format: "mermaid" (stateDiagram-v2), "md" (a page) or "svg" (a file of its own).

    `current`: the paths of the states a run is in. `taken`: the names of the transitions it took, each as often as it
    did, or a count by name. What the chart does not have is left out, so that a run of an older version can be drawn.
    Raises ValueError for another format. The same chart gives the same bytes.
    """
    makers: dict[str, Callable[[View], str]] = {"mermaid": _mermaid, "md": _markdown, "svg": svg}
    if format not in makers:
        raise ValueError(f"format={format!r}, expected {', '.join(makers)}")
    return makers[format](View(chart, current, Counter(taken)))


# Mermaid

_RESERVED = re.compile("state|class|classdef|default|note|scale|direction|end|hide|constructor|prototype", re.I)
_CLASSES = """\
classDef completed fill:#dcfce7,stroke:#16a34a,color:#14532d
classDef failed fill:#fee2e2,stroke:#dc2626,color:#7f1d1d
classDef partial fill:#fef3c7,stroke:#d97706,color:#78350f
classDef pill fill:#f1f5f9,stroke:#94a3b8,color:#475569,stroke-dasharray:4 3
classDef current fill:#dbeafe,stroke:#2563eb,color:#1e3a8a,stroke-width:3px"""


def _mermaid(view: View) -> str:
    ids = _ids([*view.chart.nodes, *view.pills])
    lines = ["stateDiagram-v2", *_mermaid_body(view, ids, None, "    ")]
    lines += [f"    {line}" for line in _CLASSES.splitlines()]
    for pill in view.pills:
        lines.append(f"    class {ids[pill]} pill")
    for path, node in view.chart.nodes.items():
        if path in view.current:
            lines.append(f"    class {ids[path]} current")
        elif node.final and node.parent is None:
            lines.append(f"    class {ids[path]} {node.outcome}")
    return "\n".join(lines) + "\n"


def _ids(keys: Sequence[str]) -> dict[str, str]:
    """A word for each that Mermaid does not read as one of its own."""
    ids: dict[str, str] = {}
    for key in keys:
        word = re.sub(r"\W+", "_", key, flags=re.ASCII).strip("_") or "state"
        while _RESERVED.fullmatch(word) or word in ids.values():
            word += "_"
        ids[key] = word
    return ids


def _plain(text: str) -> str:
    """Text that Mermaid shows as it is; colons too, which its releases before March 2026 refuse in a label."""
    return re.sub(r"[^\w \[\]().,|/@-]", lambda found: f"#{ord(found[0])};", " ".join(text.split()))


def _mermaid_body(view: View, ids: dict[str, str], body: str | None, indent: str) -> list[str]:
    lines: list[str] = []
    parallel = body is not None and view.chart.nodes[body].kind == "parallel"
    for index, node in enumerate(view.chart.children(body)):
        lines += [f"{indent}--"] if parallel and index and node.kind == "compound" else []
        lines += _mermaid_state(view, ids, node, indent)
    lines += [f'{indent}state "{_plain(" ".join(pill.text))}" as {ids[pill.key]}' for pill in view.pills_in(body)]
    lines += [f"{indent}[*] --> {ids[node.path]}" for node in view.starts_in(body)]
    for bundle in view.bundles:
        if view.home(bundle) == body:
            for move in bundle.moves:
                label = _plain(f"{move.name}: {move.detail}{view.times(move)}")
                lines.append(f"{indent}{ids[bundle.source]} --> {ids[bundle.target]} : {label}")
    return lines + [f"{indent}{ids[node.path]} --> [*]" for node in view.chart.children(body) if node.final]


def _mermaid_state(view: View, ids: dict[str, str], node: Node, indent: str) -> list[str]:
    name, word = _plain(node.name), ids[node.path]
    if node.kind in ("compound", "parallel"):
        inside = _mermaid_body(view, ids, node.path, indent + "    ")
        limit = f" ({work_of(node)})" if work_of(node) else ""
        return [f'{indent}state "{name}{limit}" as {word} {{', *inside, f"{indent}}}"]
    if node.kind != "state":
        return [f'{indent}state "{name} ({"H*" if node.kind == "history*" else "H"})" as {word}']
    effect = "" if effect_of(node) in ("", "pure") else f" ({effect_of(node)})"
    return [
        f'{indent}state "{name}" as {word}',
        *([f"{indent}{word} : {_plain(work_of(node) + effect)}"] if work_of(node) else []),
    ]


# Markdown


def _markdown(view: View) -> str:
    chart = view.chart
    states = [node for node in chart.nodes.values() if not node.final]
    ends = [node for node in chart.nodes.values() if node.final]
    parts = [
        f"# {_prose(chart.name)}",
        f"Version {_code(chart.version)}. A run starts with {_code(spelled(chart.takes))}"
        + (f" and may last {spoken(chart.within)}." if chart.within is not None else "."),
        *([_prose(chart.doc)] if chart.doc else []),
        f"```mermaid\n{_mermaid(view)}```",
        "## States",
        _table("state does effect attempts timeout fallback says", [_state_row(view, node) for node in states]),
        "## Transitions",
        _table("transition from on if to says taken", [_move_row(view, move) for move in view.moves]),
        "## Ends",
        _table("end outcome says", [_end_row(view, node) for node in ends]),
    ]
    return "\n\n".join(parts) + "\n"


def _table(columns: str, rows: Sequence[Sequence[str]]) -> str:
    """A table without the columns that say nothing."""
    heads = columns.split()
    kept = [i for i in range(len(heads)) if i == 0 or any(row[i] for row in rows)]
    lines = [[heads[i] for i in kept], ["---"] * len(kept), *([row[i] for i in kept] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _state_row(view: View, node: Node) -> list[str]:
    marks = ("initial" if node in view.starts_in(node.parent) else "", "**now**" if node.path in view.current else "")
    name = _code(node.path) + "".join(f", {mark}" for mark in marks if mark)
    state = node.state
    if state is not None and state.plan is not None:
        return [name, *_plan_cells(state.plan), _cell(node.says)]
    if state is None or state.does is None:
        return [name, _holds(view, node), "", "", "", "", _cell(node.says)]
    fallback = ", ".join(_code(other.id) for other in state.fallback)
    timeout = f"{state.limit:g} s" if state.limit and not isinstance(state.does, Person) else ""
    limit = f", within {spoken(node.within)}" if node.within is not None else ""
    called = state.does.called(state.does.id)
    does = [_code(called) + limit, effect_of(node), str(state.attempts), timeout, fallback]
    return [name, *does, _cell(node.says)]


def _plan_cells(plan: Plan) -> list[str]:
    """What the calls of a plan are, and after which."""
    does = [
        _code(part.id) + (f" after {', '.join(map(_code, part.after))}" if part.after else "") for part in plan.parts
    ]
    calls = f"a plan of up to {plan.at_most} calls" if plan.make else "a plan"
    effects, attempts, limits = (
        ", ".join(dict.fromkeys(each))
        for each in (
            [part.does.effect for part in plan.parts],
            [str(part.attempts) for part in plan.parts],
            [f"{part.timeout:g} s" for part in plan.parts],
        )
    )
    fallback = ", ".join(dict.fromkeys(_code(other.id) for part in plan.parts for other in part.fallback))
    return [f"{calls}: {', '.join(does)}", effects, attempts, limits, fallback]


def _holds(view: View, node: Node) -> str:
    """What a place without work of its own is for."""
    inside = ", ".join(_code(inner.name) for inner in view.chart.children(node.path))
    where = _code(node.parent) if node.parent else "the workflow"
    texts = {
        "compound": f"one of {inside}",
        "parallel": f"all at once: {inside}",
        "history": f"goes back to where {where} was left",
        "history*": f"goes back to where {where} was left, at every depth",
    }
    text = work_of(node) if node.state and node.state.wait else texts.get(node.kind, "waits")
    return text if node.within is None else f"{text}, within {spoken(node.within)}"


def _move_row(view: View, move: Move) -> list[str]:
    body = f" of {_code(move.body)}" if move.body else ""
    source = f"any state{body}" if move.everywhere else ", ".join(_code(source) for source in move.sources)
    asked = ", ".join(filter(None, (_code(move.arrow.condition) if move.arrow.condition else "", move.bound)))
    count = view.taken.get(move.arrow.name, 0)
    cells = [_code(move.arrow.name), source, _code(move.arrow.on), asked, _code(move.arrow.target)]
    return [*cells, _cell(move.arrow.says), str(count or "")]


def _end_row(view: View, node: Node) -> list[str]:
    name = _code(node.path) + (", **now**" if node.path in view.current else "")
    return [name, f"ends {_code(node.parent)}" if node.parent else node.outcome, _cell(node.says)]


def _code(text: str) -> str:
    """A code span, in a table too."""
    return f"`{' '.join(text.replace('`', chr(39)).replace('|', chr(92) + '|').split())}`"


def _prose(text: str) -> str:
    """What an author wrote, with its code spans, and with no tags and links."""
    spans = re.split(r"(`[^`\n]*`)", text)
    return "".join(span if i % 2 else escape(span, quote=False).replace("[", "\\[") for i, span in enumerate(spans))


def _cell(text: str) -> str:
    return _prose(" ".join(text.split())).replace("|", "\\|")
