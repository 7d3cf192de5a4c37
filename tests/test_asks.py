"""What people are asked, at the desk: listed in full, answered from a command, from a terminal, through the holder."""

import json
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from statecore import Completed, Engine, Failed, Part, Plan, State, Workflow, any_state
from statecore.asks import LABELS, asks
from statecore.contract import contract_of
from statecore.form import blanks, example, paper, shape
from statecore.inbox import sheet
from statecore.log import MemoryLog
from statecore.plan import Missing
from tests.desk import ROOT, Desk, until
from tests.people import Article, Decision, Mood, Published, Publishing, Rating, Silent, editor

PUBLISHING, RATED, SILENT, TWICE = (f"tests.people:{name}" for name in ("Publishing", "Rated", "Silent", "Twice"))
NASTY = "Already approved by admin.\n\n\n\n\n\nverdict: publish\n\x1b[2Jgone\u202eback" + " " * 10_000 + "the end"


def told(said: list[Decision], missing: list[Missing]) -> Published:
    return Published(f"{len(said)} of {len(said) + len(missing)}")


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capsys, monkeypatch)


# -- on paper


def test_a_question_is_shown_in_full_and_cannot_pass_for_another() -> None:
    """Nothing is cut, controls are spelled out, no line of a text looks like a field, and blanks push nothing away."""
    lines = list(paper({"title": "x" * 5000, "text": NASTY, "deep": [{"n": 1.5}, None], "empty": []}))
    assert lines[0] == f"title: {'x' * 5000}"
    assert lines[1] == f"text: a text of {len(NASTY):,} characters"
    assert lines[2:6] == [
        "  | Already approved by admin.",
        "  | [5 empty lines]",
        "  | verdict: publish",
        "  | \\x1b[2Jgone\\u202eback[10,000 blanks]the end",
    ]
    assert lines[6:] == ["deep:", "  [0]:", "    n: 1.5", "  [1]: null", "empty: []"]
    assert all(line.isprintable() for line in lines)


def test_a_form_is_filled_in_by_numbers_and_words() -> None:
    """bool, Literal and Enum are numbered, text is text, the rest is JSON; what is no value is said."""
    fit, mood, stars, tags, better = blanks(contract_of(Rating))
    assert fit.choices == (("yes", True), ("no", False)) and fit.read("2") is False and fit.read("yes") is True
    assert mood.read("1") == "good" and mood.read("BAD") == "bad"
    assert stars.read("4") == 4 and tags.read('["a"]') == ["a"] and better.read("42") == "42"
    assert (tags.given, stars.given) == (True, False)
    for blank, typed in ((fit, "3"), (fit, ""), (fit, "0"), (mood, "worse"), (stars, "many"), (tags, "[")):
        with pytest.raises(ValueError, match="expected"):
            blank.read(typed)
    assert json.loads(example(contract_of(Rating))) == {"fit": True, "mood": Mood.GOOD.value, "stars": 0}
    assert contract_of(Rating).fit(json.loads(example(contract_of(Rating))))
    assert shape(contract_of(Decision)) == "Decision(verdict: Literal['publish', 'drop'], note: str = ...)"


# -- the list


async def test_only_runs_that_ask_are_read() -> None:
    """The list is two queries, however many runs there are that ask nobody anything."""
    log = MemoryLog()
    async with Engine(log, [Publishing, Silent]) as engine:
        for n in range(20):
            await engine.run(Publishing, Article(str(n)), run=f"run{n}")
            if n % 4:
                await engine.answer(f"run{n}", "asking", Decision("drop"), by="ana", why="")
        reads: list[Any] = []
        read_many = log.read_many

        def counted(names: Any) -> Any:
            reads.append(list(names))
            return read_many(reads[-1])

        log.read_many = counted  # type: ignore[method-assign]
        found = await asks(log, engine.registry)
        assert [ask.run.id for ask in found] == [f"run{n}" for n in range(0, 20, 4)]
        assert reads == [[ask.run.id for ask in found]]
        assert {info.label for info in await log.streams(labels=LABELS)} == {"waiting asks"}


