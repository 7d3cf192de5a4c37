"""What every Log promises, as tests: derive from `LogConformance`, give `make`, and pytest runs all of it.

    class TestMyLog(LogConformance):
        async def make(self, home: Path) -> Log:
            return await MyLog.open(home / "log")

Needs pytest-asyncio, in any mode.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest
import pytest_asyncio

from statecore.checkpoint import Checkpoint
from statecore.codec import INLINE, MAX_BYTES
from statecore.errors import BadInput, Conflict, LogError
from statecore.events import ERASED, CallCompleted, CallStarted, Cancelled, Erased, Event, Moved, Payload, Purged
from statecore.log import Append, Batch, KeepsCheckpoints, Log, MemoryLog, Row, StreamInfo, Turn

DRAFT = Payload("Draft@1", '{"text":"Gr\u00fc\u00dfe \U0001f642","cost":1.50,"n":-0.0}'.encode())
EVENTS: tuple[Event, ...] = (
    CallCompleted("drafting#1", DRAFT),
    Moved(("drafted",), ("reviewing",), ("drafting",), ("reviewing",), (("confident", True),)),
    CallStarted("reviewing#1", "critic@1", effect="pure", reads=(2,), request=Payload("Draft@1", b"null")),
)


def one(stream: str, expected: int, *events: Event, at: float = 1.5, cause: str = "", label: str = "") -> Batch:
    return Batch((Append(stream, expected, events or (Cancelled("me"),), at, cause, label),))


def erasing(stream: str, expected: int) -> Batch:
    return Batch((Append(stream, expected, (Erased("me", "asked to"),), 9.0, erase=True),))


def purging(**streams: int) -> Batch:
    stubs = tuple(Purged(stream, "completed", events, "", "me", "old") for stream, events in streams.items())
    return Batch((Append("system/purged", 0, stubs, 9.0),), purge=streams)


def checkpoint(turn: Turn, first: int, end: int) -> Checkpoint:
    """A log does not look into one."""
    return Checkpoint(turn.stream, turn.version, turn.head, "fold", first, end, b"values", b"state")


async def stored(log: Log, stream: str | None = None) -> list[Row]:
    return [row async for row in log.rows(stream)]


async def turns(log: Log, stream: str, after: int = 0) -> list[Turn]:
    return [turn async for turn in log.read(stream, after)]


async def feed(log: Log, limit: int = 1000) -> list[Turn]:
    found: list[Turn] = []
    page, cursor = await log.follow("", limit)
    while page:
        found += page
        page, cursor = await log.follow(cursor, limit)
    return found


class LogConformance:
    pytestmark = pytest.mark.asyncio

    async def make(self, home: Path) -> Log:
        """An empty log, which may live in `home`. What is left in there belongs to one test."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def log(self, tmp_path: Path) -> AsyncIterator[Log]:
        log = await self.make(tmp_path)
        yield log
        await log.close()

    async def test_what_is_read_is_what_was_appended(self, log: Log) -> None:
        """Events, time, cause and payload bytes come back as they were given, and equal the turns that append gave."""
        first = await log.append(one("run", 0, *EVENTS, at=12.25, cause="Completed[Draft] drafting#1"))
        second = await log.append(one("run", 3, at=7))
        assert await turns(log, "run") == [*first, *second]
        [turn] = first
        assert (turn.version, turn.at, turn.cause, turn.events) == (3, 12.25, "Completed[Draft] drafting#1", EVENTS)
        completed = (await turns(log, "run"))[0].events[0]
        assert isinstance(completed, CallCompleted) and completed.value.data == DRAFT.data

    async def test_a_stale_append_conflicts_and_writes_nothing(self, log: Log) -> None:
        """An append that expects another version raises Conflict with both versions, and the stream is as it was."""
        await log.append(one("run", 0))
        for expected in (0, 2):
            with pytest.raises(Conflict) as caught:
                await log.append(one("run", expected))
            assert (caught.value.stream, caught.value.expected, caught.value.found) == ("run", expected, 1)
        assert [turn.version for turn in await turns(log, "run")] == [1]

    async def test_a_batch_is_all_or_nothing(self, log: Log) -> None:
        """One stale stream in a batch keeps every other stream of the batch as it was."""
        await log.append(one("b", 0))
        with pytest.raises(Conflict):
            await log.append(Batch((*one("a", 0).appends, *one("b", 0).appends, *one("c", 0).appends)))
        assert [info.name for info in await log.streams()] == ["b"]
        made = await log.append(Batch((*one("a", 0, *EVENTS).appends, *one("b", 1).appends)))
        assert [(turn.stream, turn.version) for turn in made] == [("a", 3), ("b", 2)]

    async def test_a_batch_may_append_to_a_stream_twice(self, log: Log) -> None:
        """The second append of a batch to the same stream expects what the first one leaves."""
        with pytest.raises(Conflict):
            await log.append(Batch((*one("a", 0).appends, *one("a", 0).appends)))
        await log.append(Batch((*one("a", 0).appends, *one("a", 1).appends)))
        assert [turn.version for turn in await turns(log, "a")] == [1, 2]

    async def test_a_scope_that_moved_conflicts(self, log: Log) -> None:
        """Scopes that a batch read are compared with it and counted up by it, so two cannot decide on one reading."""
        await log.append(Batch(one("a", 0).appends, {"budget": 0, "limit": 0}))
        with pytest.raises(Conflict) as caught:
            await log.append(Batch(one("b", 0).appends, {"limit": 1, "budget": 0}))
        assert (caught.value.stream, caught.value.found) == ("budget", 1)
        await log.append(Batch(one("b", 0).appends, {"budget": 1}))
        assert [await log.scope(name) for name in ("budget", "limit", "none")] == [2, 1, 0]

    async def test_of_two_who_expect_the_same_version_the_first_wins(self, log: Log) -> None:
        """Appends take effect in the order in which they were called, whatever is waited for in between."""
        outcomes = await asyncio.gather(
            *[log.append(one("run", 0, Cancelled(str(number)))) for number in range(5)], return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [tuple] + [Conflict] * 4
        assert (await turns(log, "run"))[0].events == (Cancelled("0"),)

    async def test_conflicts_of_others_do_not_touch_an_append(self, log: Log) -> None:
        """Appends that wait together stand or fall alone."""
        batches = [one(f"run-{number}", number % 2) for number in range(20)]
        outcomes = await asyncio.gather(*[log.append(batch) for batch in batches], return_exceptions=True)
        assert [isinstance(outcome, Conflict) for outcome in outcomes] == [number % 2 == 1 for number in range(20)]
        assert [info.name for info in await log.streams()] == [f"run-{number}" for number in range(0, 20, 2)]

    async def test_versions_have_no_gap_under_contention(self, log: Log) -> None:
        """Writers that race for one stream, each deciding anew after a conflict, leave versions 1..n and no doubt."""

        async def writer(name: str) -> None:
            done = 0
            while done < 5:
                version = len(await turns(log, "run"))
                try:
                    await log.append(one("run", version, Cancelled(name)))
                    done += 1
                except Conflict:
                    await asyncio.sleep(0)

        await asyncio.gather(*[writer(str(number)) for number in range(4)])
        assert [turn.version for turn in await turns(log, "run")] == list(range(1, 21))
        assert await log.verify() == []

    async def test_read_begins_after_a_version(self, log: Log) -> None:
        """`after` leaves out the turns that end at or before it; a stream that is not there is empty."""
        await log.append(one("run", 0, *EVENTS))
        await log.append(one("run", 3))
        assert [turn.version for turn in await turns(log, "run", 3)] == [4]
        assert await turns(log, "run", 4) == await turns(log, "none") == []

    async def test_a_long_stream_reads_in_order(self, log: Log) -> None:
        """More turns than any page come in order, each once."""
        for version in range(0, 1200, 4):
            four = [append for number in range(4) for append in one("run", version + number).appends]
            await log.append(Batch(tuple(four)))
        assert [turn.version for turn in await turns(log, "run")] == list(range(1, 1201))
        assert await log.verify() == await log.verify("run") == []

    async def test_many_streams_are_read_at_once(self, log: Log) -> None:
        """The turns of the streams that are asked for come by stream and version, others and absent ones do not."""
        names = [f"run-{number}" for number in range(40)]
        for version in range(3):
            await log.append(Batch(tuple(append for name in names for append in one(name, version).appends)))
        wanted = [*names[::3], "none"]
        found = [turn async for turn in log.read_many(wanted)]
        assert found == [turn for name in wanted for turn in await turns(log, name)]
        assert [turn async for turn in log.read_many([])] == []

    async def test_large_payloads_come_back(self, log: Log) -> None:
        """Values up to 8 MiB, several in a turn, are read, followed and verified as they were given."""
        sizes = (1, INLINE - 2, INLINE - 1, INLINE, 1_000_000, MAX_BYTES - 2)
        large = [
            CallCompleted("a", Payload("Draft", b'"%b"' % (bytes([97 + n]) * size))) for n, size in enumerate(sizes)
        ]
        made = [*await log.append(one("run", 0, *large)), *await log.append(one("run", 6, *large[::-1]))]
        assert await turns(log, "run") == await feed(log) == made
        assert [turn async for turn in log.read_many(["run"])] == made
        assert await log.verify() == await log.verify("run") == []

    async def test_erased_payloads_are_gone_and_the_rest_is_as_it_was(self, log: Log) -> None:
        """After an erasure each payload before it reads as erased; events, heads and other streams are as they were."""
        large = CallCompleted("a", Payload("Draft", b'"%b"' % (b"x" * INLINE)))
        before = [*await log.append(one("run", 0, *EVENTS)), *await log.append(one("run", 3, large))]
        await log.append(one("other", 0, *EVENTS))
        with pytest.raises(Conflict):
            await log.append(erasing("run", 3))
        await log.append(erasing("run", 4))
        after = await turns(log, "run")
        assert [turn.head for turn in after[:-1]] == [turn.head for turn in before]
        assert after[0].events[0] == CallCompleted("drafting#1", ERASED) and after[0].events[1] == EVENTS[1]
        assert after[1].events == (CallCompleted("a", ERASED),)
        assert (await turns(log, "other"))[0].events == EVENTS
        await log.append(one("run", 5, *EVENTS))
        assert (await turns(log, "run"))[-1].events == EVENTS
        assert [row.payloads for row in await stored(log, "run")][:3] == [None] * 3
        assert await log.verify() == await log.verify("run") == []

    async def test_a_purge_takes_whole_streams_and_leaves_what_says_so(self, log: Log) -> None:
        """Streams leave the log in the commit that records it, or all stay; the feed and the others go on."""
        for name in ("a", "b", "c"):
            await log.append(one(name, 0, *EVENTS, label="completed"))
        cursor = await log.end()
        for stale in (purging(a=3, b=2), purging(a=3, none=1)):
            with pytest.raises(Conflict):
                await log.append(stale)
        assert len(await log.streams()) == 3
        [stub] = await log.append(purging(a=3, c=3))
        assert [info.name for info in await log.streams()] == ["b", "system/purged"]
        assert await log.follow(cursor) == ([stub], await log.end())
        assert [turn.stream for turn in await feed(log)] == ["b", "system/purged"]
        assert not await turns(log, "a") and not await stored(log, "c")
        await log.append(one("a", 0, *EVENTS))
        await log.append(one("b", 3))
        assert len(await turns(log, "a")) == 1
        assert await log.verify() == []

    async def test_appends_that_wait_beside_a_purge_are_kept(self, log: Log) -> None:
        """A stream that is written, purged and begun anew within one moment is what came last."""
        await log.append(one("a", 0))
        work = [
            log.append(one("a", 1)),
            log.append(purging(a=2)),
            log.append(one("a", 0, *EVENTS)),
            log.append(one("b", 0)),
        ]
        await asyncio.gather(*work)
        assert [turn.events for turn in await turns(log, "a")] == [EVENTS]
        assert {info.name for info in await log.streams()} == {"a", "b", "system/purged"}
        assert await log.verify() == []

    async def test_rows_of_another_log_can_be_put_back(self, log: Log) -> None:
        """What one log had is in another as it was: bytes, heads, labels and times, also where payloads were erased."""
        other = MemoryLog()
        await other.append(one("run", 0, *EVENTS, label="running"))
        await other.append(one("run", 3, CallCompleted("a", Payload("x", b'"%b"' % (b"y" * INLINE))), at=4))
        await other.append(one("gone", 0, *EVENTS))
        await other.append(erasing("gone", 3))
        rows = await stored(other)
        await log.append(one("mine", 0))
        await log.restore(rows, {"run": "running"})
        assert [row._replace(position=0) for row in await stored(log)][1:] == [row._replace(position=0) for row in rows]
        assert await log.verify() == []
        assert [info.label for info in await log.streams()] == ["", "running", ""]
        await log.append(one("run", 4))
        await other.append(one("new", 0))
        with pytest.raises(Conflict, match="run"):
            await log.restore([*await stored(other, "new"), *rows], {})
        assert len(await turns(log, "run")) == 3 and await turns(log, "new") == []

    async def test_rows_that_were_changed_are_not_put_back(self, log: Log) -> None:
        """Rows that are missing, changed, or from a release that is not known are refused, with nothing written."""
        other = MemoryLog()
        for version in (0, 3, 6):
            await other.append(one("run", version, *EVENTS))
        rows = await stored(other)
        changed = rows[1]._replace(cause="x")
        unknown = rows[1]._replace(events=b'[["Exploded",1,{}]]')
        bare = rows[1].without_payloads()
        for bad in ([rows[0], rows[2]], rows[1:], [rows[0], changed], [rows[0], unknown], [*rows[:1], bare]):
            with pytest.raises(BadInput, match="not as it was written"):
                await log.restore(bad, {})
        assert await log.streams() == []

    async def test_checkpoints_are_kept_of_a_stream_as_it_is(self, log: Log) -> None:
        """One that says another version or head than the stream has just then, or names no stream, is not kept."""
        if not isinstance(log, KeepsCheckpoints):
            pytest.skip("this log keeps no checkpoints, as it may")
        [turn] = await log.append(one("run", 0, *EVENTS))
        good = checkpoint(turn, 0, 2)
        others = ({"version": 2}, {"head": bytes(32)}, {"stream": "none"})
        assert [await log.keep(attrs.evolve(good, **other)) for other in others] == [False] * 3
        assert await log.checkpoints("run") == await log.checkpoints("none") == []
        assert await log.keep(good) and await log.checkpoints("run") == [good]
        keeping, appending = log.keep(good), asyncio.ensure_future(log.append(one("run", 3)))
        assert await keeping
        [late] = await appending
        assert not await log.keep(good)
        assert await log.keep(checkpoint(late, 2, 2)) and await log.verify() == []

    async def test_a_checkpoint_takes_the_place_of_those_that_have_its_values(self, log: Log) -> None:
        """What is kept is one chain: a newer one empties the state of those it goes on from, and ends the others."""
        if not isinstance(log, KeepsCheckpoints):
            pytest.skip("this log keeps no checkpoints, as it may")
        both = [(0, 3), (3, 3)]
        for version, (first, end, left) in enumerate(
            ((0, 3, []), (3, 3, both[:1]), (3, 7, both), (3, 5, both), (0, 9, []))
        ):
            [turn] = await log.append(one("run", version))
            assert await log.keep(checkpoint(turn, first, end))
            found = await log.checkpoints("run")
            assert [(each.first, each.end) for each in found] == [*left, (first, end)]
            assert [each.state for each in found] == [b""] * len(left) + [b"state"]
            assert {each.values for each in found} == {b"values"} and found[-1] == checkpoint(turn, first, end)

    async def test_checkpoints_leave_with_what_they_were_made_of(self, log: Log) -> None:
        """In the commit that erases or purges a stream, also where they wait beside it; those of others stay."""
        if not isinstance(log, KeepsCheckpoints):
            pytest.skip("this log keeps no checkpoints, as it may")
        made = {name: (await log.append(one(name, 0, *EVENTS)))[0] for name in ("a", "b", "c")}
        for turn in made.values():
            assert await log.keep(checkpoint(turn, 0, 2))
        again = log.keep(checkpoint(made["a"], 0, 2))
        await log.append(erasing("a", 3))
        assert await again and not await log.keep(checkpoint(made["a"], 0, 2))
        assert [len(await log.checkpoints(name)) for name in made] == [0, 1, 1]
        with pytest.raises(Conflict):
            await log.append(purging(b=2))
        assert [len(await log.checkpoints(name)) for name in made] == [0, 1, 1]
        await log.append(purging(b=3))
        await log.append(one("b", 0, *EVENTS))
        assert not await log.keep(attrs.evolve(checkpoint(made["c"], 0, 2), stream="b"))
        assert [len(await log.checkpoints(name)) for name in made] == [0, 0, 1]
        await log.vacuum()
        assert len(await log.checkpoints("c")) == 1 and await log.verify() == []

    async def test_a_vacuum_changes_nothing_that_is_read(self, log: Log) -> None:
        """After the room was given back everything else is there, and the log goes on."""
        await log.append(one("run", 0, *EVENTS))
        await log.append(one("old", 0, *EVENTS))
        await log.append(purging(old=3))
        before = await stored(log)
        await asyncio.gather(log.vacuum(), log.append(one("other", 0)), log.vacuum())
        assert [row for row in await stored(log) if row.stream != "other"] == before
        assert await log.verify() == []

    async def test_streams_are_listed_under_their_label(self, log: Log) -> None:
        """The newest label that is not empty holds; streams come in the order in which they began."""
        await log.append(one("b", 0, at=1, label="running"))
        await log.append(one("a", 0, at=2, label="running"))
        await log.append(one("c", 0, at=3))
        await log.append(one("b", 1, at=4))
        await log.append(one("a", 1, *EVENTS, at=5, label="completed"))
        b, a = StreamInfo("b", 2, "running", 1.0, 4.0), StreamInfo("a", 4, "completed", 2.0, 5.0)
        assert await log.streams() == [b, a, StreamInfo("c", 1, "", 3.0, 3.0)]
        assert await log.streams(labels=frozenset({"running"})) == [b]
        assert await log.streams(labels=frozenset({"running", "completed", "none"})) == [b, a]
        assert await log.streams(labels=frozenset()) == []

    async def test_follow_gives_every_turn_once_in_commit_order(self, log: Log) -> None:
        """Whatever the page size, the feed is each turn once; a cursor at the end gives what comes later."""
        for number in range(7):
            await log.append(one(f"run-{number % 3}", number // 3))
        whole = await feed(log)
        assert [(turn.stream, turn.version) for turn in whole] == [(f"run-{n % 3}", n // 3 + 1) for n in range(7)]
        assert [turn.position for turn in whole] == sorted({turn.position for turn in whole})
        assert whole == await feed(log, 2) == await feed(log, 7)
        _, end = await log.follow("")
        assert await log.follow(end) == ([], end)
        late = await log.append(one("late", 0))
        assert (await log.follow(end))[0] == list(late)

    @pytest.mark.parametrize("cursor", ["x", "-1", "1.5", " 1", "\u0661"])
    async def test_a_foreign_cursor_is_refused(self, log: Log, cursor: str) -> None:
        """A cursor that follow never gave raises BadInput instead of starting anywhere."""
        with pytest.raises(BadInput, match="cursor"):
            await log.follow(cursor)

    @pytest.mark.parametrize(
        "batch",
        [
            Batch(()),
            Batch((Append("run", 0, (), 1.0),)),
            one("", 0),
            one("ru\x00n", 0),
            one("run\ud800", 0),
            one("run", 0, label="\udfff"),
            one("run", 0, cause="a\x00"),
            one("run", 0, at=float("nan")),
            one("run", 0, at=float("inf")),
            one("run", 0, Cancelled("\ud800")),
            one("run", 0, Cancelled(3)),  # type: ignore[arg-type]
            one("run", 0, CallCompleted("a", Payload("x", b""))),
            one("run", 0, CallCompleted("a", Payload("x", b'1],["y",2'))),
            one("run", 0, CallCompleted("a", Payload("x", b'"%b"' % (b"x" * 8 * 1024 * 1024)))),
        ],
    )
    async def test_what_cannot_be_kept_is_refused_and_nothing_is_written(self, log: Log, batch: Batch) -> None:
        """BadInput comes before anything of the batch is written, also for the streams beside the bad one."""
        with pytest.raises(BadInput):
            await log.append(Batch((*one("other", 0).appends, *batch.appends) if batch.appends else ()))
        assert await log.streams() == []

    async def test_odd_names_and_times_come_back(self, log: Log) -> None:
        """Names in any script, quotes and SQL in them, a negative zero and an integer for a time: read and verified."""
        names = ["r'; DROP TABLE turns; --", "\u4f60\u597d/\u0440\u0430\u0431", "%_*?", "\U0001f642", " "]
        for name, at in zip(names, (-0.0, 3, 1e300, 0.1, -5.5), strict=True):
            [made] = await log.append(one(name, 0, at=at, cause=name, label=name))
            assert await turns(log, name) == [made]
        assert [info.name for info in await log.streams(labels=frozenset(names))] == names
        assert await log.verify() == []

    async def test_an_untouched_log_verifies(self, log: Log) -> None:
        """Nothing is found in what nobody touched; a stream that is not there is said to be missing."""
        assert await log.verify() == []
        for version in (0, 3, 6):
            await log.append(one("run", version, *EVENTS))
        assert await log.verify() == await log.verify("run") == []
        assert [flaw.stream for flaw in await log.verify("none")] == ["none"]

    async def test_each_head_follows_from_all_before(self, log: Log) -> None:
        """The same turn has another head in another stream, after another past and a second time."""
        heads = [(await log.append(one(name, 0)))[0].head for name in ("a", "b")]
        heads += [(await log.append(one("a", 1)))[0].head, (await log.append(one("b", 1, at=2)))[0].head]
        assert len(set(heads)) == 4 and {len(head) for head in heads} == {32}

    async def test_a_cancelled_caller_breaks_nothing(self, log: Log) -> None:
        """Whenever its caller is cancelled, an append is in the log wholly or not at all, and the next one works."""
        for patience in range(12):
            name = f"run-{patience}"
            waiting = [asyncio.create_task(log.append(one(name, 0, *EVENTS))) for _ in range(2)]
            for _ in range(patience):
                await asyncio.sleep(0)
            waiting[0].cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            version = sum(len(turn.events) for turn in await turns(log, name))
            assert version in (0, 3)
            await log.append(one(name, version))
        assert await log.verify() == []

    async def test_a_closed_log_takes_nothing(self, log: Log) -> None:
        """After close an append raises LogError; closing again does nothing."""
        await log.append(one("run", 0))
        await log.close()
        await log.close()
        with pytest.raises(LogError, match="closed"):
            await log.append(one("run", 1))
