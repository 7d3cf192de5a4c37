"""The engine on real logs: what it dispatches, what it waits for, and what it leaves behind when it is stopped or
cut.
"""

import asyncio
import gc
import math
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest

import statecore.tasks
import statecore.turns
from statecore import NotDone, RateLimited
from statecore.call import Call
from statecore.codec import decode, encode
from statecore.decider import MAX_CUTS
from statecore.engine import Engine
from statecore.errors import (
    BadInput,
    Conflict,
    LogFailed,
    NotPossible,
    RunExists,
    UnknownCall,
    UnknownRun,
    UnknownSpecialist,
    UnknownWorkflow,
)
from statecore.events import (
    CallAsked,
    CallCompleted,
    CallDeferred,
    CallFailed,
    CallLate,
    CallRefused,
    CallStarted,
    CallUnknown,
    Event,
    Moved,
    SignalRefused,
    SignalTaken,
)
from statecore.guard import Defer, Pass
from statecore.log import Batch, Log, MemoryLog, Turn
from statecore.messages import Cancel, Start
from statecore.replay import rebuild, verify
from statecore.run import Run, replay
from statecore.signals import NotTaken, Taken
from statecore.sqlite import SqliteLog
from statecore.testing import VirtualClock, run_virtual
from tests.crew import (
    AtMost,
    Bill,
    Crew,
    Jammed,
    Job,
    Nudge,
    Piece,
    Says,
    Spoilt,
    hang,
    line,
    twin,
    typed,
)
from tests.playground import Done, Errand, Quick

GOOD: dict[str, Any] = {"sell": [Bill(1.0)]}
JOB = Job("oak")


@pytest.fixture(params=["memory", "sqlite"])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Log]:
    made = MemoryLog() if request.param == "memory" else await SqliteLog.open(tmp_path / "log.db")
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here needs two seconds to end by himself."""
    monkeypatch.setattr(statecore.tasks, "GRACE", 0.02)


async def turns(log: Log, run: str) -> list[Turn]:
    return [turn async for turn in log.read(run)]


async def events(log: Log, run: str, kind: Any = Event) -> list[Any]:
    return [event for turn in await turns(log, run) for event in turn.events if isinstance(event, kind)]


async def sound(engine: Engine) -> None:
    """The oracle: the chain holds, every turn is decided again as it was, every run that is held equals its rebuild."""
    assert await verify(engine.log, engine.registry) == []
    for info in await engine.log.streams():
        version = 0
        for turn in await turns(engine.log, info.name):
            version += len(turn.events)
            assert turn.version == version
        run = await rebuild(engine.log, info.name)
        assert run == await engine.state(info.name) and info.label == run.condition
    assert engine.ledger.running == sum(len(held.flights) for held in engine._core.runs.held.values())


def again(log: Log) -> MemoryLog:
    """A memory log as the next process would find it."""
    assert isinstance(log, MemoryLog)
    log._closed = False
    return log


async def cut(workflow: Any, value: Any = JOB, run: str = "run", until: int = 1, signal: Any = None) -> MemoryLog:
    """A log whose process died while `until` calls of the run were in flight."""
    log = MemoryLog()
    engine = Engine(log, [workflow])
    await engine.start(workflow, value, run=run)
    if signal is not None:
        await engine.signal(run, signal)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert engine.ledger.running == until
    engine._core.fail(LogFailed("the process died"))
    await engine.close()
    return again(log)


async def until(condition: Callable[[], Any]) -> None:
    """Five seconds at most, a millisecond as a rule."""
    for _ in range(5000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come to that")


async def until_logged(log: Log, run: str, kind: Any) -> list[Any]:
    for _ in range(5000):
        if found := await events(log, run, kind):
            return found
        await asyncio.sleep(0.001)
    raise AssertionError(f"no {kind.__name__} came")


# -- running


async def test_many_runs_at_once(log: Log) -> None:
    """Calls of different runs are in flight together: every one of forty waits until all are, and all complete."""
    everybody = asyncio.Barrier(40)

    async def together(request: Job, call: Call) -> Piece:
        await everybody.wait()
        return Piece(request.text)

    workflow = line(Crew(), cut=[together], **GOOD)
    async with Engine(log, [workflow]) as engine:
        async with asyncio.timeout(20):
            runs = await asyncio.gather(*(engine.run(workflow, Job(str(n))) for n in range(40)))
        assert {run.condition for run in runs} == {"completed"}
        assert len({run.id for run in runs}) == 40
        await sound(engine)


async def test_sync_specialists_run_in_threads_of_their_own(log: Log) -> None:
    """Five of them block together without blocking the loop, and are told their call."""
    together = threading.Barrier(5)

    def block(request: Job, call: Call) -> Piece:
        together.wait(10)
        return Piece(f"{threading.current_thread() is threading.main_thread()} {call.attempt}")

    workflow = _one(Crew()("saw_off", block, sync=True))
    async with Engine(log, [workflow]) as engine:
        runs = await asyncio.gather(*(engine.run(workflow, JOB) for _ in range(5)))
        assert [run.values[-1].payload.data for run in runs] == [b'{"text":"False 1","mark":""}'] * 5
        await sound(engine)


def _one(specialist: Any, **options: Any) -> Any:
    """A workflow of one state."""
    from statecore import Completed, Failed, State, Workflow

    class One(Workflow[Job], version="1"):
        working = State(specialist, initial=True, **options)
        done = State(final=True)
        undone = State(final=True, outcome="failed")
        worked = working.to(done, on=Completed[Piece])
        failed = working.to(undone, on=Failed)

    return One


def test_a_specialist_that_hangs_does_not_keep_the_process() -> None:
    """A plain function that never returns is left behind when the engine closes; the process ends by
    itself, in less than 5 s.
    """
    program = """
    import asyncio, threading
    import statecore.tasks
    from statecore import Engine
    from statecore.log import MemoryLog
    from tests.crew import Crew, Job
    from tests.test_engine import _one
    statecore.tasks.GRACE = 0.05
    crew = Crew()
    stuck = threading.Event()
    def block(request, call):
        stuck.set()
        threading.Event().wait()
    workflow = _one(crew("stuck", block, sync=True))
    async def main():
        async with Engine(MemoryLog(), [workflow]) as engine:
            await engine.start(workflow, Job())
            while not stuck.is_set():
                await asyncio.sleep(0.001)
    asyncio.run(main())
    print("over")
    """
    root = Path(__file__).parents[1]
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=5, cwd=root
    )
    assert (ended.returncode, ended.stdout) == (0, "over\n"), ended.stderr


async def test_a_timeout_frees_the_slot_and_the_late_outcome_is_recorded(log: Log) -> None:
    """A thread that cannot be stopped loses its place to the next run; what it gives afterwards is a CallLate
    and fires nothing.
    """
    release = threading.Event()

    def slow(request: Job, call: Call) -> Piece:
        release.wait(10)
        return Piece(request.text)

    crew = Crew()
    workflow, other = _one(crew("slow", slow, sync=True), timeout=0.02), _one(crew("quick"))
    async with Engine(log, [workflow, other], guards=[AtMost(1)]) as engine:
        await engine.start(workflow, JOB, run="slow")
        quick = await engine.run(other, JOB, run="quick")
        slow_run = await engine.wait("slow")
        assert (quick.condition, slow_run.condition, crew.count("slow")) == ("completed", "failed", 1)
        assert [event.failure.contract for event in await events(log, "slow", CallFailed)] == ["TimedOut"]
        release.set()
        late = await until_logged(log, "slow", CallLate)
        assert (late[0].call, late[0].attempt, late[0].kind) == ("working#1", 1, "Completed")
        await until(lambda: not engine._core.tasks.open)
        assert await engine.state("slow") == attrs.evolve(
            slow_run, seq=slow_run.seq + 1, at=(await engine.state("slow")).at
        )
        await until(lambda: not engine._core.tasks.open)
        await sound(engine)


async def test_the_late_outcome_of_the_primary_is_not_that_of_the_fallback(log: Log) -> None:
    """The thread of the primary gives its piece while the fallback works; the piece that counts is the fallback's."""
    release, called = threading.Event(), threading.Event()

    def primary(request: Job, call: Call) -> Piece:
        release.wait(10)
        return Piece("primary")

    async def fallback(request: Job, call: Call) -> Piece:
        called.set()
        await until_logged(log, "run", CallLate)
        return Piece("fallback")

    crew = Crew()
    workflow = _one(crew("primary", primary, sync=True), fallback=[crew("fallback", fallback)], timeout=0.5)
    async with Engine(log, [workflow]) as engine:
        await engine.start(workflow, JOB, run="run")
        await until(called.is_set)
        release.set()
        run = await engine.wait("run")
        assert (run.values[-1].specialist, run.values[-1].payload.data) == (
            "fallback@1",
            b'{"text":"fallback","mark":""}',
        )
        await sound(engine)


