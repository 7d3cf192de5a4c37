"""Open runs and a declaration that changes: who goes on, who is stuck and why, and moving them by a declared migration."""

import asyncio
import json
import sys
import types
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from statecore import (
    Completed,
    Compound,
    Done,
    Elapsed,
    Engine,
    Failed,
    History,
    Migration,
    Parallel,
    Signal,
    State,
    Wait,
    Workflow,
    any_state,
    rebuild,
)
from statecore.call import key
from statecore.decider import step
from statecore.errors import BadInput, LogFailed, NotPossible, UnknownRun, UnknownWorkflow
from statecore.events import Migrated, Payload
from statecore.log import Batch, MemoryLog, Turn
from statecore.messages import Interrupted
from statecore.registry import Registry
from statecore.replay import decided_otherwise, examine, turns_of, verify
from statecore.run import Run, evolve, replay
from statecore.sqlite import SqliteLog
from statecore.standing import migrated, stuck
from statecore.testing import given
from statecore.transfer import exported, restore
from statecore.upgrade import standing, upgrade_check
from tests.releases import (
    Go,
    Letter,
    LetterV1,
    New,
    Old,
    Parcel,
    Request,
    RequestV1,
    Sent,
    new,
    parcel,
    post,
    write,
    write_v1,
)

WHO = {"by": "ops", "why": "the new release"}


def declared(*migrations: Migration, **changes: Any) -> type[Workflow[Request]]:
    """The new release with other migrations, or with other things in its body."""
    body: dict[str, Any] = {
        "writing": State(write, initial=True),
        "waiting": State(),
        "sent": State(final=True),
        **changes,
    }
    body |= {
        "drafted": body["writing"].to(body["waiting"], on=Completed[Letter]),
        "let_go": body["waiting"].to(body["sent"], on=Signal[Go]),
        "gave_up": any_state.to(body["sent"], on=Failed),
    }
    said = {"version": "2", "migrations": list(migrations)}
    return types.new_class("Mail", (Workflow[Request],), said, lambda space: space.update(body))


TO_WAITING = Migration("Mail@1", states={"holding": "waiting", "drafting": "writing"})


@pytest.fixture
async def log() -> AsyncIterator[MemoryLog]:
    """A log of one run of the old release, `held`, which waits for a word, and one, `done`, that is over."""
    log = MemoryLog()
    kept = MemoryLog.close
    async with Engine(log, [Old]) as engine:
        await engine.run(Old, RequestV1("late"), run="held", tenant="acme")
        await engine.run(Old, RequestV1("late"), run="done")
        await engine.signal("done", Go())
        await engine.wait("done")
        log.close = nothing  # type: ignore[method-assign]
    log.close = kept.__get__(log)  # type: ignore[method-assign]
    yield log


async def nothing() -> None:
    """A log that outlives its engine."""


async def test_a_run_stays_with_its_declaration_until_it_is_migrated(log: MemoryLog) -> None:
    """It is parked beside the new release with what to do about it, goes on after, and is told from where."""
    async with Engine(log, [New]) as engine:
        await engine.resume()
        assert "loaded is 2 with" in engine.parked("held")
        assert engine.parked("held").endswith("or migrate it")
        assert await engine.migrate("held", New, **WHO) == ["held"]
        run = await engine.state("held")
        assert (run.version, run.fingerprint) == ("2", New.machine.fingerprint)
        assert run.config.states == ("waiting",)
        await engine.resume("held")
        await engine.signal("held", Go())
        run = await engine.wait("held")
        assert run.result is not None and run.result.data == b'{"what":"en: late"}'
        assert run.tenant == "acme"
        assert await verify(engine.log, Registry([Old, New])) == []


async def test_what_is_recorded_names_who_and_why_and_both_declarations(log: MemoryLog) -> None:
    """One event in one turn of its own."""
    async with Engine(log, [New]) as engine:
        await engine.migrate("held", New, **WHO)
        turn = (await turns_of(log, "held"))[-1]
        assert turn.cause == "Migrate"
        assert turn.events == (
            Migrated(
                "ops",
                "the new release",
                Old.machine.fingerprint,
                "Mail",
                "2",
                New.machine.fingerprint,
                ("waiting",),
                (),
                (("drafting", "writing"), ("holding", "waiting")),
            ),
        )


