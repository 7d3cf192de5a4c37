"""What an operator sees of runs that have everything at once: every reading command, on every run, at every event."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from statecore import Engine
from statecore.replay import turns_of
from statecore.switches import switch
from statecore.testing.virtual import VirtualClock, run_virtual
from statecore.transfer import exported
from tests.desk import Desk
from tests.mill import Lasting, Milling, Order, Rush, finish

MILLING = "tests.mill:Milling"
WHO = ("--by", "me", "--why", "w")


async def everything() -> bytes:
    """An export of a run that is over (`done`), one in the middle (`open`), a fork of each, one that was cancelled, one
    that a guard holds.
    """
    log = Lasting()
    async with Engine(log, [Milling], clock=VirtualClock()) as engine:
        await engine.start(Milling, Order("oak"), run="done", tenant="acme")
        await finish(engine, "done")
        for run in ("open", "gone"):
            await engine.start(Milling, Order("elm"), run=run)
        await asyncio.sleep(3.5)
        await engine.signal("open", Rush("soon"), by="ben", id="1")
        await engine.cancel("gone", by="ops", why="enough")
        await engine.fork("done", (await turns_of(log, "done"))[1].version, by="ana", why="again", new="forked")
        await engine.fork("open/both/work/making#1/asked", 7, by="ana", why="alone", new="alone")
        await switch(log, "stamp", False, 0.0, by="ana", why="it hangs")
        await engine.reconfigure()
        await engine.start(Milling, Order("ash"), run="held")
        await asyncio.sleep(3.5)
    return b"\n".join([line async for line in exported(log)])


@pytest.fixture(scope="module")
def lines() -> bytes:
    return run_virtual(everything())


@pytest.fixture
def desk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, lines: bytes
) -> Iterator[Desk]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    desk = Desk(tmp_path, capfd, monkeypatch)
    Path("statecore.toml").write_text(f'workflows = ["{MILLING}"]\n')
    Path("all.jsonl").write_bytes(lines)
    assert desk("import", "all.jsonl").code == 0
    return desk


RUNS = ("done", "open", "forked", "alone", "gone", "held")


def all_runs(desk: Desk) -> dict[str, dict[str, object]]:
    return {line["run"]: line for line in desk("runs", "--json").json}


def test_every_run_is_shown_as_it_was_after_each_event(desk: Desk) -> None:
    """In words and as JSON; none falls over, and the last of them is the run as it is."""
    for run, line in all_runs(desk).items():
        events = int(str(line["events"]))
        for at in range(1, events + 1):
            said = desk("show", run, "--at", str(at))
            assert said.code == 0 and said.out.startswith(f"run       {run}  "), said.both
        assert desk("show", run, "--json").json == desk("show", run, "--at", str(events), "--json").json
        assert desk("log", run).code == desk("messages", run).code == 0
        assert [turn["version"] for turn in map(json.loads, desk("log", run, "--json").out.splitlines())][-1] == events
        assert all(message["to"] for message in desk("messages", run, "--json").json)


def test_whose_child_a_run_is(desk: Desk) -> None:
    """Children stand below their parents; the fork of a child is nobody's, and its own root."""
    runs = all_runs(desk)
    assert {name: (line["parent"], line["root"]) for name, line in runs.items() if "/" not in name} == {
        name: ("", name) for name in RUNS
    }
    assert {name: (line["parent"], line["root"]) for name, line in runs.items() if "/" in name} == {
        name: (name.partition("/")[0],) * 2 for name in runs if "/" in name
    }
    assert len(runs) == 15 and runs["held/both/work/making#1/stamped"]["condition"] == "paused"


def test_a_fork_is_shown_with_its_own_children_and_with_what_is_parked(desk: Desk) -> None:
    """Not with those of the old run; of its plan, what somebody has to find out is said."""
    shown = desk("show", "forked").out
    assert "children  forked/both/work/making#1/asked\n" in shown
    parts = {part["part"]: part for part in desk("show", "forked", "--json").json["plans"]}
    why = "parked: it was in flight in done when that was forked"
    assert {name for name, part in parts.items() if part["why"] == why} == {"stamp", "stamped"}
    assert "children  done/both/work/making#1/asked, done/both/work/making#1/stamped\n" in desk("show", "done").out