async def test_the_traceback_of_a_crash_is_in_the_log_and_not_in_the_chart(log: Log) -> None:
    """What a condition or hand-over could read has the class and the text of the exception; where it was raised is
    for people.
    """

    def crash(request: Job, call: Call) -> Piece:
        secret_local = 1 / 0
        return Piece(str(secret_local))

    workflow = _one(Crew()("crash", crash))
    async with Engine(log, [workflow]) as engine:
        run = await engine.run(workflow, JOB)
        [failed] = await events(log, run.id, CallFailed)
        assert failed.failure.data == b'{"error":"ZeroDivisionError","why":"division by zero"}'
        assert "secret_local = 1 / 0" in failed.detail and run.values[-1].payload == failed.failure
        await sound(engine)


async def test_a_failure_stops_the_chain_at_once(log: Log) -> None:
    """Where the first specialist fails, those behind it are never called."""
    crew = Crew()
    workflow = line(crew, cut=[Spoilt()], saw=[Spoilt()], **GOOD)
    async with Engine(log, [workflow]) as engine:
        run = await engine.run(workflow, JOB)
        assert run.condition == "failed"
        assert [crew.count(name) for name in ("cut", "saw", "glue", "nail", "sell")] == [1, 1, 0, 0, 0]


def test_every_call_is_a_row_whatever_becomes_of_it() -> None:
    """As many CallStarted as real calls, and as many outcomes; failures, retries and fallbacks included."""

    async def main() -> None:
        crew = Crew()
        workflow = line(
            crew,
            cut=[Jammed(), ValueError("x"), "prose", Piece()],
            saw=["prose", Piece(mark="bad"), Piece()],
            glue=[Jammed(), Piece()],
            **GOOD,
        )
        async with Engine(MemoryLog(), [workflow], clock=VirtualClock()) as engine:
            for n in range(3):
                await engine.run(workflow, JOB, run=f"run{n}")
            rows = [event for n in range(3) for event in await events(engine.log, f"run{n}")]
            started = [event.specialist.partition("@")[0] for event in rows if isinstance(event, CallStarted)]
            assert {name: started.count(name) for name in started} == {
                name: len(asked) for name, asked in crew.asked.items()
            }
            assert sum(isinstance(event, CallCompleted | CallFailed) for event in rows) == len(started)
            await sound(engine)

    run_virtual(main())


def test_waits_between_attempts_are_kept_by_the_clock_and_honour_the_receiver() -> None:
    """The second attempt comes when the log says that it is due, and not before the receiver asked for it."""

    async def main() -> None:
        seen: list[float] = []

        async def busy(request: Job, call: Call) -> Piece:
            seen.append(VirtualClock().now())
            if len(seen) < 3:
                raise RateLimited(retry_after=90.0 if len(seen) == 1 else None)
            return Piece()

        workflow = line(Crew(), cut=[busy], **GOOD)
        async with Engine(MemoryLog(), [workflow], clock=VirtualClock()) as engine:
            run = await engine.run(workflow, JOB)
            again = [event.again for event in await events(engine.log, run.id, CallFailed)]
            assert run.condition == "completed" and again == pytest.approx(seen[1:], abs=1e-5)
            assert seen[1] - seen[0] >= 90 and 1 <= seen[2] - seen[1] <= 2
            await sound(engine)

    run_virtual(main())


async def test_an_unregistered_task_type_is_an_error() -> None:
    """The message names the type and lists what is registered."""
    engine = Engine(MemoryLog(), [line(Crew())])
    with pytest.raises(
        UnknownSpecialist, match=r"^No specialist registered for task type: foo \(registered: cut@1, glue@1"
    ):
        engine.registry.specialist("foo")
    assert engine.registry.specialist("cut").id == engine.registry.specialist("cut@1").id == "cut@1"


async def test_plain_text_is_refused_as_a_contract_failure(log: Log) -> None:
    """Prose does not move the run; the failure names the contract, and what was found."""
    workflow = _one(Crew()("chatty", "All done, I have cut the piece!"))
    async with Engine(log, [workflow]) as engine:
        run = await engine.run(workflow, JOB)
        [failed] = await events(log, run.id, CallFailed)
        assert run.condition == "failed" and failed.failure.contract == "Rejected"
        assert b"contract Piece" in failed.failure.data and b"expected Piece, found str" in failed.failure.data