async def test_values_keep_their_bytes_and_take_the_new_names(log: MemoryLog) -> None:
    """What `drafting` gave is what `writing` gave, stored as it was."""
    before = await rebuild(log, "held")
    async with Engine(log, [New]) as engine:
        await engine.migrate("held", New, **WHO)
        after = await engine.state("held")
        assert [(v.by, v.payload) for v in after.values] == [
            ("start", before.values[0].payload),
            ("writing", before.values[1].payload),
        ]
        assert set(after.newest) == {("start", "Request"), ("writing", "Letter")}
        assert after.newest["writing", "Letter"] == after.values[1]
        assert dict(after.taken) == dict(before.taken)
        assert after.entries == {"drafting": 1, "writing": 1, "holding": 1, "waiting": 1}
        assert before.newest["drafting", "Letter"].by == "drafting"


async def test_a_state_that_takes_an_old_name_does_not_take_its_keys() -> None:
    """Entries go on under both names, so that no call gets the idempotency key of another."""
    turned = Migration("Mail@1", states={"drafting": "holding", "holding": "drafting"})

    class Mail(Workflow[RequestV1], version="3", migrations=[turned]):
        holding = State(write_v1, initial=True)
        drafting = State()
        sent = State(final=True)
        drafted = holding.to(drafting, on=Completed[LetterV1])
        back = drafting.to(holding, on=Signal[Go])
        gave_up = any_state.to(sent, on=Failed)

    run = given(Old, RequestV1("a")).when(Completed(LetterV1("b"))).run
    event = migrated(Mail.machine, run, **WHO)
    assert event.states == ("drafting",)
    assert evolve(run, event, 1.0).entries == {"drafting": 1, "holding": 1}


async def test_a_call_that_is_open_goes_on_under_its_own_key() -> None:
    """Whatever its state is called now, the receiver knows it."""
    run = given(Old, RequestV1("a")).run
    event = migrated(New.machine, run, **WHO)
    moved = evolve(run, event, 1.0)
    call = moved.calls["drafting#1"]
    assert (call.state, call.key) == ("writing", key(run.id, "drafting#1"))
    run = after(New, moved, Completed(Letter(("a",)), "drafting#1"))
    assert run.config.states == ("waiting",)
    assert run.newest["writing", "Letter@2"].by == "writing"
    _, cut = step(New.machine, moved, Interrupted("drafting#1"))
    assert (cut.calls["drafting#1"].state, cut.calls["drafting#1"].cuts) == ("writing", 1)


@pytest.mark.parametrize(
    ("to", "said"),
    [
        (
            lambda: declared(),
            'no migration leads from there to Mail 2 with fingerprint .*: declare Migration("Mail@1")',
        ),
        (lambda: declared(Migration("Mail@1")), "is in `holding`, which Mail 2 does not have: name in `states`"),
        (
            lambda: declared(Migration("Mail@1", states={"holding": "writing"})),
            "could not go on with Mail 2 .*: `writing` has something to do, and the run entered it when it had not",
        ),
        (lambda: New, ""),
        (lambda: Old, "is on Mail 1 with fingerprint .* already"),
    ],
    ids=["none", "gone", "work", "right", "same"],
)
async def test_a_migration_that_would_leave_a_run_stuck_is_refused(
    log: MemoryLog, to: Callable[[], type[Workflow[Any]]], said: str
) -> None:
    """With the reason, and the run is as it was."""
    async with Engine(log) as engine:
        if not said:
            await engine.migrate("held", to(), **WHO)
            return
        before = await turns_of(log, "held")
        with pytest.raises(NotPossible, match=said.replace("(", "\\(").replace(")", "\\)")):
            await engine.migrate("held", to(), **WHO)
        assert await turns_of(log, "held") == before


