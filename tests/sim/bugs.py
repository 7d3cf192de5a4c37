"""Bugs to be found: each is the product with one place of its source rewritten.

A planted bug says which text it changes, and that text has to be there: so none of these can rot into changing nothing.
"""

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import attrs


@attrs.frozen
class Bug:
    """`where` is `module:function` or `module:Class.method`; `was` is found in its source once and becomes `is_now`."""

    name: str
    where: str
    was: str
    is_now: str

    @contextmanager
    def planted(self) -> Iterator[None]:
        module = importlib.import_module(self.where.partition(":")[0])
        *owners, name = self.where.partition(":")[2].split(".")
        owner: Any = module
        for each in owners:
            owner = getattr(owner, each)
        with patch.object(owner, name, self._rewritten(owner, name)):
            yield

    def _rewritten(self, owner: Any, name: str) -> Any:
        """The function anew, which looks its names up where the old one does, wherever it was imported to."""
        was = inspect.getattr_static(owner, name)
        function = inspect.unwrap(was.fget if isinstance(was, property) else was)
        text = textwrap.dedent(inspect.getsource(function))
        assert text.count(self.was) == 1, f"{self.where} has {self.was!r} {text.count(self.was)} times: mend the bug"
        names: dict[str, Any] = {}
        exec(compile(text.replace(self.was, self.is_now), f"<{self.name}>", "exec"), function.__globals__, names)  # noqa: S102
        return names[name]


DECIDER, LOG = "statecore.decider:_Turn.", "statecore.sqlite:SqliteLog."
TURNS, ACTS, HELD = "statecore.turns:Turns.", "statecore.acts:Acts.", "statecore.held:HeldRuns."
CHILDREN = "statecore.children:Children."
COUNTED = """self.waits = {id: len(set(node.after)) for id, node in self.nodes.items()}
    for id, node in self.nodes.items():
        for before in set(node.after):"""
"""Both places that count what a part waits for."""

