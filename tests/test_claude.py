"""A model as a specialist: declared, asked through the real library, and answered by a server on this machine."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import statecore.decider
from specialists.claude import MAX_TOKENS, Claude
from specialists.model import Declined, NoAnswer
from statecore import Completed, Engine, Failed, Rejected, State, Workflow, any_state, specialist
from statecore.call import key
from statecore.errors import DefinitionError
from statecore.events import CallCompleted, CallFailed, CallStarted
from statecore.graph import draw
from statecore.log import Log, MemoryLog
from statecore.replay import turns_of, verify
from statecore.run import Run
from statecore.sqlite import SqliteLog
from statecore.testing import Garbage, payload, play, survives, table_text
from tests.desk import Desk, ended, environment, process
from tests.messages_server import Api, Says, fault, said
from tests.shop import HOUR, Bounded, Inquiry, Reply, Replying, Ticket, Triage, Triaging, reply, triage

CANARY = "sk-ant-canary-0123456789"
LEAK = Ticket("it leaks", "since it rains")
BUG = {"topic": "bug", "confidence": 0.9}
SHOP = "tests.shop:Triaging"


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    async with Api(said(BUG)) as api:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
        monkeypatch.setattr(statecore.decider, "RETRY_BASE", 0.001)
        yield api


async def ran(workflow: Any, log: Log | None = None, ticket: Ticket = LEAK) -> tuple[Run, list[Any]]:
    """The run at its end, and its events."""
    async with Engine(log or MemoryLog(), [workflow]) as engine:
        run = await engine.run(workflow, ticket, run="run")
        assert await verify(engine.log, engine.registry) == []
        return run, [event for turn in await turns_of(engine.log, "run") for event in turn.events]


def failures(events: list[Any]) -> list[str]:
    return [event.failure.contract for event in events if isinstance(event, CallFailed)]


# -- declared


def declared(**changes: Any) -> Claude[Any, Any]:
    said = {"version": "3", "takes": Ticket, "gives": Triage, "model": "m", "prompt": "prompts/triage@3.md", **changes}
    return Claude("triage", **said)


def test_a_model_is_declared_in_one_line() -> None:
    """A pure specialist of its contracts, which keeps its prompt and what identifies it."""
    assert (triage.id, triage.effect, triage.kind, triage.max_tokens) == ("triage@3", "pure", "model", MAX_TOKENS)
    assert triage.takes.cls is Ticket and [given.cls for given in reply.gives] == [Reply, Inquiry]
    assert triage.prompt.text == (Path(__file__).parent / "prompts" / "triage@3.md").read_text()
    assert declared(gives=Reply | Inquiry).gives == reply.gives


@attrs.frozen
class Mapped:
    counts: dict[str, int]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"version": ""}, "expected a version, found ''"),
        ({"version": 3}, "expected a version, found 3"),
        ({"version": "4"}, "says version 3, expected 4"),
        ({"model": ""}, "expected the name of a model, found ''"),
        ({"prompt": "prompts/none.md"}, "found no file that can be read"),
        ({"max_tokens": 0}, "max_tokens=0, expected a number of tokens from 1 up"),
        ({"max_tokens": True}, "max_tokens=True"),
        ({"takes": str}, "expected attrs classes for takes and gives, found str"),
        ({"gives": [Triage, str]}, "found str"),
        ({"gives": []}, "it gives nothing"),
        ({"gives": [Triage, Triage]}, "it gives Triage and Triage"),
        ({"gives": Mapped}, "`Mapped.counts: dict[str, int]` is more than the schema of an answer can say"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(changes: dict[str, Any], told: str) -> None:
    """Before anything runs, and with the name of the specialist."""
    with pytest.raises(DefinitionError, match="claude 'triage': ") as refused:
        declared(**changes)
    assert told in str(refused.value)


def test_a_declaration_needs_neither_the_library_nor_an_event_loop() -> None:
    """What a model needs is imported when it is first asked."""
    script = "import sys, specialists.claude; assert not {'anthropic', 'asyncio', 'httpx2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[1])


def of(does: Any) -> Any:
    class Asking(Workflow[Ticket], version="1"):
        asking = State(does, initial=True)
        done = State(final=True)
        failed = State(final=True, outcome="failed")
        answered = asking.to(done, on=Completed[Triage])
        gave_up = any_state.to(failed, on=Failed)

    return Asking.machine.fingerprint


def test_model_and_prompt_are_no_part_of_the_fingerprint() -> None:
    """A run goes on when its model is replaced, as it does for every new version of a specialist."""
    other = declared(version="4", model="another", prompt="prompts/reply.md", max_tokens=7)
    assert of(triage) == of(other)


def test_a_function_may_stand_in_for_a_model() -> None:
    """The same workflow with a fake of the same contracts has the same fingerprint."""

    @specialist("triage", version="fake", effect="pure", fails=triage.fails)
    async def fake(ticket: Ticket) -> Triage:
        return Triage("bug", 1.0)

    assert of(fake) == of(triage)


def test_models_are_scripted() -> None:
    """The testing kit plays a workflow with a model as any other: no key, no network, no library."""
    assert play(Triaging, LEAK, {"triaging": Triage("bug", 0.9)}).moves == ("done",)
    assert play(Triaging, LEAK, {"triaging": Declined("bio")}).moves == ("would_not",)
    assert play(Triaging, LEAK, {"triaging": [Garbage(7), Garbage(7), Garbage(7)]}).moves == ("unfit",)
    assert survives(Replying, LEAK, {"replying": Inquiry("which?")}).kills > 1


# -- asked


async def test_the_server_sees_the_prompt_and_the_request_and_nothing_else(api: Api) -> None:
    """The system prompt is the file, the one message is the recorded request, byte for byte; no name of a run, a state
    or a key of a call goes along.
    """
    run, _ = await ran(Triaging)
    (seen,) = api.seen
    assert run.outcome == "completed" and run.result == payload(Triage("bug", 0.9))
    assert seen.texts == ['{"subject":"it leaks","body":"since it rains"}']
    assert seen.json["system"].encode() == (Path(__file__).parent / "prompts" / "triage@3.md").read_bytes()
    assert set(seen.json) == {"model", "max_tokens", "system", "messages", "output_config"}
    told = str(seen.headers) + seen.body.decode()
    assert not [word for word in ("triaging", "Triaging", key("run", "triaging#1")) if word in told]


async def test_an_answer_may_be_one_of_several(api: Api) -> None:
    """Told apart by the name that it gives itself, in the schema and in the answer."""
    api.says = [said({"question": "which?"}), said({"_type": "Inquiry", "question": "which?"})]
    run, events = await ran(Replying)
    assert run.config.states == ("asked",) and failures(events) == ["Rejected"]
    schema = api.seen[0].json["output_config"]["format"]["schema"]
    assert [schema["$defs"][arm["$ref"][8:]]["properties"]["_type"]["const"] for arm in schema["anyOf"]] == [
        "Reply",
        "Inquiry",
    ]


async def test_an_overloaded_server_is_asked_again(api: Api) -> None:
    """By the engine, as the next attempt of the call: 529, and then the answer."""
    api.says = [fault(529, "overloaded_error"), said(BUG)]
    run, events = await ran(Triaging)
    assert run.outcome == "completed" and failures(events) == ["Unavailable"] and len(api.seen) == 2
    assert api.seen[0].body == api.seen[1].body


async def test_a_server_that_asks_for_time_is_given_it(api: Api) -> None:
    """429 with retry-after: the next attempt is not before, and the log says when."""
    api.says = [fault(429, "rate_limit_error", retry_after="0.3"), said(BUG)]
    begun = asyncio.get_running_loop().time()
    run, events = await ran(Triaging)
    assert run.outcome == "completed" and asyncio.get_running_loop().time() - begun >= 0.3
    assert failures(events) == ["RateLimited"]


async def test_an_answer_that_does_not_fit_is_mended(api: Api) -> None:
    """The next attempt is told the faults beside the same request, and those of the last answer alone."""
    api.says = [said("Sure!"), said({**BUG, "confidence": 9}), said(BUG)]
    run, events = await ran(Triaging)
    assert run.outcome == "completed" and failures(events) == ["Rejected", "Rejected"]
    first, second, third = (seen.texts for seen in api.seen)
    assert first == second[:1] == third[:1]
    assert "not JSON" in second[1] and "Sure!" in second[1]
    assert "expected a confidence from 0 to 1, found 9" in third[1] and "Sure!" not in third[1]


async def test_an_answer_that_never_fits_goes_to_the_chart(api: Api) -> None:
    """Rejected after the last attempt, and answered by its transition."""
    api.says = [said('{"topic"')]
    run, events = await ran(Triaging)
    assert run.config.states == ("rejected",) and failures(events) == ["Rejected"] * 3


@pytest.mark.parametrize(
    ("says", "state", "failure", "times"),
    [
        (said(BUG, "stop_sequence"), "triaged", None, 1),
        (said(BUG, "max_tokens"), "rejected", Rejected, 3),
        (said("I will not.", "refusal"), "declined", Declined, 1),
        (said(BUG, "model_context_window_exceeded"), "failed", NoAnswer, 1),
        (said(BUG, "pause_turn"), "failed", NoAnswer, 1),
        (said(BUG, "tool_use"), "failed", NoAnswer, 1),
        (said(BUG, "of_tomorrow"), "failed", NoAnswer, 1),
        (said(BUG, None), "failed", NoAnswer, 1),
        (said("", content=[]), "rejected", Rejected, 3),
        (said("", content=[7, {"type": "thinking", "thinking": "hm", "signature": ""}]), "rejected", Rejected, 3),
        (said("", content=[{"type": "text"}, {"type": "text", "text": None}]), "rejected", Rejected, 3),
        (fault(400, "invalid_request_error"), "failed", NoAnswer, 1),
        (fault(401, "authentication_error"), "failed", NoAnswer, 1),
        (fault(413, "request_too_large"), "failed", NoAnswer, 1),
        (fault(500), "failed", statecore.Transient, 3),
    ],
)
async def test_each_way_to_stop_is_an_outcome(
    api: Api, says: Says, state: str, failure: type[statecore.Failure] | None, times: int
) -> None:
    """A value, or a failure that a transition can name; tried again where that may mend it."""
    api.says = [says]
    run, events = await ran(Triaging)
    assert run.config.states == (state,) and len(api.seen) == times
    assert failures(events) == ([failure.__name__] * times if failure else [])


async def test_a_refusal_says_why(api: Api) -> None:
    """The category and the words of the provider are fields of the failure, and in the log."""
    details = {"type": "refusal", "category": "cyber", "explanation": "it asks for malware"}
    api.says = [said("", "refusal", stop_details=details)]
    _, events = await ran(Triaging)
    (failed,) = [event for event in events if isinstance(event, CallFailed)]
    assert json.loads(failed.failure.data) == {"category": "cyber", "why": "it asks for malware"}


async def test_thoughts_before_an_answer_are_not_read(api: Api) -> None:
    """Only text is the answer, in as many blocks as it comes."""
    whole = json.dumps(BUG)
    thought = {"type": "thinking", "thinking": "{", "signature": "x"}
    texts = [{"type": "text", "text": part} for part in (whole[:9], whole[9:])]
    api.says = [said("", content=[thought, *texts])]
    run, _ = await ran(Triaging)
    assert run.result == payload(Triage("bug", 0.9))


async def test_the_time_of_a_state_bounds_its_model(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes down with the attempt. The hour is over once the request is there, however long that took."""
    api.says = [Says(hangs=True)]
    bounds, real = list[asyncio.Timeout](), asyncio.timeout

    def timeout(delay: float | None) -> asyncio.Timeout:
        made = real(delay)
        bounds.extend([made] if delay == HOUR else [])
        return made

    monkeypatch.setattr(asyncio, "timeout", timeout)
    running = asyncio.create_task(ran(Bounded))
    await api.came.wait()
    [bound] = bounds
    bound.reschedule(asyncio.get_running_loop().time())
    run, events = await running
    assert run.config.states == ("late",) and failures(events) == ["TimedOut"]
    await hung_up(api)