async def test_an_output_that_the_log_cannot_hold_is_rejected(log: Log) -> None:
    """Nine megabytes are a rejected output like any other, and not a stuck run."""
    workflow = _one(Crew()("verbose", Piece("x" * 9 * 1024 * 1024)))
    async with Engine(log, [workflow]) as engine:
        run = await engine.run(workflow, JOB)
        [failed] = await events(log, run.id, CallFailed)
        assert (
            run.condition == "failed" and failed.failure.contract == "Rejected" and b"8,388,608" in failed.failure.data
        )
        await sound(engine)


async def test_reading_a_busy_run_does_not_grow_the_log(log: Log) -> None:
    """A hundred looks at a run in flight leave the log and the run as they were."""
    crew = Crew()
    workflow = line(crew, cut=[hang])
    async with Engine(log, [workflow]) as engine:
        await engine.start(workflow, JOB, run="run")
        await until(lambda: crew.count("cut"))
        before = await turns(log, "run")
        states = [await engine.state("run") for _ in range(100)]
        assert {state.condition for state in states} == {"running"} and all(state == states[0] for state in states)
        assert await turns(log, "run") == before


async def test_input_decision_and_output_of_every_step_are_in_the_log(log: Log) -> None:
    """Of each call what it was asked, what it gave and the move that followed, out of one closed set of
    events.
    """
    workflow = line(Crew(), **GOOD)
    async with Engine(log, [workflow]) as engine:
        run = await engine.run(workflow, JOB)
        rows = await events(log, run.id)
        assert {type(event) for event in rows} <= set(get_args(Event))
        state, steps = Run(id=run.id), []
        for turn in await turns(log, run.id):
            for event in turn.events:
                call = state.calls.get(getattr(event, "call", ""))
                if isinstance(event, CallCompleted) and call:
                    steps.append([call.id, call.request.data, event.value.data])
                if isinstance(event, Moved) and steps:
                    steps[-1].append(event.transitions[0])
                state = replay(run.id, [*_until(await turns(log, run.id), state.seq + 1)])
        assert steps == [
            ["cutting#1", b'{"text":"oak"}', b'{"text":"cut","mark":""}', "cut_well"],
            ["gluing#1", b'{"text":"cut"}', b'{"text":"glue","mark":""}', "glued"],
            ["selling#1", b'{"text":"oak"}', b'{"total":1.0}', "paid"],
        ]
        assert await log.verify() == []


def _until(found: list[Turn], seq: int) -> Any:
    for turn in found:
        first = turn.version - len(turn.events)
        if first < seq:
            yield turn.at, turn.events[: seq - first]


def test_every_kind_of_event_is_stored_and_read_back() -> None:
    """The schema covers the closed set; an event of no known class is no event."""
    for kind in get_args(Event):
        made = kind(*(_filled(field) for field in attrs.fields(kind)))
        assert decode("run", 1, *encode([made])) == (made,)
    with pytest.raises(BadInput, match="Stranger is no event"):
        encode([type("Stranger", (), {})()])


def _filled(field: Any) -> Any:
    from statecore.events import Payload

    kinds: dict[Any, Any] = {
        str: "text",
        int: 3,
        float: 2.5,
        float | None: 2.5,
        Payload: Payload("X", b"{}"),
        Payload | None: Payload("X", b"[]"),
    }
    deep: dict[str, Any] = {
        "asked": (("q", True),),
        "history": (("h", ("a",)),),
        "reads": (1, 2),
        "renamed": (("a", "b"),),
    }
    deep["missing"] = (("part", "why"),)
    return deep.get(field.name) or kinds.get(field.type, ("a", "b") if field.type == tuple[str, ...] else False)


async def test_a_finished_run_is_let_go(log: Log) -> None:
    """What is over is in the log and no longer in memory; asking for it reads it from there."""
    workflow = line(Crew(), **GOOD)
    async with Engine(log, [workflow]) as engine:
        ids = [(await engine.run(workflow, JOB)).id for _ in range(5)]
        kept = weakref.ref(await engine.run(workflow, JOB))
        assert not engine._core.runs.held and not engine._core.acts.deferred
        await until(lambda: not engine._core.tasks.open)
        gc.collect()
        assert kept() is None
        assert [(await engine.wait(id)).condition for id in ids] == ["completed"] * 5
        with pytest.raises(NotPossible, match="is completed"):
            await engine.cancel(ids[0], by="me", why="late")
        with pytest.raises(UnknownCall):
            await engine.answer(ids[0], "selling", Bill(1.0), by="me", why="late")
        assert not engine._core.runs.held
        await sound(engine)


# -- cancelling, closing, resuming


async def test_a_run_that_a_crash_cut_is_cancelled_before_it_goes_on() -> None:
    """Cancelling a run that is not in memory calls nothing of it again first; a finished run stays as it is."""
    crew = Crew()
    workflow = line(crew, cut=[hang])
    log = await cut(workflow)
    async with Engine(log, [workflow]) as engine:
        before = crew.count("cut")
        assert (await engine.cancel("run", by="me", why="enough")).condition == "cancelled"
        assert crew.count("cut") == before
        with pytest.raises(NotPossible, match="is cancelled"):
            await engine.cancel("run", by="me", why="again")


async def test_cancel_stops_the_calls_in_flight(log: Log) -> None:
    """Both regions' specialists are told, nothing more is dispatched, and the ledger counts nothing as running."""
    stopped: list[str] = []

    async def stop(request: Job, call: Call) -> Any:
        try:
            await hang(request, call)
        finally:
            stopped.append(call.state)

    crew = Crew()
    workflow = twin(crew, left=[stop], first=[stop])
    async with Engine(log, [workflow]) as engine:
        await engine.start(workflow, JOB, run="run")
        await engine.signal("run", Nudge())
        await until(lambda: len(crew.asked) == 2)
        run = await engine.cancel("run", by="me", why="enough")
        assert run.condition == "cancelled" and (await engine.wait("run")).why == "cancelled by me: enough"
        await until(lambda: len(stopped) == 2)
        await sound(engine)


async def test_what_the_chart_left_is_not_called() -> None:
    """A call that was started and left before its task ran is never dispatched: cancel comes with the start in one
    breath.
    """
    crew = Crew()
    workflow = line(crew, cut=[hang])
    async with Engine(MemoryLog(), [workflow]) as engine:
        engine_start = engine._core.turns.begin

        async def start_and_cancel(machine: Any, input: Any) -> None:
            await engine_start(machine, input)
            await engine._core.turns.hear(input.run, lambda held: Cancel(input.at, "me", "at once"))

        await start_and_cancel(workflow.machine, Start("run", JOB, 1.0))
        await asyncio.sleep(0.002)
        assert crew.count("cut") == 0 and (await engine.state("run")).condition == "cancelled"
        await sound(engine)