def test_who_does_what_and_for_how_long(desk: Desk) -> None:
    """A person has the time they are given, a child as long as it takes, a function its timeout."""
    found = {entry["name"]: entry for entry in desk("specialists", "--json").json}
    at_most = {name: found[name]["places"][0]["timeout"] for name in ("saw", "clerk", "deputy", "Asking")}
    assert at_most == {"saw": 600.0, "clerk": 60.0, "deputy": None, "Asking": None}
    assert "in Milling 1.both/work/making/clerk: first, at most 60 s\n" in desk("specialists", "clerk").out
    assert "in Milling 1.both/work/making/asked: first\n" in desk("specialists", "Asking").out
    busy = {(call["run"], call["status"]) for call in found["stamp"]["calls"]}
    stamped = "held/both/work/making#1/stamped"
    assert busy == {("forked", "unknown"), ("held", "deferred"), (stamped, "deferred")}


def test_every_question_is_asked_once_and_answered_where_it_is_asked(desk: Desk) -> None:
    """Of parents, children and forks; the answer that is printed answers that one, bound to what was shown."""
    asked = {(ask["run"], ask["call"]): ask for ask in desk("asks", "--json").json}
    assert {run for run, _ in asked} == {
        *("open", "forked", "held", "alone"),
        *(f"{run}/both/work/making#1/asked" for run in ("open", "forked", "held")),
    }
    assert len({ask["shown"] for ask in asked.values()}) == len(asked)
    said = desk(
        "answer", "alone", "asking", '{"text": "t"}', *WHO, "--shown", asked["alone", "asking#1/deputy"]["shown"]
    )
    assert said.code == 0 and 'result    Word {"text":"t and sawn elm"}' in said.out
    again = desk("answer", "alone", "asking", '{"text": "t"}', *WHO)
    assert again.code == 2 and "asking#1/deputy of alone is over: me answered it" in again.err
    late = desk("answer", "gone", "both/work/making#1/clerk", '{"text": "t"}', *WHO)
    assert late.code == 2 and "both/work/making#1/clerk of gone is over: the run was cancelled" in late.err


def test_the_declaration_is_checked_and_drawn(desk: Desk) -> None:
    """With its plan, its people and its children."""
    said = desk("check", MILLING)
    assert said.code == 0 and "clerk" in said.out and "Asking" in said.out
    for form in ("mermaid", "md", "svg"):
        drawn = desk("graph", MILLING, "--format", form)
        assert drawn.code == 0 and "making" in drawn.out
    assert "8 open runs, none stuck" in desk("upgrade-check", MILLING).out


def test_all_of_it_is_exported_and_imported_unchanged(desk: Desk) -> None:
    """Into another log: the same runs, the same JSON of each, nothing wrong with them."""
    Path("again.jsonl").write_text(desk("export").out)
    assert desk("import", "again.jsonl", "--db", "other.db").code == 0
    for run in all_runs(desk):
        assert desk("show", run, "--json", "--db", "other.db").json == desk("show", run, "--json").json
    assert desk("verify", "--db", "other.db").out.startswith("15 runs, 15 decided again: nothing wrong")


def test_what_is_erased_and_purged_can_still_be_looked_at(desk: Desk) -> None:
    """The payloads of a run and its children are gone, what happened is not; a fork has values of its own, so it stays."""
    refused = desk("erase", "open", *WHO)
    assert refused.code == 2 and "open is waiting and needs its payloads" in refused.err
    for run in ("done", "gone"):
        said = desk("erase", run, *WHO)
        assert said.code == 0 and f"the payloads of {run} are erased" in said.out
    for run, line in all_runs(desk).items():
        for command in ("show", "log", "messages"):
            assert desk(command, run).code == 0
            assert desk(command, run, "--json").code == 0
        if run.partition("/")[0] in ("done", "gone"):
            assert "oak" not in desk("log", run).out and "elm" not in desk("log", run).out
            assert str(line["condition"]) in ("completed", "cancelled", "partial")
    assert desk("fork", "done", "--at", "4", *WHO).code == 2
    assert desk("verify").out.startswith("15 runs, 9 decided again: nothing wrong")
    assert desk("purge", "--older-than", "0s", *WHO).code == 0
    assert {run.partition("/")[0] for run in all_runs(desk)} == {"open", "forked", "alone", "held"}
    assert "was purged" in desk("show", "done").both
    assert "nothing wrong" in desk("verify").out