async def test_a_finished_run_is_not_migrated(log: MemoryLog) -> None:
    """It stays what it ended on; and of several runs none is moved where one cannot be."""
    async with Engine(log) as engine:
        with pytest.raises(NotPossible, match="done is completed"):
            await engine.migrate(["held", "done"], New, **WHO)
        assert (await engine.state("held")).version == "1"
        with pytest.raises(UnknownRun):
            await engine.migrate(["held", "nobody"], New, **WHO)
        with pytest.raises(BadInput):
            await engine.migrate([], New, **WHO)


def test_the_call_of_another_specialist_is_nobodys_work() -> None:
    """An open call goes on only with the one that it was made for, and with its effect."""
    run = given(Old, RequestV1("a")).run
    other = declared(TO_WAITING, writing=State(attrs.evolve(write, name="compose"), initial=True))
    with pytest.raises(
        NotPossible, match=r"drafting#1 waits for write@1 \(pure\), and `writing` has `compose` \(pure\)"
    ):
        migrated(other.machine, run, **WHO)
    once = declared(TO_WAITING, writing=State(attrs.evolve(write, effect="once"), initial=True))
    with pytest.raises(NotPossible, match=r"`writing` has `write` \(once\) to do in its place"):
        migrated(once.machine, run, **WHO)
    idle = declared(Migration("Mail@1", states={"drafting": "waiting"}))
    with pytest.raises(NotPossible, match="`waiting` has nothing to do in its place"):
        migrated(idle.machine, run, **WHO)


def test_a_value_that_no_upcaster_leads_to_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the run is moved, not when its hand-over wants the value."""
    run = given(Old, RequestV1("a")).when(Completed(LetterV1("!"))).run
    with pytest.raises(
        NotPossible, match=r"what `writing` gave cannot be read .*upcaster `lined` failed on a stored Letter"
    ):
        migrated(New.machine, run, **WHO)
    monkeypatch.setattr(Letter, "__upcasters__", {})
    with pytest.raises(NotPossible, match='nothing leads on from version 1: write @upcaster\\(Letter, "1"\\)'):
        migrated(new().machine, run, **WHO)


def test_a_value_that_a_run_will_not_have_is_named_with_the_way() -> None:
    """A hand-over of the new declaration needs what an old run never got, and does not get from here."""

    class Mail(Workflow[Request], version="2", migrations=[TO_WAITING]):
        writing = State(write, initial=True)
        asking = State(post, give=parcel)
        waiting = State()
        posting = State(post, give=bound)
        end = State(final=True)
        drafted = writing.to(asking, on=Completed[Letter])
        asked = asking.to(waiting, on=Completed[Sent])
        let_go = waiting.to(posting, on=Signal[Go])
        posted = posting.to(end, on=Completed[Sent])
        gave_up = any_state.to(end, on=Failed)

    run = given(Old, RequestV1("a")).when(Completed(LetterV1("b"))).run
    with pytest.raises(NotPossible) as refused:
        migrated(Mail.machine, run, **WHO)
    assert "hand-over `bound` of `posting` needs `sent: Sent`, which the run has not got on this way" in str(
        refused.value
    )
    assert "Signal[Go]  let_go -> posting" in str(refused.value)
    early = given(Old, RequestV1("a")).run
    assert migrated(Mail.machine, early, **WHO).states == ("writing",)


def bound(letter: Letter, sent: Sent) -> Parcel:
    return Parcel(sent.what, letter)


def after(workflow: type[Workflow[Any]], run: Run, input: Any) -> Run:
    return step(workflow.machine, run, input)[1]


async def test_a_run_that_cannot_be_read_any_more_is_parked_before_anything_is_done(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upcaster that fails later than the migration: the reason is said, nothing is appended, and once it is mended
    the run goes on.
    """
    async with Engine(log) as engine:
        await engine.migrate("held", New, **WHO)
        before = await turns_of(log, "held")

        def torn(stored: dict[str, Any]) -> dict[str, Any]:
            raise ValueError("torn")

        with monkeypatch.context() as patch:
            patch.setattr(Letter, "__upcasters__", {"1": torn})
            await engine.resume("held")
            assert "upcaster `torn` failed on a stored Letter: ValueError: torn" in engine.parked("held")
            with pytest.raises(UnknownWorkflow, match="torn"):
                await engine.signal("held", Go())
        assert await turns_of(log, "held") == before
        await engine.resume("held")
        assert engine.parked("held") == ""
        await engine.signal("held", Go())
        assert (await engine.wait("held")).outcome == "completed"