async def test_close_with_calls_in_flight_and_a_later_resume(log: Log, tmp_path: Path) -> None:
    """It ends soon; the next engine on the log runs the pure call again under its key, one cut more, and completes."""
    crew = Crew()
    workflow = line(crew, cut=[hang, Piece()], **GOOD)
    begun = time.monotonic()
    async with Engine(log, [workflow]) as engine:
        await engine.start(workflow, JOB, run="run")
        await until(lambda: crew.count("cut"))
    assert time.monotonic() - begun < 5
    log = again(log) if isinstance(log, MemoryLog) else await SqliteLog.open(tmp_path / "log.db")
    async with Engine(log, [workflow]) as engine:
        assert await engine.resume() == ["run"]
        assert (await engine.wait("run")).condition == "completed"
        first, second = crew.asked["cut"]
        assert first.key == second.key and (second.attempt, second.cuts) == (1, 1)
        assert await engine.resume() == []
        await sound(engine)


async def test_a_call_that_becomes_due_while_the_engine_closes_is_left_to_the_resume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last outcome before the end is kept, and the `once` call behind it is neither dispatched nor taken for
    one that was.
    """
    monkeypatch.setattr(statecore.tasks, "GRACE", 5.0)
    crew, closing, log = Crew(), asyncio.Event(), MemoryLog()

    async def last(request: Job, call: Call) -> Piece:
        await closing.wait()
        return Piece()

    workflow = line(crew, glue=[last], **GOOD)
    engine = Engine(log, [workflow])
    await engine.start(workflow, JOB, run="run")
    await until(lambda: crew.count("glue"))
    asyncio.get_running_loop().call_later(0.002, closing.set)
    await engine.close()
    assert crew.count("sell") == 0 and [type(e) for e in await events(log, "run")][-2:] == [CallAsked, CallDeferred]
    async with Engine(again(log), [workflow]) as engine:
        await engine.resume()
        assert ((await engine.wait("run")).condition, crew.count("sell"), crew.count("glue")) == ("completed", 1, 1)
        await sound(engine)


async def test_a_closed_engine_says_so() -> None:
    """Starting, signalling, cancelling or resuming on it raises NotPossible; closing it again does nothing."""
    workflow = line(Crew(), cut=[hang])
    engine = Engine(MemoryLog(), [workflow])
    await engine.start(workflow, JOB, run="run")
    await engine.close()
    for late in (
        engine.start(workflow, JOB),
        engine.signal("run", Nudge()),
        engine.cancel("run", by="me", why="looked"),
        engine.resume("run"),
    ):
        with pytest.raises(NotPossible, match="closed"):
            await late
    await engine.close()


async def test_whoever_waits_for_a_slow_log_when_the_engine_closes_is_told() -> None:
    """A start that the log never acknowledges ends in NotPossible, not in somebody else's cancellation."""
    log = Gated()
    workflow = line(Crew(), **GOOD)
    engine = Engine(log, [workflow])
    log.shut = True
    starting = asyncio.create_task(engine.start(workflow, JOB))
    await asyncio.sleep(0)
    await engine.close()
    with pytest.raises(NotPossible, match="closed before this was done"):
        await starting


class Gated(MemoryLog):
    """Waits a little in every append, before and after it is done; `shut`: for ever."""

    shut = False

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        while True:
            await asyncio.sleep(0)
            if not self.shut:
                break
        found = await super().append(batch)
        await asyncio.sleep(0)
        return found


class Slow(MemoryLog):
    """Says what it did, or what it has, only when it is let."""

    def __init__(self, *, reading: bool) -> None:
        super().__init__()
        self.speaks, self.slow_reads = asyncio.Event(), reading

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        found = await super().append(batch)
        if not self.slow_reads:
            await self.speaks.wait()
        return found

    async def read(self, stream: str, after: int = 0) -> AsyncIterator[Turn]:
        if self.slow_reads:
            await self.speaks.wait()
        async for turn in super().read(stream, after):
            yield turn


@pytest.mark.parametrize("order", ["start, resume", "start, signal", "signal, start"])
async def test_a_run_that_just_begins_is_held_once(order: str) -> None:
    """Whoever wants it before its start is acknowledged waits: its `once` call is made, not taken for one that a crash
    cut.
    """
    crew = Crew()
    workflow = twin(crew, first=[hang]) if "signal" in order else typed(crew)
    log = Slow(reading=order == "signal, start")
    async with Engine(log, [workflow]) as engine:
        asks = {
            "start": lambda: engine.start(workflow, JOB, run="r"),
            "resume": engine.resume,
            "signal": lambda: engine.signal("r", Nudge()),
        }
        tasks = []
        for ask in order.split(", "):
            tasks.append(asyncio.create_task(asks[ask]()))
            for _ in range(10):
                await asyncio.sleep(0)
        log.speaks.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: crew.count("fetch") + crew.count("work") == 1 or order == "signal, start")
        assert await events(log, "r", CallUnknown) == []
        assert not any(call.cuts for call in await events(log, "r", CallStarted))
        assert order != "signal, start" or isinstance(tasks[0].exception(), UnknownRun)
        await sound(engine)


async def test_a_thousand_cut_runs_are_taken_up_together(tmp_path: Path) -> None:
    """The decisions about what a crash cut are committed in groups, not run by run, and every run is dispatched."""
    crew = Crew()
    workflow = line(crew, cut=[hang])
    async with Engine(await SqliteLog.open(tmp_path / "log.db"), [workflow]) as engine:
        await asyncio.gather(*[engine.start(workflow, JOB, run=f"run-{number}") for number in range(1000)])
    log = await SqliteLog.open(tmp_path / "log.db")
    commits, commit = [], log._connection.commit

    async def counted() -> None:
        commits.append(len(log._pending.turns))
        await commit()

    log._connection.commit = counted  # type: ignore[method-assign]
    async with Engine(log, [workflow]) as engine:
        crew.asked.clear()
        assert await engine.resume() == [f"run-{number}" for number in range(1000)]
        await until(lambda: crew.count("cut") == 1000)
        assert sum(commits) == 1000 and len(commits) < 500