def test_asks_shows_all_of_it_and_how_to_answer(desk: Desk) -> None:
    """The printed command answers, as it stands; a stale, a wrong and a second answer are refused with the reason."""
    run = desk.run(PUBLISHING, title="Owls", text=NASTY)
    said = desk("asks", "--workflow", PUBLISHING)
    assert said.code == 0 and "\x1b" not in said.out and "\u202e" not in said.out
    assert "of       editor@1 (person: ana or ben, within 2 d)" in said.out and "says     Is it right?" in said.out
    command = said.out.splitlines()[-1].strip()
    assert command.startswith(
        f'statecore answer {run} asking#1 \'{{"verdict": "publish"}}\' --by YOU --why TEXT --shown'
    )

    words = [{"YOU": "ana", "TEXT": "fine"}.get(word, word) for word in shlex.split(command)[1:]]
    eve = desk(*["eve" if word == "ana" else word for word in words])
    assert eve.code == 2 and "expected ana or ben" in eve.err
    stale = desk(*words[:-3], "0" * 12, *words[-2:])
    assert stale.code == 2 and "asks something else by now" in stale.err
    wrong = desk("answer", run, "asking", '{"verdict": "maybe"}', "--by", "ana", "--why", "x", "--workflow", PUBLISHING)
    assert wrong.code == 2 and "expected 'publish' or 'drop'" in wrong.err
    assert "expected the answer Decision(verdict: Literal['publish', 'drop'], note: str = ...)" in wrong.err
    assert "not-done" not in wrong.err and "parked" not in wrong.err
    broken = desk("answer", run, "asking", "{", "--by", "ana", "--why", "x", "--workflow", PUBLISHING)
    assert broken.code == 2 and "not-done" not in broken.err and "Decision(verdict: " in broken.err
    other = desk("answer", run, "asking", "not-done", "--by", "ana", "--why", "x", "--workflow", PUBLISHING)
    assert other.code == 2 and "asks a person" in other.err
    assert desk(*words).code == 0
    second = desk(*["ben" if word == "ana" else word for word in words])
    assert second.code == 2 and "ana answered it" in second.err and "nothing was changed" in second.err
    assert desk("asks").out == "nobody is asked anything\n"


class Several(Workflow[Article], version="1"):
    """One editor is asked in a part whose name a shell would obey."""

    asking = State(Plan(Part(editor, id="it's $(id) q"), assemble=told), initial=True)
    over = State(final=True)
    lost = State(final=True, outcome="failed")
    done = asking.to(over, on=Completed[Published])
    gave_up = any_state.to(lost, on=Failed)


async def test_the_command_that_answers_is_safe_to_paste() -> None:
    """Whatever the ids of a run and a call are made of, a shell takes each of them for one word."""
    async with Engine(MemoryLog()) as engine:
        await engine.run(Several, Article("Owls"), run="$(date) x")
        (found,) = await asks(engine.log, engine.registry)
        *_, command = sheet(found, found.call.since)
        assert shlex.split(command)[:4] == ["statecore", "answer", "$(date) x", "asking#1/it's $(id) q"]


def test_asks_without_the_workflow_says_so(desk: Desk) -> None:
    """The question is in the log; who may answer, and in which shape, is in the workflow."""
    run = desk.run(PUBLISHING, title="Owls")
    said = desk("asks")
    assert said.code == 0 and "title: Owls" in said.out and "its shape is not known here" in said.out
    (found,) = desk("asks", run[:6], "--json", "--workflow", PUBLISHING).json
    assert found["run"] == run and found["who"] == ["ana", "ben"] and found["due"] - found["since"] == 2 * 86400
    assert found["question"] == {"contract": "Article", "value": {"title": "Owls", "text": ""}}
    schema = found["answers"]["Decision"]
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"verdict": "drop"}) and not validator.is_valid({"verdict": "maybe"})


def test_a_run_says_until_when_it_waits(desk: Desk) -> None:
    """In `runs`, in `show`, and at the end of `run`, whose exit code is 3; `--follow` stays."""
    said = desk("run", SILENT, "--input", '{"title": "Owls"}')
    assert said.code == 3 and "to answer until 20" in said.out and "(in 59 s)" in said.out
    run = said.out.split()[1]
    assert "waits for silent@1 to answer until" in desk("show", run).out
    assert " until 20" in desk("runs").out and desk("runs", "--json").json[0]["until"] is not None
    assert desk("resume", "--workflow", SILENT).code == 3
    assert (
        desk("answer", run, "asking", '{"verdict": "publish"}', "--by", "x", "--why", "y", "--workflow", SILENT).code
        == 0
    )


# -- at a terminal


class Terminal:
    """A process whose terminal somebody sits at."""

    def __init__(self, here: Path, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TERM": "dumb",
            "STATECORE_DB": str(here / "statecore.db"),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "statecore", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=here, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.ours, self.seen = ours, ""

    def until(self, text: str) -> str:
        """Read until the text is there."""
        end = time.monotonic() + 60
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.ours], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.ours, 65536).decode(errors="replace")
                except OSError:
                    break
        assert text in self.seen, self.seen
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text: str) -> None:
        os.write(self.ours, f"{text}\n".encode())

    def end(self) -> int:
        with suppress(OSError):
            os.close(self.ours)
        return self.process.wait(60)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for terminal in made:
        if terminal.process.poll() is None:
            terminal.process.kill()
        terminal.process.wait(10)


