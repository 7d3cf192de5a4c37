"""Pictures of charts: what is in them, that nothing lies on anything else, and that text stays text."""

import os
import random
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from attrs import frozen
from syrupy.assertion import SnapshotAssertion

from statecore.chart import Chart
from statecore.declare import Compound, History, Parallel, State, any_state
from statecore.graph import draw, layout
from statecore.layout import Box, Layout, Line, Spot, arrange
from statecore.messages import Completed, Done, Failed, Signal
from statecore.scan import scan
from statecore.specialist import Effect, Specialist, specialist


@frozen
class Ticket:
    body: str


@frozen
class Draft:
    body: str


@frozen
class Review:
    score: float


@frozen
class Stop:
    why: str


def work(name: str, takes: type, gives: type, effect: Effect = "pure") -> Specialist[Any, Any]:
    def fn(value: Any) -> Any: ...

    fn.__annotations__ = {"value": takes, "return": gives}
    return specialist(name, version="1", effect=effect)(fn)


def approved(review: Review) -> bool:
    return review.score > 0.5


write = work("write_reply", Ticket, Draft)
critic = work("critic", Draft, Review, "idempotent")
send = work("send_reply", Draft, Review, "once")


class Reply:
    """Answer a ticket; a person clicks before anything is sent."""

    drafting = State(write, initial=True, attempts=3, fallback=[work("backup", Ticket, Draft)], says="writing")
    reviewing = State(critic, timeout=60)
    sending = State(send)
    sent = State(final=True)
    unsure = State(final=True, outcome="partial", says="a person reads it")
    escalated = State(final=True, outcome="failed")

    drafted = drafting.to(reviewing, on=Completed[Draft])
    accepted = reviewing.to(sending, on=Completed[Review], cond=approved)
    redo = reviewing.to(drafting, on=Completed[Review], at_most=3, says="back to the writer")
    doubted = reviewing.to(unsure, on=Completed[Review])
    polish = drafting.to(drafting, on=Signal[Stop], at_most=2)
    delivered = sending.to(sent, on=Completed[Review])
    stopped = any_state.to(escalated, on=Signal[Stop])
    gave_up = any_state.to(escalated, on=Failed)


class Nested:
    """Read the code and the tests side by side; a pause comes back to where it was."""

    preparing = State(write, initial=True)

    class both(Parallel):
        class left(Compound):
            """The code."""

            reading = State(write, initial=True)
            judging = State(critic)
            seen = State(final=True)
            was = History()
            read = reading.to(judging, on=Completed[Draft])
            again = judging.to(reading, on=Completed[Review], at_most=2)
            judged = judging.to(seen, on=Completed[Review], cond=approved)

        class right(Compound):
            listing = State(write, initial=True)
            running = State(send)
            ran = State(final=True)
            listed = listing.to(running, on=Completed[Draft])
            passed = running.to(ran, on=Completed[Review])

        back = History(deep=True)

    paused = State(write)
    merged = State(final=True)
    broken = State(final=True, outcome="failed")

    prepared = preparing.to(both, on=Completed[Draft])
    hold = both.to(paused, on=Signal[Stop])
    resume = paused.to(both.back, on=Completed[Draft], at_most=3)
    finished = both.to(merged, on=Done)
    tests_broken = both.right.running.to(broken, on=Failed)
    gave_up = any_state.to(broken, on=Failed)


def many(count: int) -> Chart:
    """A chart of `count` states in a row, every third of which leads back, and each of which can fail."""
    states = [State(critic, initial=index == 0) for index in range(count)]
    body: dict[str, Any] = {f"state_{index}": state for index, state in enumerate(states)}
    body |= {"done": State(final=True), "failed": State(final=True, outcome="failed")}
    for index, (state, after) in enumerate(pairwise([*states, body["done"]])):
        body[f"next_{index}"] = state.to(after, on=Completed[Review])
    for index in range(3, count, 3):
        body[f"back_{index}"] = states[index].to(states[index - 3], on=Completed[Review], at_most=2)
    body["gave_up"] = any_state.to(body["failed"], on=Failed)
    return scan(type("Many", (), body), Ticket, "1")


REPLY, NESTED, MANY = scan(Reply, Ticket, "2"), scan(Nested, Ticket, "1"), many(15)
SVG = "{http://www.w3.org/2000/svg}"
charts = pytest.mark.parametrize("chart", [REPLY, NESTED, MANY], ids=lambda chart: chart.name)
FORMATS = ("mermaid", "md", "svg")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("chart", [REPLY, NESTED], ids=lambda chart: chart.name)
def test_picture(chart: Chart, format: Any, snapshot: SnapshotAssertion) -> None:
    """A chart is drawn as it was drawn when a person last looked at it."""
    assert draw(chart, format) == snapshot


@pytest.mark.parametrize("format", FORMATS)
def test_picture_of_a_run(format: Any, snapshot: SnapshotAssertion) -> None:
    """A run's picture is that of its chart with the states it is in and the way it came."""
    assert draw(REPLY, format, current=("reviewing",), taken=["drafted", "redo", "drafted"]) == snapshot