OPERATIONS = ("start", "answer", "cancel", "signal", "resume", "wait")


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_whoever_asks_may_go_away_at_any_moment(operation: str) -> None:
    """The task that awaits the engine is cancelled at its first, second ... await, until it gets through:
    the log is whole, the engine goes on, and every run that began comes to its end.
    """
    for steps in range(60):
        crew = Crew()
        workflow = line(crew, sell=[hang, Bill(1.0)])
        log: Any = await cut(workflow) if operation in ("answer", "resume", "cancel") else Gated()
        log.__class__ = Gated
        paused = twin(Crew())
        async with Engine(log, [workflow, paused]) as engine:
            if operation == "answer":
                await engine.resume()
                assert (await engine.wait("run")).condition == "parked"
            if operation == "signal":
                await engine.start(paused, JOB, run="run")
            if operation == "wait":
                crew.asked["sell"].append(None)  # type: ignore[arg-type]
                await engine.start(workflow, JOB, run="run")
            asked: Any = {
                "start": lambda engine=engine, workflow=workflow, crew=crew: engine.start(workflow, JOB, run="run"),
                "answer": lambda engine=engine: engine.answer("run", "selling", Bill(2.0), by="me", why="seen"),
                "cancel": lambda engine=engine: engine.cancel("run", by="me", why="enough"),
                "signal": lambda engine=engine: engine.signal("run", Nudge()),
                "resume": lambda engine=engine: engine.resume(),
                "wait": lambda engine=engine: engine.wait("run"),
            }[operation]
            if operation == "start":
                crew.asked["sell"].append(None)  # type: ignore[arg-type]
            task = asyncio.create_task(asked())
            for _ in range(steps):
                await asyncio.sleep(0)
            through = task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await until(
                lambda engine=engine: (
                    not engine._core.runs.taking_up
                    and all(not held.users or held.flights for held in engine._core.runs.held.values())
                )
            )
            await engine.resume()
            await engine.drain()
            for info in await log.streams():
                run = await engine.wait(info.name)
                assert (
                    run.condition
                    in {
                        "start": ("completed",),
                        "answer": ("completed", "parked"),
                        "cancel": ("cancelled", "parked"),
                        "signal": ("waiting", "completed"),
                        "resume": ("parked",),
                        "wait": ("completed",),
                    }[operation]
                )
            assert crew.count("sell") <= 2
            await sound(engine)
        if through:
            assert steps > (0 if operation == "wait" else 1)
            return
    raise AssertionError("it never got through")


async def test_a_run_id_that_is_taken_conflicts_and_breaks_nothing(log: Log) -> None:
    """The one that is there goes on, in flight or finished, started here or found in the log; nothing of the other
    is counted.
    """
    crew = Crew()
    workflow = line(crew, cut=[hang, Piece()], **GOOD)
    async with Engine(log, [workflow]) as engine:
        await engine.start(workflow, JOB, run="taken")
        for _ in range(3):
            with pytest.raises(RunExists, match="there is a run taken already"):
                await engine.start(workflow, JOB, run="taken")
        assert engine.ledger.running == 1
        await engine.run(workflow, JOB, run="over")
        with pytest.raises(Conflict):
            await engine.start(workflow, JOB, run="over")
        both = await asyncio.gather(
            *(engine.start(workflow, JOB, run="twice") for _ in range(3)), return_exceptions=True
        )
        assert [type(one) for one in both] == [str, RunExists, RunExists]
        assert (await engine.wait("twice")).condition == "completed"
        assert engine.ledger.running == 1 and engine.ledger.of("cut").started == 3
        await sound(engine)


class Failing(MemoryLog):
    """Fails at its n-th append, and only there. `written`: it was committed all the same."""

    def __init__(self, at: int, written: bool) -> None:
        super().__init__()
        self.left, self.written = at, written

    async def append(self, batch: Batch) -> tuple[Turn, ...]:
        self.left -= 1
        now = self.left == 0
        await asyncio.sleep(0)
        if now:
            if self.written:
                await super().append(batch)
            raise LogFailed("the disk is full")
        return await super().append(batch)


@pytest.mark.parametrize("written", [False, True])
async def test_a_log_that_fails_stops_everything_and_everyone_is_told(written: bool) -> None:
    """After the n-th append failed nothing is dispatched that it should have recorded, every waiter gets
    LogFailed, and the next engine on the log finds each effect made at most once.
    """
    for n in range(1, 12):
        crew, log = Crew(), Failing(n, written)
        workflow = line(crew, cut=[Piece()], **GOOD)
        engine = Engine(log, [workflow])
        outcomes = await asyncio.gather(
            *(engine.run(workflow, JOB, run=f"run{k}") for k in range(2)), return_exceptions=True
        )
        if log.left > 0:
            assert n > 8 and {type(outcome) for outcome in outcomes} == {Run}
            await engine.close()
            return
        assert all(isinstance(outcome, LogFailed | Run) for outcome in outcomes) and any(
            isinstance(o, LogFailed) for o in outcomes
        )
        for call in (
            engine.start(workflow, JOB),
            engine.wait("run0") if "run0" in engine._core.runs.held else engine.start(workflow, JOB),
        ):
            with pytest.raises(LogFailed):
                await call
        acknowledged = [e for info in await log.streams() for e in await events(log, info.name, CallStarted)]
        called, length = sum(len(asked) for asked in crew.asked.values()), len(log._rows)
        await asyncio.sleep(0.002)
        assert len(log._rows) == length
        assert called == sum(len(asked) for asked in crew.asked.values()) <= len(acknowledged)
        await engine.close()
        log.left = 10**9
        async with Engine(again(log), [workflow]) as engine:
            await engine.resume()
            await engine.drain()
            for info in await log.streams():
                assert (await engine.wait(info.name)).condition in ("completed", "parked")
                assert len([c for c in crew.asked["sell"] if c.run == info.name]) <= 1
            await sound(engine)
    raise AssertionError("no run was ever long enough")


async def test_a_log_that_fails_while_runs_are_taken_up_says_so() -> None:
    """`resume` raises LogFailed instead of leaving a run half taken up in silence; a later engine takes it up whole."""
    crew = Crew()
    workflow = line(crew, cut=[hang, Piece()], **GOOD)
    log: Any = await cut(workflow)
    log.__class__ = Failing
    log.left, log.written = 1, False
    engine = Engine(log, [workflow])
    with pytest.raises(LogFailed, match="disk is full"):
        await engine.resume()
    assert crew.count("cut") == 1
    await engine.close()
    log.left = 10**9
    async with Engine(again(log), [workflow]) as engine:
        await engine.resume()
        assert (await engine.wait("run")).condition == "completed"
        await sound(engine)


async def test_whoever_waits_is_told_though_another_input_was_bad() -> None:
    """A wait that began while a signal was being taken ends even where that signal is refused at the door."""
    workflow = twin(Crew())
    async with Engine(Gated(), [workflow]) as engine:
        await engine.start(workflow, JOB, run="run")
        signals = [asyncio.create_task(engine.signal("run", value)) for value in (Nudge(1), "no value of a contract")]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        async with asyncio.timeout(1):
            assert (await engine.wait("run")).condition == "waiting"
        assert [type(found) for found in await asyncio.gather(*signals, return_exceptions=True)] == [BadInput, BadInput]
        await sound(engine)