async def test_what_is_worked_on_is_not_migrated(tmp_path: Path) -> None:
    """A run with a timer or a call in flight in this process is left alone; so is one that begins."""
    hanging = attrs.evolve(write_v1, fn=forever)

    class Mail(Workflow[RequestV1], version="1"):
        drafting = State(hanging, initial=True)
        sent = State(final=True)
        drafted = drafting.to(sent, on=Completed[LetterV1])
        gave_up = any_state.to(sent, on=Failed)

    async with Engine(MemoryLog(), [Mail]) as engine:
        await engine.start(Mail, RequestV1("a"), run="busy")
        await asyncio.sleep(0)
        with pytest.raises(NotPossible, match="busy: worked on here"):
            await engine.migrate("busy", New, **WHO)


async def forever(request: RequestV1) -> LetterV1:
    await asyncio.sleep(3600)
    return LetterV1("")


async def test_two_who_migrate_at_once_do_it_once(log: MemoryLog) -> None:
    """The second finds it worked on, or done; a resume at the same time waits for the end of it."""
    read = log.read

    async def slowly(stream: str, after: int = 0) -> AsyncIterator[Turn]:
        await asyncio.sleep(0)
        async for turn in read(stream, after):
            yield turn

    async def slowly_appended(batch: Batch) -> tuple[Turn, ...]:
        await asyncio.sleep(0)
        return await append(batch)

    append = log.append
    log.read, log.append = slowly, slowly_appended  # type: ignore[method-assign]
    async with Engine(log, [New]) as engine:
        found = await asyncio.gather(
            engine.migrate("held", New, **WHO),
            engine.migrate("held", New, **WHO),
            engine.resume("held"),
            return_exceptions=True,
        )
        assert sum(isinstance(each, NotPossible) for each in found) == 1
        assert engine.parked("held") == ""
        events = [event for turn in await turns_of(log, "held") for event in turn.events]
        assert sum(isinstance(event, Migrated) for event in events) == 1