def test_other_format() -> None:
    """A format that there is not is refused, with those that there are."""
    with pytest.raises(ValueError, match="format='dot', expected mermaid, md, svg"):
        draw(REPLY, "dot")  # type: ignore[arg-type]


@pytest.mark.parametrize("format", FORMATS)
@charts
def test_every_name_occurs(chart: Chart, format: Any) -> None:
    """No state and no transition is missing in any format."""
    names = {node.name for node in chart.nodes.values()} | {a.name.rpartition("/")[2] for a in chart.arrows}
    text = draw(chart, format)
    if format == "svg":
        found = {element.text for element in shown(text)}
    else:
        found = set(re.findall(r'(?:"|`|/| : )(\w+)', text))
    assert names - found == set()


@charts
def test_any_state_is_one_line(chart: Chart) -> None:
    """A transition from any state is drawn and listed once, however many states that are."""
    assert len([arrow for arrow in chart.arrows if arrow.name == "gave_up"]) > 1
    assert draw(chart, "mermaid").count("gave_up") == 1
    assert [line for line in draw(chart, "md").splitlines() if line.startswith("| `gave_up` | any state |")]
    assert [element.text for element in shown(draw(chart, "svg"))].count("gave_up") == 1


class Halting:
    one = State(write, initial=True)
    two = State(critic)
    three = State(send)
    four = State(critic)
    five = State(critic)
    done = State(final=True)
    halted = State(final=True, outcome="failed")
    first = one.to(two, on=Completed[Draft])
    then = two.to(three, on=Completed[Review])
    after = three.to(four, on=Completed[Review])
    late = four.to(five, on=Completed[Review])
    last = five.to(done, on=Completed[Review])
    halt = (one | two | three | four).to(halted, on=Failed)


def test_many_sources_are_one_line() -> None:
    """A transition from four places that are not all leaves one pill that names them."""
    texts = [element.text for element in shown(draw(scan(Halting, Ticket, "1"), "svg"))]
    assert texts.count("halt") == 1
    assert "one, two, three, four" in texts


@charts
def test_boxes_do_not_overlap(chart: Chart) -> None:
    """No two boxes share a spot, unless one is inside the other, and then it is all inside."""
    plan = layout(chart)
    assert set(chart.nodes) <= set(plan.boxes)
    assert collisions(plan, {key: node.parent for key, node in chart.nodes.items()}) == []


@charts
def test_labels_lie_free(chart: Chart) -> None:
    """No label covers a state without an inside, or another label, and each line has one."""
    plan, holders = layout(chart), {node.parent for node in chart.nodes.values()}
    leaves = [box for key, box in plan.boxes.items() if key not in holders]
    labels = list(plan.labels.values())
    assert [label for label in labels for box in leaves if label.overlaps(box)] == []
    assert [pair for pair in combinations(labels, 2) if pair[0].overlaps(pair[1])] == []
    assert len(labels) == len(plan.paths) - sum(key.endswith(".") for key in plan.paths)


@charts
def test_everything_is_on_the_page(chart: Chart) -> None:
    """Nothing is outside of the picture."""
    plan = layout(chart)
    page = Box(0, 0, plan.width, plan.height)
    assert [key for key, box in {**plan.boxes, **plan.labels}.items() if not within(box, page)] == []


@pytest.mark.parametrize("seed", range(60))
def test_any_layout_is_readable(seed: int) -> None:
    """Whatever leads to whatever, across borders too: nothing overlaps, and no line runs through a box or a label."""
    spots, lines = drawing(random.Random(seed))
    plan, parents = arrange(spots, lines), {spot.key: spot.parent for spot in spots}
    assert collisions(plan, parents) == []
    sizes = {line.key: (line.width, line.height) for line in lines if line.height}
    assert {key: (label.width, label.height) for key, label in plan.labels.items()} == sizes
    solid = {key: box for key, box in plan.boxes.items() if key not in parents.values()} | plan.labels
    assert [pair for pair in combinations(plan.labels.values(), 2) if pair[0].overlaps(pair[1])] == []
    through = {
        (line.key, key)
        for line in lines
        for x, y in trace(plan, line)
        for key, box in solid.items()
        if key != line.key and box.overlaps(Box(x - 1, y - 1, 2, 2)) and key not in (line.source, line.target)
    }
    assert through == set()


def test_run_is_marked() -> None:
    """The states a run is in and the transitions it took are marked, counted from two on; unknown ones are left out."""
    svg = draw(REPLY, "svg", current=("reviewing", "gone"), taken={"drafted": 2, "redo": 1, "gone": 5})
    groups = [(group.get("class", ""), "".join(group.itertext())) for group in root(svg).iter(f"{SVG}g")]
    now = [text for kind, text in groups if "now" in kind.split()]
    assert now == ["attempts 1, timeout 60 sreviewingcritic@1idempotent"]
    taken = " ".join(text for kind, text in groups if kind == "taken")
    assert "drafted \N{MULTIPLICATION SIGN}2" in taken and "redo" in taken and "accepted" not in taken


HOSTILE = "</text><script>alert(1)</script>\"'&amp;]]>\x00|`%%{x}\n--> [*] ;#"