BUGS = (
    Bug(
        "an append is lost",
        LOG + "append",
        "turns: tuple[Turn, ...] = await self._queued(",
        "self.lost = getattr(self, 'lost', 0) + 1\n    if self.lost == 9:\n"
        "        return tuple(place(each, Head(each.append.expected), 0) for each in drafts_of(batch, self._salts))\n"
        "    turns = await self._queued(",
    ),
    Bug(
        "an append is acknowledged before its commit",
        LOG + "_write",
        "outcomes = self._plan(jobs)\n",
        "outcomes = self._plan(jobs)\n"
        "        [j.done.set_result(o) for j, o in zip(jobs, outcomes) if not j.done.done() and isinstance(o, tuple)]\n",
    ),
    Bug("the expected version is not compared", "statecore.sqlite:SqliteLog._plan", "check(job.batch", "(job.batch"),
    Bug(
        "a commit is not one transaction",
        "statecore.sqlitefile:committing",
        "several = len(statements) > 1",
        "several = False",
    ),
    Bug(
        "a cut call is forgotten by a cancellation",
        HELD + "_end_with",
        'if call.effect == "once" and',
        "if False and",
    ),
    Bug(
        "a conflict is swallowed",
        TURNS + "append",
        "self._core.ledger.forget(append.stream, append.events)\n        raise",
        "return",
    ),
    Bug(
        "a call is dispatched before its commit",
        TURNS + "take",
        "turn = await self.append(",
        "held.run, was = after, held.run; core.acts.act(held, after.at); held.run = was\n"
        "            turn = await self.append(",
    ),
    Bug(
        "a call is dispatched twice",
        ACTS + "act",
        "if key not in held.flights:",
        "if key not in held.flights or (call.rank == 0 and call.attempt == 2):",
    ),
    Bug("work goes on that nobody needs", ACTS + "act", "core.flights.dispatcher.stop_one(flight)", "pass"),
    Bug(
        "a timer is never set",
        ACTS + "_set_timers",
        "not in held.timers:",
        "not in held.timers and not any((c.id, c.wake) == key and c.attempt > 1 for c in waiting):",
    ),
    Bug("a timer fires early", ACTS + "_set_timers", "key[1] - begun)", "(key[1] - begun) / 2)"),
    Bug(
        "a timer believes the wall clock",
        ACTS + "_set_timers",
        "max(now, held.run.calls[key[0]].since) if taken_up else now",
        "core.clock.now()",
    ),
    Bug(
        "a deferred call is forgotten at resume",
        HELD + "_take_up_call",
        "elif call.status is CallState.DEFERRED and call.wake is None:",
        "elif False:",
    ),
    Bug(
        "a call that a crash cut is dispatched as if it was new",
        HELD + "_take_up_call",
        "await take(held, Interrupted(call.id, now()))",
        "pass",
    ),
    Bug("what a guard holds back is not asked for again", ACTS + "moved", "self.ask_again_soon()", "pass"),
    Bug(
        "a run that begins is held twice",
        HELD + "holding",
        "if beginning := self.starting.get(run):",
        "if beginning := None:",
    ),
    Bug("resume forgets the paused", "statecore.engine:Engine.resume", "labels=OPEN", "labels=OPEN - {'paused'}"),
    Bug(
        "an attempt too many",
        DECIDER + "again",
        "call.attempt < self.work(call).attempts",
        "call.attempt <= self.work(call).attempts",
    ),
    Bug(
        "a `once` call is repeated",
        DECIDER + "again",
        """able = call.effect != "once" and call.kind != "person" and mendable(failure)
        return able and call.attempt < self.work(call).attempts""".replace("        return", "    return"),
        "return mendable(failure) and call.attempt < max(2, self.work(call).attempts)",
    ),
    Bug("a `once` call that was cut is run again", DECIDER + "interrupted", 'if call.effect == "once":', "if False:"),
    Bug(
        "a `once` call that timed out has failed",
        DECIDER + "failed",
        'isinstance(failure, TimedOut) and call.effect == "once" and not call.kind',
        "False",
    ),
    Bug(
        "a late outcome fires",
        DECIDER + "open_call",
        "input.attempt not in (0, call.attempt) or input.rank not in (None, call.rank)",
        "False",
    ),
    Bug(
        "a fallback is tried after an effect",
        DECIDER + "following",
        'safe = call.effect == "pure" or (call.untouched and untouched)',
        "safe = True",
    ),
    Bug(
        "a cut attempt is forgotten by the next",
        "statecore.run:Draft.opening",
        "again.untouched and not event.cuts",
        "again.untouched",
    ),
    Bug(
        "the key changes with the attempt",
        "statecore.call:Call.key",
        "key(self.run, self.id)",
        "key(self.run, f'{self.id}{self.attempt}')",
    ),
    Bug("a child's end is heard of twice", DECIDER + "outcome", "if not input.child:", "if True:"),
    Bug(
        "a child's end is not reported",
        CHILDREN + "_deliver",
        "if call is None or held.machine is None:",
        "if call is None or held.machine is None or call.attempt == 1:",
    ),
    Bug(
        "a child that nobody waits for is not ended",
        CHILDREN + "_end",
        "await self._core.turns.cancel(child, self._cancel(parent))",
        "pass",
    ),
    Bug("an orphan is taken up as any", CHILDREN + "orphaned", "if above.id not in waiting(parent):", "if False:"),
    Bug("a child may take as long as it likes", CHILDREN + "limits", "if state.limited:", "if False:"),
    Bug(
        "what is left while a run is taken up is not ended",
        HELD + "_take_up",
        "held.children.update(waited)",
        "pass",
    ),
    Bug("a fork is verified as if all of it was its own", "statecore.replay:deciders", "turn.events[0].run", "decider"),
    Bug(
        "a part begins before what it waits for",
        "statecore.schedule:Graph.__init__",
        COUNTED,
        COUNTED.replace("set(node.after)", "set(node.after[1:])"),
    ),
    Bug(
        "a part begins after what it waits for has failed",
        "statecore.schedule:Progress.land",
        "if failed:",
        "if False:",
    ),
    Bug(
        "a plan is as wide as it likes",
        "statecore.planning:go_on",
        "progress.open - parked < progress.width",
        "True",
    ),
    Bug(
        "a plan goes on after it was to stop",
        "statecore.planning:landed",
        """progress.on_failure == "stop" or""",
        "False or",
    ),
    Bug("what a plan lacks is not said", "statecore.planning:_missing", "elif id in progress.skipped:", "elif False:"),
    Bug("a wait is over twice", DECIDER + "over", "self.emit(TimerFired(path))", "self.emit(*[TimerFired(path)] * 2)"),
    Bug(
        "a wait is over early", "statecore.alarm:Alarms._wake", "self._heap[0][0] <= now", "self._heap[0][0] <= now + 1"
    ),
    Bug(
        "a call of before cuts the wait of another short",
        ACTS + "_set_timers",
        "first <= max(core.clock.now(), since):",
        "first <= max(core.clock.now(), since, *(call.since for call in held.run.calls.values())):",
    ),
    Bug(
        "a clock that was put back draws a wait out",
        "statecore.alarm:Alarms.set",
        "due - max(0.0, since - now)",
        "due",
    ),
    Bug(
        "a late reply is taken for what is asked by now",
        "statecore.held:Held.answerable",
        "if call.state == name]",
        """if call.state in (name, name.rpartition("#")[0])]""",
    ),
    Bug(
        "a reply to another question is taken",
        "statecore.hearing:stale",
        """return "" if now.startswith(said)""",
        """return "" if True""",
    ),
    Bug("whoever likes may reply", DECIDER + "answered", "input.by not in person.who", "False"),
    Bug(
        "a checkpoint of another history is believed",
        "statecore.replay:_folded",
        "(turn.version, turn.head) != (before.seq, head)",
        "turn.version != before.seq",
    ),
    Bug(
        "a checkpoint has a value too few",
        "statecore.turns:taken",
        "run.values[mark.values :]",
        "run.values[mark.values + 1 :]",
    ),
    Bug(
        "a checkpoint is read one off",
        "statecore.trail:Unread.into",
        "self.first + self.span]",
        "self.first + self.span - 1]",
    ),
    Bug(
        "whoever is disabled begins all the same",
        "statecore.switches:Switches.ask",
        "Refuse(why) if question.fallback else Defer(why)",
        "Pass()",
    ),
)