async def test_a_log_that_fails_breaks_the_engine_as_it_does_elsewhere(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the commit took place is unknown: nothing more is started on it."""

    async def torn(batch: Batch) -> tuple[Turn, ...]:
        raise LogFailed("torn")

    engine = Engine(log, [New])
    monkeypatch.setattr(log, "append", torn)
    for _ in range(2):
        with pytest.raises(LogFailed):
            await engine.migrate("held", New, **WHO)
    await engine.close()


def test_nested_places_go_with_their_compound_and_history_is_kept() -> None:
    """The innermost states are mapped, what is around them is that of the new chart."""

    class Was(Workflow[RequestV1], version="1"):
        class both(Parallel, initial=True):
            class left(Compound):
                a = State(write_v1, initial=True)
                end = State(final=True)
                over = a.to(end, on=Completed[LetterV1])

            class right(Compound):
                b = State(initial=True)
                end = State(final=True)
                over = b.to(end, on=Signal[Go])

            where = History(deep=True)

        held = State()
        end = State(final=True)
        hold = both.to(held, on=Signal[Sent])
        back = held.to(both.where, on=Signal[Sent])
        joined = both.to(end, on=Done)
        gave_up = any_state.to(end, on=Failed)

    names = {"both": "all", "both/left/a": "all/left/first", "held": "kept"}

    class Now(Workflow[RequestV1], version="1", migrations=[Migration("Was@1", states=names)]):
        class all(Parallel, initial=True):
            class left(Compound):
                first = State(write_v1, initial=True)
                end = State(final=True)
                over = first.to(end, on=Completed[LetterV1])

            class right(Compound):
                b = State(initial=True)
                end = State(final=True)
                over = b.to(end, on=Signal[Go])

            where = History(deep=True)

        kept = State()
        end = State(final=True)
        hold = all.to(kept, on=Signal[Sent])
        back = kept.to(all.where, on=Signal[Sent])
        joined = all.to(end, on=Done)
        gave_up = any_state.to(end, on=Failed)

    run = given(Was, RequestV1("a")).run
    event = migrated(Now.machine, run, **WHO)
    assert event.states == ("all", "all/left", "all/left/first", "all/right", "all/right/b")
    moved = evolve(run, event, 1.0)
    assert moved.calls["both/left/a#1"].state == "all/left/first"
    left = after(Now, moved, Completed(LetterV1("b"), "both/left/a#1"))
    assert "all/left/end" in left.config.states

    held = given(Was, RequestV1("a")).when(Signal(Sent("x"))).run
    event = migrated(Now.machine, held, **WHO)
    assert event.states == ("kept",)
    assert held.config.history == (("both/where", ("both/left", "both/left/a", "both/right", "both/right/b")),)
    assert event.history == (("all/where", ("all/left", "all/left/first", "all/right", "all/right/b")),)
    back = after(Now, evolve(held, event, 1.0), Signal(Sent("x")))
    assert "all/left/first" in back.config.states


async def test_a_migrated_run_rebuilds_the_same_and_each_part_is_verified_by_its_own(log: MemoryLog) -> None:
    """With one of the two declarations only its part is decided again, and that is said."""
    async with Engine(log, [New]) as engine:
        await engine.migrate("held", New, **WHO)
        await engine.resume("held")
        await engine.signal("held", Go())
        run = await engine.wait("held")
        assert await rebuild(log, "held") == run
        turns = await turns_of(log, "held")
        assert replay("held", ((turn.at, turn.events) for turn in turns)) == run
        whole = await examine(log, Registry([Old, New]), "held")
        assert (whole.flaws, dict(whole.skipped)) == ((), {})
        for known in (Old, New):
            part = await examine(log, Registry([known]), "held")
            assert part.flaws == ()
            assert "which" in part.skipped["held"] or "loaded is" in part.skipped["held"]


async def test_a_migration_that_was_not_so_is_found(log: MemoryLog) -> None:
    """`verify` maps the configuration once more."""
    async with Engine(log, [New]) as engine:
        await engine.migrate("held", New, **WHO)
        turns = await turns_of(log, "held")
        event = turns[-1].events[0]
        assert isinstance(event, Migrated)
        forged = [*turns[:-1], attrs.evolve(turns[-1], events=(attrs.evolve(event, states=("posting",)),))]
        flaws, undecided = decided_otherwise(forged, Registry([Old, New]))
        assert [flaw.what for flaw in flaws] == [
            f"was recorded as `migrated to Mail 2 with fingerprint {New.machine.fingerprint[:12]}, in posting, said"
            f" ops: the new release`, and is decided as `migrated to Mail 2 with fingerprint"
            f" {New.machine.fingerprint[:12]}, in waiting, said ops: the new release`"
        ]
        assert undecided == ""


async def test_each_open_run_is_told_how_it_stands(log: MemoryLog) -> None:
    """It goes on, can be migrated, or is stuck with the reason; a finished one is not asked about."""
    for known, how, why in (
        ([Old], "goes on", ""),
        ([Old, New], "goes on", ""),
        ([New], "migrate", ""),
        ([declared()], "stuck", "loaded is 2 with"),
        ([declared(Migration("Mail@1"))], "stuck", "is in `holding`, which Mail 2 does not have"),
        ([], "stuck", "which is not loaded (loaded: none)"),
    ):
        (found,) = await upgrade_check(log, Registry(known))
        assert (found.run.id, found.how) == ("held", how), (known, found)
        assert why in " ".join(found.why)


def test_a_value_that_its_own_class_does_not_admit_any_more_is_found() -> None:
    """A validator that came later is in no fingerprint: only reading the values shows whom it strikes."""
    registry = Registry([New])
    run = given(New, Request("a", "en")).when(Completed(Letter(("b",)))).run
    assert standing(registry, run).how == "goes on"
    letter = run.values[1]
    longer = attrs.evolve(letter, payload=Payload("Letter@2", b'{"lines":["b"],"more":1}'))
    found = standing(registry, attrs.evolve(run, newest={**run.newest, ("writing", "Letter@2"): longer}))
    assert found.how == "stuck"
    assert found.why == ("what `writing` gave cannot be read (Letter@2: unknown field: more @ $)",)


def test_a_migration_reads_as_it_is_declared() -> None:
    """By name and version, by a fingerprint, or by how one begins."""
    run = given(Old, RequestV1("a")).run
    whole = Old.machine.fingerprint
    covered = [Migration(old).covers(run) for old in ("Mail@1", whole, whole[:12], "Mail@2", "Other@1", "0" * 12)]
    assert covered == [True, True, True, False, False, False]


CRASH = """
import asyncio, os, sys
from pathlib import Path
from statecore import Engine
from statecore.sqlite import SqliteLog
from tests.releases import New, Old, RequestV1

async def main():
    path = Path(sys.argv[1])
    async with Engine(await SqliteLog.open(path), [Old]) as engine:
        for n in range(20):
            await engine.run(Old, RequestV1("late"), run=f"r{n}")
    engine = Engine(await SqliteLog.open(path), [New])
    append = engine.log.append
    async def cut(batch):
        if sys.argv[2] == "before":
            os._exit(9)
        await append(batch)
        os._exit(9)
    engine.log.append = cut
    await engine.migrate([f"r{n}" for n in range(20)], New, by="ops", why="now")

asyncio.run(main())
"""


@pytest.mark.parametrize(("when", "version"), [("before", "1"), ("after", "2")])
async def test_a_crash_leaves_all_of_them_or_none(tmp_path: Path, when: str, version: str) -> None:
    """Twenty runs are migrated in one commit: before it nothing happened, after it everything."""
    database = tmp_path / "log.db"
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", CRASH, str(database), when)
    assert await worker.wait() == 9
    async with await SqliteLog.open(database) as log:
        assert {(await rebuild(log, f"r{n}")).version for n in range(20)} == {version}
        assert await verify(log, Registry([Old, New])) == []


async def test_a_migrated_run_is_exported_and_imported_like_any_other(log: MemoryLog) -> None:
    """And its JSON is as plain as that of the others."""
    async with Engine(log, [New]) as engine:
        await engine.migrate("held", New, **WHO)
        lines = [line async for line in exported(log, "held")]
        assert all(json.loads(line) for line in lines)
        async with MemoryLog() as other:
            await restore(other, lines)
            assert await rebuild(other, "held") == await rebuild(log, "held")


def test_stuck_asks_nothing_of_a_run_that_is_over() -> None:
    """Its values are for reading, and no hand-over wants them."""
    over = Run(id="over", outcome="completed")
    assert [*stuck(New.machine, over)] == []


@pytest.mark.parametrize(("named", "kept"), [("resting", True), ("sleeping", False)])
async def test_a_time_that_runs_goes_on_only_where_the_new_declaration_has_it(named: str, kept: bool) -> None:
    """A run that waits is migrated where its state has a time under the same name, and else the refusal says why."""

    def waiting(name: str, version: str, *migrations: Migration) -> type[Workflow[Request]]:
        body: dict[str, Any] = {name: State(Wait(60.0), initial=True), "over": State(final=True)}
        body["rested"] = body[name].to(body["over"], on=Elapsed)
        said = {"version": version, "migrations": list(migrations)}
        return types.new_class("Waiting", (Workflow[Request],), said, lambda space: space.update(body))

    old = waiting("resting", "1")
    new = waiting(named, "2", Migration("Waiting@1", states={} if kept else {"resting": named}))
    async with Engine(MemoryLog(), [old, new]) as engine:
        await engine.run(old, Request("late", "en"), run="run")
        if kept:
            assert await engine.migrate("run", new, **WHO) == ["run"]
            assert (await engine.state("run")).timers.keys() == {"resting"}
        else:
            with pytest.raises(NotPossible, match="in the middle of the time of `resting`, which Waiting 2"):
                await engine.migrate("run", new, **WHO)