def shaped(name: str, says: str) -> Chart:
    """A chart of one shape, whatever it says."""
    start, end = State(write, initial=True, says=says), State(final=True, says=says)
    body = {"__doc__": says, name: start, f"{name}1": end, f"{name}2": start.to(end, on=Completed[Draft], says=says)}
    return scan(type(name, (), body), Ticket, "1")


def test_the_version_keeps_its_distance_in_any_font() -> None:
    """It stands behind the name in one text, so that it begins where the name really ends."""
    (heading,) = (text for text in ElementTree.fromstring(draw(REPLY, "svg")).iter() if text.get("class") == "heading")
    (version,) = heading
    assert (version.get("dx"), version.get("x"), version.text) == ("10", None, f"version {REPLY.version}")


def test_hostile_text_stays_text_in_svg() -> None:
    """Names and sentences make no elements and no attributes, and are read back as they were."""
    hostile, tame = HOSTILE.replace("/", "\\").replace("\x00", ""), "tame"
    evil, good = root(draw(shaped(hostile, HOSTILE), "svg")), root(draw(shaped(tame, tame), "svg"))
    assert Counter((e.tag, *e.attrib) for e in evil.iter()) == Counter((e.tag, *e.attrib) for e in good.iter())
    assert hostile in {element.text for element in evil.iter(f"{SVG}text")}


def test_hostile_text_stays_text_elsewhere() -> None:
    """Names and sentences make no lines and no marks in Mermaid, and no tags and no cells in tables."""
    evil, good = shaped(HOSTILE.replace("/", "\\").replace("\x00", ""), HOSTILE), shaped("tame", "tame")
    drawn, same = draw(evil, "mermaid").splitlines(), draw(good, "mermaid").splitlines()
    assert len(drawn) == len(same)
    words = [re.sub(r"#\d+;", "", line) for line in drawn if "classDef" not in line]
    assert [line for line in words if set(line) & set("#;%{<`")] == []
    rows, tame = (draw(chart, "md").partition("## States")[2].splitlines() for chart in (evil, good))
    assert [cells(row) for row in rows] == [cells(row) for row in tame]
    assert not [row for row in rows if "<" in re.sub("`[^`]*`", "", row)]


def test_same_chart_same_bytes() -> None:
    """Two processes that hash differently draw the same."""
    code = "from tests.test_graph import *; print([draw(c, f) for c in (REPLY, NESTED, MANY) for f in FORMATS])"
    outputs = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        outputs.add(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout)
    assert len(outputs) == 1 and outputs != {b""}


def root(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def shown(svg: str) -> list[ElementTree.Element]:
    return list(root(svg).iter(f"{SVG}text"))


def cells(row: str) -> int:
    return row.replace("\\|", "").count("|")


def within(inner: Box, outer: Box) -> bool:
    across = outer.x <= inner.x and inner.x + inner.width <= outer.x + outer.width
    return across and outer.y <= inner.y and inner.y + inner.height <= outer.y + outer.height


def collisions(plan: Layout, parents: dict[str, str | None]) -> list[tuple[str, str | None]]:
    """Boxes that overlap, of those with nothing inside or those in one body; and those that stick out of theirs."""
    wrong: list[tuple[str, str | None]] = []
    for a, b in combinations(plan.boxes, 2):
        solid = not {a, b} & set(parents.values())
        beside = a in parents and b in parents and parents[a] == parents[b]
        wrong += [(a, b)] if (solid or beside) and plan.boxes[a].overlaps(plan.boxes[b]) else []
    return wrong + [(a, p) for a, p in parents.items() if p and not within(plan.boxes[a], plan.boxes[p])]


def drawing(rng: random.Random) -> tuple[list[Spot], list[Line]]:
    """Any places in any places, and any lines between them."""
    spots: list[Spot] = []
    for index in range(14):
        parent = rng.choice(spots).key if index > 2 and rng.random() < 0.4 else None
        spots.append(Spot(f"s{index}", parent, rng.choice([90, 220]), rng.choice([38, 50]), tall=rng.random() < 0.2))
    lines = {}
    for _ in range(22):
        a, b, height = rng.choice(spots).key, rng.choice(spots).key, rng.choice([0, 23, 38])
        lines[a, b] = Line(f"{a}>{b}", a, b, 90 if height else 0, height)
    for index in range(3):
        target = rng.choice(spots[:14])
        spots.append(Spot(f"near{index}", target.parent, 60, 20, near=True))
        size = (80, 20) if index % 2 else (0, 0)
        lines[spots[-1].key, target.key] = Line(f"line{index}", spots[-1].key, target.key, *size)
    return spots, list(lines.values())


def trace(plan: Layout, line: Line) -> list[tuple[float, float]]:
    """Points on a line as it is drawn, without its ends; a line to its own source is not traced."""
    points = []
    for (x1, y1), (x2, y2) in pairwise(plan.paths[line.key]) if line.source != line.target else ():
        for t in (step / 16 for step in range(17)):
            y = y1 + (y2 - y1) * (1.5 * t * (1 - t) + t**3)
            points.append((x1 + (x2 - x1) * (3 * t**2 - 2 * t**3), y))
    return points