async def test_a_run_that_is_cancelled_hangs_up(api: Api) -> None:
    """Nobody waits for an answer that nobody wants."""
    api.says = [Says(hangs=True)]
    async with Engine(MemoryLog(), [Triaging]) as engine:
        await engine.start(Triaging, LEAK, run="run")
        await api.came.wait()
        assert (await engine.cancel("run", by="ana", why="not needed")).outcome == "cancelled"
        await hung_up(api)


async def hung_up(api: Api) -> None:
    async with asyncio.timeout(5):
        while not api.hung_up:
            await asyncio.sleep(0.01)


async def test_a_kill_in_the_middle_of_an_answer(api: Api, tmp_path: Path) -> None:
    """kill -9 while the model thinks; whoever resumes asks it the same again, as the same call, and one answer counts."""
    api.says = [Says(hangs=True), said(BUG)]
    env = environment(ANTHROPIC_BASE_URL=api.url, ANTHROPIC_API_KEY=CANARY)
    first = process("run", SHOP, "--input", '{"subject": "it leaks"}', "--json", cwd=tmp_path, env=env)
    async with asyncio.timeout(60):
        await api.came.wait()
    first.kill()
    await asyncio.to_thread(first.communicate)
    second = process("resume", "--workflow", SHOP, cwd=tmp_path, env=env)
    assert (await asyncio.to_thread(ended, second, 60)).code == 0
    async with Engine(await SqliteLog.open(tmp_path / "statecore.db"), [Triaging]) as engine:
        (info,) = await engine.log.streams()
        events = [event for turn in await turns_of(engine.log, info.name) for event in turn.events]
        started = [event for event in events if isinstance(event, CallStarted)]
        assert [(event.call, event.attempt, event.cuts) for event in started] == [("triaging#1", 1, n) for n in (0, 1)]
        assert len([event for event in events if isinstance(event, CallCompleted)]) == 1
        assert await verify(engine.log, engine.registry) == []
    assert len(api.seen) == 2 and api.seen[0].body == api.seen[1].body