async def test_a_workflow_that_is_not_loaded_parks_its_runs_and_no_other(log: Log, tmp_path: Path) -> None:
    """The reason names what is missing, nothing is retried; loaded later, the run goes on."""
    crew = Crew()
    gone, here = line(crew, cut=[Jammed(), hang, Piece()], **GOOD), _one(crew("work", hang, Piece()))
    async with Engine(log, [gone, here]) as engine:
        await engine.start(gone, JOB, run="gone")
        await engine.start(here, JOB, run="here")
        await until(lambda: crew.count("work") and crew.count("cut"))
    log = again(log) if isinstance(log, MemoryLog) else await SqliteLog.open(tmp_path / "log.db")
    async with Engine(log, [here]) as engine:
        assert sorted(await engine.resume()) == ["gone", "here"]
        assert (await engine.wait("here")).condition == "completed"
        assert (
            "which is not loaded" in engine.parked("gone")
            and "Line" in engine.parked("gone")
            and engine.parked("here") == ""
        )
        before = await turns(log, "gone")
        async with asyncio.timeout(1):
            await engine.wait("gone")
        with pytest.raises(UnknownWorkflow, match="not loaded"):
            await engine.signal("gone", Nudge())
        assert await turns(log, "gone") == before and (await engine.state("gone")).condition == "waiting"
        engine.registry.add(gone)
        await engine.resume()
        assert engine.parked("gone") == ""


async def test_a_stream_that_cannot_be_read_parks_that_run_only() -> None:
    """An event of unknown type, and the run is parked with the reason; the others go on."""
    crew = Crew()
    workflow = _one(crew("work", hang, hang, Piece()))
    log = MemoryLog()
    async with Engine(log, [workflow]) as engine:
        for run in ("bad", "good"):
            await engine.start(workflow, JOB, run=run)
        await until(lambda: crew.count("work") == 2)
    again(log)
    rows = log._streams["bad"]
    rows[0] = rows[0]._replace(events=b'[["Sworn",1,{}]]')
    async with Engine(log, [workflow]) as engine:
        assert await engine.resume() == ["bad", "good"]
        assert (await engine.wait("good")).condition == "completed"
        assert "'Sworn' is no event" in engine.parked("bad")
        with pytest.raises(UnknownWorkflow, match="Sworn"):
            await engine.cancel("bad", by="me", why="looked")


# -- deferred


async def test_deferred_calls_are_asked_again_when_another_ends(log: Log) -> None:
    """Twenty runs, three permits: never more in flight, and all come through."""
    guard = AtMost(3)
    most, flying = [0], [0]

    async def counted(request: Job, call: Call) -> Piece:
        flying[0] += 1
        most[0] = max(most[0], flying[0])
        await asyncio.sleep(0.005)
        flying[0] -= 1
        return Piece()

    workflow = line(Crew(), cut=[counted], **GOOD)
    async with Engine(log, [workflow], guards=[guard]) as engine:
        async with asyncio.timeout(20):
            runs = await asyncio.gather(*(engine.run(workflow, JOB) for _ in range(20)))
        assert {run.condition for run in runs} == {"completed"} and most[0] == 3 and guard.seen <= 3
        assert not engine._core.acts.deferred
        await sound(engine)


async def test_what_was_deferred_when_the_process_died_is_asked_for_again() -> None:
    """The call that held the permit died with the process; the one that waited for it is not forgotten."""
    crew = Crew()
    workflow, waiting = typed_once(crew), _one(crew("work"))
    log = MemoryLog()
    engine = Engine(log, [workflow, waiting], guards=[AtMost(1)])
    await engine.start(workflow, JOB, run="once")
    await engine.start(waiting, JOB, run="waiting")
    await until(lambda: crew.count("once"))
    assert (await engine.state("waiting")).condition == "paused"
    engine._core.fail(LogFailed("died"))
    await engine.close()
    async with Engine(again(log), [workflow, waiting], guards=[AtMost(1)]) as engine:
        await engine.resume()
        async with asyncio.timeout(2):
            assert [(await engine.wait(run)).condition for run in ("once", "waiting")] == ["parked", "completed"]
        assert crew.count("once") == 1
        await sound(engine)


async def test_a_paused_run_goes_on_when_the_one_before_it_is_cancelled() -> None:
    """Whoever waits for it is told when it is over, and not while it is about to be asked for again."""
    crew = Crew()
    workflow = _one(crew("work", hang, Piece()))
    async with Engine(MemoryLog(), [workflow], guards=[AtMost(1)]) as engine:
        await engine.start(workflow, JOB, run="first")
        await engine.start(workflow, JOB, run="second")
        await until(lambda: crew.count("work"))
        waiting = asyncio.create_task(engine.wait("second"))
        await asyncio.sleep(0)
        await engine.cancel("first", by="me", why="enough")
        assert (await waiting).condition == "completed"
        await sound(engine)


async def test_a_paused_run_that_is_about_to_be_asked_for_is_not_at_rest() -> None:
    """The last thing that moved was cancelled, and with it fell what the guard objected to: the run goes on, and only
    then is told to be over.
    """
    crew, open_now = Crew(), asyncio.Event()
    first, second = line(crew, cut=[RateLimited(retry_after=900.0)]), _one(crew("work"))

    def wait_for_it(question: Any, ledger: Any) -> Any:
        return Pass() if question.run == "first" or open_now.is_set() else Defer("not yet")

    async with Engine(MemoryLog(), [first, second], guards=[Says("gate", "before", [wait_for_it])]) as engine:
        await engine.start(first, JOB, run="first")
        await until_logged(engine.log, "first", CallFailed)
        await engine.start(second, JOB, run="second")
        waiting = asyncio.create_task(engine.wait("second"))
        await asyncio.sleep(0.001)
        assert not waiting.done()
        open_now.set()
        await engine.cancel("first", by="me", why="enough")
        assert (await waiting).condition == "completed"
        await sound(engine)


