"""Every hand-over of a run: from, to, contract, size and what it was made of."""

import json
from pathlib import Path

import pytest

from statecore import Completed, Engine, Failed, Recorded, State, Transient, Warned, Workflow, any_state
from statecore.handed import handed
from statecore.log import MemoryLog
from statecore.replay import turns_of
from statecore.testing import Played, play
from tests import plans
from tests.crew import Crew, Job, Piece
from tests.desk import Desk
from tests.playground import QUICK
from tests.releases import Mixed, Request
from tests.support import Draft, Receipt, Review, SupportTicket, Ticket, Triage

SCRIPT = {
    "triaging": Triage("bug", 0.9),
    "drafting": [Transient("busy"), Warned(Draft("text"), ["from memory"])],
    "reviewing": Review(True, ""),
    "sending": Receipt("r"),
}


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


def told(played: Played) -> list[str]:
    return [line.strip() for message in handed(played.run, played.turns) for line in message.lines()]


def test_each_request_names_who_gave_what_it_was_made_of() -> None:
    """One for each specialist that a call went to, however many attempts; the input is called so."""
    played = play(SupportTicket, Ticket("s", "b"), {**SCRIPT, "drafting": Draft("text")})
    messages = list(handed(played.run, played.turns))
    assert [(message.call, message.to, message.request.contract) for message in messages] == [
        ("triaging#1", "triage@3", "Ticket"),
        ("drafting#1", "write_reply@1", "ReplyRequest"),
        ("reviewing#1", "critic@1", "Draft"),
        ("sending#1", "send_reply@1", "SendReply"),
    ]
    assert [[source.by for source in message.sources] for message in messages] == [
        ["start"],
        ["start", "triaging"],
        ["drafting"],
        ["start", "drafting"],
    ]
    assert "from the input Ticket@1, triaging (triage@3) Triage@1" in told(played)
    assert messages[0].request.data == b'{"subject":"s","body":"b"}' and len(messages[0].digest) == 64


def test_a_fallback_and_its_warnings_travel_downstream() -> None:
    """Another specialist is another hand-over of the same request; who reads its value sees that it was not the first."""
    crew = Crew()

    class Cutting(Workflow[Job], version="1"):
        """Cut with what there is, then polish."""

        cutting = State(
            crew("cut", Transient("blunt"), fails=[Transient]),
            initial=True,
            attempts=2,
            fallback=[crew("saw", lambda *_: Warned(Piece("rough"), ["it splinters"]))],
        )
        polishing = State(crew("polish", takes=Piece), give=lambda_free)
        done = State(final=True)
        lost = State(final=True, outcome="failed")

        cut = cutting.to(polishing, on=Completed[Piece])
        polished = polishing.to(done, on=Completed[Piece])
        gave_up = any_state.to(lost, on=Failed)

    played = play(Cutting, Job("x"))
    assert [message.to for message in handed(played.run, played.turns)] == ["cut@1", "saw@1", "polish@1"]
    assert "from cutting (saw@1) Piece@1 [by the fallback; warned: it splinters]" in told(played)


def lambda_free(cutting: Recorded[Piece]) -> Piece:
    assert cutting.fallback and cutting.warnings == ("it splinters",)
    return cutting.value


def test_the_command_lists_them_with_digest_and_size(desk: Desk) -> None:
    """For people a few lines, for scripts every field: whose run it is, and contracts with their versions."""
    run = desk.run(QUICK, "--tenant", "north", text="tea")
    said = desk("messages", run)
    assert said.code == 0 and said.out.endswith(f"1 hand-over in {run}\n")
    assert "working#1 -> work@1  Errand@1, 28 bytes, sha256 " in said.out and "from the input Errand" in said.out
    [message] = json.loads(desk("messages", run, "--json").out)
    assert (message["to"], message["bytes"], message["request"]["contract"]) == ("work@1", 28, "Errand@1")
    assert (message["from"][0]["by"], message["from"][0]["contract"]) == ("start", "Errand@1")
    whose = ("run", "workflow", "version", "tenant")
    assert [message[name] for name in whose] == [run, "Quick", "1", "north"]
    assert desk("messages", "nope").code == 2


def test_what_a_plan_hands_over_is_what_it_planned() -> None:
    """A request that was made at run time stands with the plan; one made of results names the parts that gave them."""
    job = plans.Job("oak", files=("a", "b"))
    played = play(plans.Many, job, None)
    found = [(message.call, message.request.data) for message in handed(played.run, played.turns)]
    assert found == [("checking#1/look:a", b'{"text":"a"}'), ("checking#1/look:b", b'{"text":"b"}')]
    played = play(plans.Diamond, job, None)
    last = list(handed(played.run, played.turns))[-1]
    assert last.call == "checking#1/weigh"
    assert [source.by for source in last.sources] == ["checking/left", "checking/right"]


async def test_the_versions_of_both_sides_are_told() -> None:
    """Which version was given, and which one the specialist takes, the first version too."""
    async with Engine(MemoryLog(), [Mixed]) as engine:
        run = await engine.run(Mixed, Request("late", "en"), run="mixed")
        lines = [line for message in handed(run, await turns_of(engine.log, "mixed")) for line in message.lines()]
    assert "posting#1 -> post@1  Letter@1," in lines[3]
    assert lines[4].strip() == "from writing (write@2) Letter@2"