async def test_the_key_is_nowhere(api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In no byte of the log, no line of a logger, no repr: also where the server repeats it, and where it is refused."""
    caplog.set_level(logging.DEBUG)
    api.says = [fault(529, "overloaded_error", f"{CANARY} is busy"), fault(401, "authentication_error", CANARY)]
    run, events = await ran(Triaging, await SqliteLog.open(tmp_path / "log.db"))
    assert run.config.states == ("failed",) and failures(events) == ["Unavailable", "NoAnswer"]
    assert b"HTTP 529" in kept(tmp_path) and CANARY.encode() not in kept(tmp_path)
    assert CANARY in str(api.seen[0].headers) and CANARY not in caplog.text
    assert CANARY not in repr((triage, run, events))


def kept(here: Path) -> bytes:
    """All that is in the files of a directory."""
    return b"".join(file.read_bytes() for file in here.iterdir() if file.is_file())


# -- listed


@pytest.fixture
def at_desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


def test_a_model_is_listed_with_what_identifies_it(at_desk: Desk) -> None:
    """`statecore specialists triage` prints kind, model, prompt, its version and digest, and the bound; in JSON too."""
    told = at_desk("specialists", "triage", "--workflow", SHOP).out
    short = triage.prompt.digest[:12]
    assert "  model, effect pure\n" in told
    assert f"  model claude-haiku-5-5, prompt triage@3, digest {short}, max_tokens 4096\n" in told
    (entry,) = at_desk("specialists", "triage", "--workflow", SHOP, "--json").json
    assert entry["kind"] == "model" and entry["details"] == {
        "model": "claude-haiku-5-5",
        "prompt": "triage@3",
        "digest": short,
        "max_tokens": 4096,
    }


def test_a_model_is_seen_in_check_and_pictures(at_desk: Desk) -> None:
    """As a model: by name in a picture, with what it runs on in a check; a table that is kept does not say on what."""
    assert "model triage@3 (pure, claude-haiku-5-5), 3 attempts" in at_desk("check", SHOP).out
    assert "model triage@3" in draw(Triaging.machine.chart, "mermaid")
    assert "model triage (pure)" in table_text(Triaging) and "claude-haiku" not in table_text(Triaging)