async def test_whoever_waits_for_a_paused_run_is_told_when_nothing_is_left_that_could_move_it() -> None:
    """Another run's input that changes nothing is under way; once it is over, the pause is a rest."""
    workflow, other = _one(Crew()("work")), twin(Crew())
    async with Engine(Gated(), [workflow, other], guards=[Says("never", "before", [Defer("not now")])]) as engine:
        await engine.start(other, JOB, run="other")
        await engine.signal("other", Nudge())
        await engine.start(workflow, JOB, run="run")
        await until(lambda: not engine._core.tasks.open)
        refused = asyncio.create_task(engine.signal("other", Nudge()))
        while not engine._core.runs._users:
            await asyncio.sleep(0)
        async with asyncio.timeout(1):
            assert (await engine.wait("run")).condition == "paused"
        assert isinstance(await refused, NotTaken)
        await sound(engine)


def typed_once(crew: Crew, *does: Any, **more: Any) -> Any:
    return _one(crew("once", *(does or (hang,)), effect="once", **more))


def test_a_wake_is_kept_though_the_clock_is_a_little_behind() -> None:
    """A guard that defers to a time is asked at that time and not before it, however coarse the clock; the run does
    not sleep on.
    """

    class Coarse(VirtualClock):
        def now(self) -> float:
            return math.floor(super().now() * 10) / 10 - 0.05

    async def main() -> None:
        def not_yet(question: Any, ledger: Any) -> Any:
            return Pass() if question.at >= 1_000_030.03 else Defer("not before half past", 1_000_030.03)

        workflow = line(Crew(), **GOOD)
        async with Engine(
            MemoryLog(), [workflow], guards=[Says("curfew", "before", [not_yet])], clock=Coarse()
        ) as engine:
            run = await engine.run(workflow, JOB)
            assert run.condition == "completed" and run.at >= 1_000_030
            assert len(await events(engine.log, run.id, CallDeferred)) < 9

    run_virtual(main())


def test_a_clock_that_was_put_back_makes_no_wait_longer() -> None:
    """At open the wall clock is believed, and what is left of a wait is at most the whole of it."""

    async def main() -> None:
        crew = Crew()
        workflow = line(crew, cut=[RateLimited(retry_after=60.0), Piece()], **GOOD)
        log = MemoryLog()
        engine = Engine(log, [workflow], clock=Shifted(86_400.0))
        await engine.start(workflow, JOB, run="run")
        await until_logged(log, "run", CallFailed)
        await engine.close()
        before = asyncio.get_running_loop().time()
        async with Engine(again(log), [workflow], clock=Shifted(0.0)) as engine:
            await engine.resume()
            assert (await engine.wait("run")).condition == "completed"
            assert 59 <= asyncio.get_running_loop().time() - before <= 61

    run_virtual(main())


class Shifted(VirtualClock):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def now(self) -> float:
        return super().now() + self.by


# -- once, and what a crash cut


async def test_a_run_that_is_taken_up_repeats_no_once_call() -> None:
    """Two regions were cut, one of them around a `once` effect: however the run is taken up, that one is parked and
    not called again.
    """
    for how in ("resume", "signal", "answer", "cancel", "all at once"):
        crew = Crew()
        workflow = twin(crew, left=[hang], right=[hang])
        log = await cut(workflow, until=2, signal=Nudge())
        calls = (await rebuild(log, "run")).calls
        if "both/r/pushing#1" not in calls:
            async with Engine(log, [workflow]) as engine:
                await engine.resume()
                await until(lambda crew=crew: crew.count("push"))
                engine._core.fail(LogFailed("died again"))
            again(log)
        async with Engine(log, [workflow]) as engine:
            asked: dict[str, list[Any]] = {
                "resume": [engine.resume()],
                "signal": [engine.signal("run", Nudge())],
                "answer": [engine.answer("run", "both/r/pushing", Piece(), by="me", why="seen")],
                "cancel": [engine.cancel("run", by="me", why="enough")],
            }
            if how != "all at once":
                for one in [key for key in asked if key != how]:
                    asked.pop(one)[0].close()
            else:
                asked.pop("cancel")[0].close()
            found = await asyncio.gather(*(one for each in asked.values() for one in each), return_exceptions=True)
            assert not [error for error in found if isinstance(error, BaseException)], found
            assert crew.count("push") == 1
            assert len(await events(log, "run", CallUnknown)) == 1
            await sound(engine)


@pytest.mark.parametrize(
    ("says", "condition", "settled"),
    [
        (Piece("found"), "completed", "reconcile"),
        (NotDone("nothing came"), "failed", "reconcile"),
        (None, "parked", ""),
        (ValueError("not at home"), "parked", ""),
        ("prose", "parked", ""),
        (Piece("\0"), "parked", ""),
        (hang, "parked", ""),
    ],
)
async def test_the_receiver_is_asked_what_became_of_a_cut_call(says: Any, condition: str, settled: str) -> None:
    """Done, not done, or anything else: only a clear answer settles the call, the rest is left to a person; wait()
    waits for it.
    """
    asked: list[Call] = []

    async def reconcile(call: Call) -> Any:
        asked.append(call)
        for _ in range(5):
            await asyncio.sleep(0)
        if isinstance(says, BaseException):
            raise says
        return await says(None, call) if callable(says) else says

    crew = Crew()
    workflow = _one(crew("once", hang, effect="once", reconcile=reconcile), timeout=0.02 if says is hang else 60)
    log = await cut(workflow)
    async with Engine(log, [workflow]) as engine:
        await engine.resume()
        run = await engine.wait("run")
        assert run.condition == condition and crew.count("once") == 1
        assert [call.key for call in asked] == [crew.asked["once"][0].key]
        outcomes = await events(log, "run", CallCompleted | CallFailed)
        assert [event.by for event in outcomes] == ([settled] if settled else [])
        await sound(engine)


async def test_the_receiver_is_asked_again_after_a_crash_before_it_answered() -> None:
    """Parked, and the process died before the receiver was asked: the next one asks."""
    answers: list[Any] = [None, Piece("found")]

    async def reconcile(call: Call) -> Any:
        return answers.pop(0)

    workflow = _one(Crew()("once", hang, effect="once", reconcile=reconcile))
    log = await cut(workflow)
    for condition in ("parked", "completed"):
        async with Engine(again(log), [workflow]) as engine:
            await engine.resume()
            assert (await engine.wait("run")).condition == condition


async def test_a_parked_call_is_settled_by_a_person() -> None:
    """Only a parked one, only with what its contract admits, and with a name; then the run goes on."""
    crew = Crew()
    workflow = typed_once(crew)
    log = await cut(workflow)
    async with Engine(log, [workflow]) as engine:
        with pytest.raises(UnknownRun):
            await engine.answer("nobody", "working", Piece(), by="me", why="looked")
        with pytest.raises(UnknownCall, match="working#1"):
            await engine.answer("run", "sleeping", Piece(), by="me", why="looked")
        with pytest.raises(BadInput, match="expected `by` to be the name of who says so"):
            await engine.answer("run", "working", Piece(), by="", why="looked")
        with pytest.raises(BadInput, match="expected Piece"):
            await engine.answer("run", "working", Bill(1.0), by="me", why="looked")
        assert [contract.name for contract in await engine.gives("run", "working#1")] == ["Piece"]
        run = await engine.answer("run", "working", Piece("seen"), by="me", why="I looked")
        assert run.condition == "completed" and crew.count("once") == 1
        await sound(engine)