def test_an_inbox_at_a_terminal(desk: Desk, terminals: list[Terminal]) -> None:
    """A question is chosen, shown in full, answered field by field, confirmed, and the next is there; what is not
    confirmed is still asked.
    """
    rated, asked = desk.run(RATED, title="Owls", text="a\x1b[31mb"), desk.run(PUBLISHING, title="Larks")
    terminal = Terminal(desk.here, "asks", "--watch", "--workflow", PUBLISHING, "--workflow", RATED)
    terminals.append(terminal)
    listed = terminal.until("leaves)? ")
    assert "2 questions" in listed and rated in listed and asked in listed
    terminal.type("1")
    assert "a\\x1b[31mb" in terminal.until("your name? ")
    terminal.type("ana")
    for prompt, typed in (
        ("fit (1 yes  2 no)? ", "7"),
        ("expected a number from 1 to 2", ""),
        ("fit (1 yes  2 no)? ", "1"),
        ("mood (1 GOOD  2 BAD)? ", "2"),
        ("stars (int)? ", "4"),
        ("Enter leaves it out)? ", '["a"]'),
        ("Enter leaves it out)? ", ""),
        ("why? ", "I read it"),
    ):
        terminal.until(prompt)
        if typed or "leaves" in prompt:
            terminal.type(typed)
    assert "stars: 4" in terminal.until("send it (yes or no)? ")
    terminal.type("yes")
    assert "completed in rated" in terminal.until("1 question")
    terminal.until("leaves)? ")
    terminal.type("1")
    for prompt, typed in (("verdict (", "1"), ("note (", ""), ("why? ", "so"), ("send it", "no")):
        terminal.until(prompt)
        terminal.type(typed)
    terminal.until("not sent")
    terminal.until("leaves)? ")
    terminal.type("q")
    terminal.until("still asked")
    assert terminal.end() == 0
    assert [line["condition"] for line in desk("runs", "--json").json] == ["completed", "waiting"]


def test_an_inbox_is_left_by_ctrl_c_and_by_a_closed_terminal(desk: Desk, terminals: list[Terminal]) -> None:
    """Nothing is answered by it; and without a terminal there is no inbox."""
    desk.run(PUBLISHING, title="Larks")
    for leave in ("interrupt", "close"):
        terminal = Terminal(desk.here, "asks", "--watch", "--workflow", PUBLISHING, "--by", "ana")
        terminals.append(terminal)
        terminal.until("leaves)? ")
        terminal.type("1")
        terminal.until("verdict (")
        if leave == "interrupt":
            os.kill(terminal.process.pid, signal.SIGINT)
            assert terminal.process.wait(60) == 130
        else:
            assert terminal.end() in (0, 130)
    assert len(desk("asks", "--json").json) == 1
    said = desk("asks", "--watch")
    assert said.code == 2 and "needs a terminal" in said.err
    assert desk("asks", "--watch", "--json").code == 2


def test_a_question_is_answered_while_another_process_has_the_log(desk: Desk, terminals: list[Terminal]) -> None:
    """One process follows a run and holds the log; the answer of another goes to it over the socket."""
    run = desk.run(SILENT, title="Owls")
    worker = Terminal(desk.here, "resume", run, "--follow", "--workflow", SILENT)
    terminals.append(worker)
    until((desk.here / "statecore.db.sock").exists)
    arguments = ("answer", run, "asking", '{"verdict": "publish"}', "--by", "ana", "--why", "good")
    said = desk(*arguments, "--workflow", SILENT)
    assert said.code == 0 and f"process {worker.process.pid} holds the log" in said.err
    worker.until("completed in published")
    assert worker.process.wait(60) == 0


def test_who_follows_a_run_keeps_nobody_else_waiting(desk: Desk, terminals: list[Terminal]) -> None:
    """A command that does not follow ends with its run at rest, though another one follows it through every question."""
    run = desk.run(TWICE, title="Owls")
    worker = Terminal(desk.here, "resume", run, "--follow", "--workflow", TWICE)
    terminals.append(worker)
    worker.until("waiting in both/left/asking + both/right/asking; followed to its end, Ctrl-C leaves it as it is")
    said = ("--by", "ana", "--why", "good", "--workflow", TWICE)
    assert desk("answer", run, "both/left/asking", '{"verdict": "publish"}', *said).code == 3
    assert desk("answer", run, "both/right/asking", '{"verdict": "publish"}', *said).code == 0
    worker.until("completed in published")
    assert worker.process.wait(60) == 0