async def test_a_call_in_flight_is_not_settled_by_hand() -> None:
    """NotPossible, and the call goes on."""
    crew = Crew()
    workflow = _one(crew("work", hang))
    async with Engine(MemoryLog(), [workflow]) as engine:
        await engine.start(workflow, JOB, run="run")
        with pytest.raises(NotPossible, match="is started"):
            await engine.answer("run", "working", Piece(), by="me", why="looked")


# -- one run, many inputs


async def test_a_thousand_signals_at_once_are_taken_one_after_the_other(log: Log) -> None:
    """One is taken, the others are refused, each is recorded once; no version is missing and nobody meets a
    Conflict.
    """
    workflow = twin(Crew())
    async with Engine(log, [workflow]) as engine:
        await engine.start(workflow, JOB, run="run")
        found = await asyncio.gather(*(engine.signal("run", Nudge(str(n))) for n in range(1000)))
        assert (await engine.wait("run")).condition == "completed"
        assert sum(isinstance(one, Taken) for one in found) == 1
        assert len(await events(log, "run", SignalTaken | SignalRefused)) == 1000
        await until(lambda: not engine._core.tasks.open)
        assert not engine._core.runs.held
        await sound(engine)


async def test_resuming_from_everywhere_takes_a_run_up_once() -> None:
    """Three resumes and as many signals at the same time: one load, one cut, one call."""
    crew = Crew()
    workflow = line(crew, cut=[hang, Piece()], **GOOD)
    log: Any = await cut(workflow)
    log.__class__ = Gated
    async with Engine(log, [workflow]) as engine:
        await asyncio.gather(
            *(engine.resume() for _ in range(3)), engine.gives("run", "x"), engine.resume("run"), return_exceptions=True
        )
        assert (await engine.wait("run")).condition == "completed"
        assert [event.cuts for event in await events(log, "run", CallStarted) if event.call == "cutting#1"] == [0, 1]
        await sound(engine)


async def test_a_fault_in_a_turn_parks_that_run_and_a_resume_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is shown as the reason, the other runs go on, whoever waited is told, and nothing
    is lost.
    """
    crew = Crew()
    workflow = line(crew, **GOOD)
    step = statecore.turns.step

    def faulty(machine: Any, run: Run, input: Any, admission: Any) -> Any:
        if run.id == "bad" and run.seq:
            raise ZeroDivisionError("a fault of ours")
        return step(machine, run, input, admission)

    monkeypatch.setattr(statecore.turns, "step", faulty)
    async with Engine(MemoryLog(), [workflow]) as engine:
        both = await asyncio.gather(engine.run(workflow, JOB, run="bad"), engine.run(workflow, JOB, run="good"))
        assert [run.condition for run in both] == ["running", "completed"]
        assert engine.parked("bad") == "ZeroDivisionError: a fault of ours" and engine.parked("good") == ""
        monkeypatch.undo()
        assert await engine.resume() == ["bad"]
        assert (await engine.wait("bad")).condition == "completed" and engine.parked("bad") == ""
        assert await verify(engine.log, engine.registry) == []


def test_a_run_that_is_parked_by_a_fault_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry that one region waits for is given up with the run: whoever waits is told at once."""
    step = statecore.turns.step

    def faulty(machine: Any, run: Run, input: Any, admission: Any) -> Any:
        if getattr(input, "call", "") == "both/r/fetching#1":
            raise ZeroDivisionError("a fault of ours")
        return step(machine, run, input, admission)

    async def later(request: Job, call: Call) -> Piece:
        await asyncio.sleep(0.1)
        return Piece()

    async def main() -> None:
        workflow = twin(Crew(), left=[Jammed()], first=[later])
        async with Engine(MemoryLog(), [workflow], clock=VirtualClock()) as engine:
            await engine.start(workflow, JOB, run="run")
            await engine.signal("run", Nudge())
            await engine.wait("run")
            assert "a fault of ours" in engine.parked("run") and asyncio.get_running_loop().time() < 0.2

    monkeypatch.setattr(statecore.turns, "step", faulty)
    run_virtual(main())


async def test_a_call_that_is_cut_again_and_again_is_parked() -> None:
    """A specialist that takes the process with it is not called for ever."""
    crew = Crew()
    workflow = _one(crew("work", hang))
    log = await cut(workflow)
    for _ in range(MAX_CUTS + 3):
        engine = Engine(again(log), [workflow])
        await engine.resume()
        if (await engine.state("run")).condition == "parked":
            break
        await asyncio.sleep(0.001)
        engine._core.fail(LogFailed("the process died"))
        await engine.close()
    assert crew.count("work") == MAX_CUTS + 1
    await engine.close()


async def test_a_typed_failure_reaches_its_own_target_through_the_engine(log: Log) -> None:
    """Of a specialist, or of a guard of the engine that refuses: each ends where its transition leads."""
    for does, target in (
        (Spoilt("x"), "spoilt"),
        (Jammed("old"), "jammed"),
        (KeyError("x"), "crashed"),
        ("prose", "rejected"),
        (Piece(), "done"),
    ):
        workflow = typed(Crew(), does)
        run = await Engine(log, [workflow]).run(workflow, JOB)
        assert run.config.states == (target,)
    refused = await events(log, run.id, CallRefused)
    assert refused == []


async def test_an_id_that_is_taken_is_said_so() -> None:
    """Of a run that is begun and of one that is forked; nothing is written, and a result is there once a run is over."""
    async with Engine(MemoryLog(), [Quick]) as engine:
        await engine.run(Quick, Errand(text="tea"), run="r", trusted="the desk")
        with pytest.raises(RunExists, match="there is a run r already: give the new one an id of its own"):
            await engine.start(Quick, Errand(), run="r")
        await engine.fork("r", 3, by="me", why="again", new="s")
        with pytest.raises(RunExists, match="there is a run s already"):
            await engine.fork("r", 3, by="me", why="again", new="s")
        assert (await engine.state("r")).values[0].trusted == "the desk"
        assert await engine.result("r") == Done("tea")
        await engine.start(Quick, Errand(seconds=3600), run="t")
        with pytest.raises(NotPossible, match="t is running and has no result"):
            await engine.result("t")
