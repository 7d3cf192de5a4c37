"""The command line as a newcomer and an operator at three in the morning use it, and as it is misused."""

import asyncio
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from statecore import cli, session
from statecore.events import CallDeferred, CallStarted, Moved, Payload, RunStarted
from statecore.log import Append, Batch
from statecore.sqlite import SqliteLog
from statecore.sqlitefile import Lock
from tests.desk import Desk, Said, ended, environment, process, stop, until
from tests.playground import ASKING, PAYING, QUICK

WRITING = [
    ["resume"],
    ["resume", "x"],
    ["answer", "x", "y", "done", "--by", "me", "--why", "w"],
    ["cancel", "x", "--by", "me", "--why", "w"],
]
READING = [["runs"], ["show", "x"], ["log", "x"], ["verify"], ["verify", "x"]]


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


# -- the first minute


def test_a_run_is_told_from_its_id_to_its_result(desk: Desk) -> None:
    """Progress on standard error names the run first and every decision after; the result is on standard output."""
    said = desk("run", QUICK, "--input", '{"text": "tea"}')
    run = said.err.split()[1]
    assert said.code == 0
    assert said.err.startswith(f"run {run}  20")
    assert 'started Quick 1 with Errand {"seconds":0.0,"text":"tea"}' in said.err
    assert "worked -> done" in said.err and said.err.endswith("finished: completed\n")
    assert said.out.splitlines() == [
        f"run       {run}  Quick 1  completed in done",
        'result    Done {"text":"tea"}',
        "next      nothing: the run is completed",
    ]


@pytest.mark.parametrize(
    ("ref", "errand", "code"), [(QUICK, "{}", 0), (QUICK, '{"text": "fail"}', 1), (QUICK, "[]", 2), (ASKING, "{}", 3)]
)
def test_the_exit_code_says_what_became_of_the_run(desk: Desk, ref: str, errand: str, code: int) -> None:
    """0 completed, 1 failed, 2 bad input, 3 waiting."""
    assert desk("run", ref, "--input", errand).code == code


def test_without_a_command_the_commands_are_listed(desk: Desk) -> None:
    """Nobody has to guess the first word."""
    said = desk()
    assert said.code == 2
    assert all(name in said.err for name in ("run", "resume", "runs", "show", "log", "verify", "answer", "doctor"))
    assert "error" not in said.err


def test_the_summary_of_every_command_fits_on_its_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal of 80 columns none is cut."""
    monkeypatch.setenv("COLUMNS", "80")
    listed = desk("--help").out.partition("Commands:\n")[2].splitlines()
    assert len(listed) > 20 and not [line for line in listed if "..." in line or len(line) > 80]


def test_the_input_comes_from_a_file_from_standard_input_or_inline(desk: Desk) -> None:
    """Three ways in, one run."""
    Path("errand file.json").write_text('{"text": "\u00e9t\u00e9"}')
    results = [
        desk("run", QUICK, "--input", "errand file.json"),
        desk("run", QUICK, "--input", "-", stdin='{"text": "\u00e9t\u00e9"}'.encode()),
        desk("run", QUICK, "--input", ' {"text": "\u00e9t\u00e9"}'),
    ]
    assert [said.out.splitlines()[1] for said in results] == ['result    Done {"text":"\u00e9t\u00e9"}'] * 3


def test_a_run_is_recorded_for_its_tenant(desk: Desk) -> None:
    """Whose run it is, is recorded and shown."""
    run = desk.run(QUICK, "--tenant", "north")
    assert "tenant    north" in desk("show", run).out
    assert desk("runs", "--json").json[0]["tenant"] == "north"


# -- input that cannot be right

BAD_INPUT = {
    "missing file": ("nofile.json", "No such file", b""),
    "nothing": ("", "--input is empty: give a file", b""),
    "directory": (".", "Is a directory", b""),
    "empty file": ("-", "empty, expected JSON", b""),
    "only spaces": ("-", "empty, expected JSON", b" \n "),
    "not JSON": ("-", "not JSON", b"seconds=1"),
    "binary": ("-", "not UTF-8", b"\xff\xfe\x00{}"),
    "byte order mark": ("-", "byte order mark", b'\xef\xbb\xbf{"text": ""}'),
    "zero bytes": ("-", "not JSON", b"\0" * 100),
    "deep": ("-", "nested deeper", b'{"text":' * 70 + b"1" + b"}" * 70),
    "too large": ("-", "at most 8,388,608", b'"' + b"x" * (9 * 1024 * 1024) + b'"'),
    "two values": ("-", "not JSON", b"{} {}"),
    "not a number": ("-", "NaN", b'{"seconds": NaN}'),
    "a key twice": ("-", "twice", b'{"text": "a", "text": "b"}'),
    "another type": ('{"seconds": "1"}', "expected float, found str '1' @ $.seconds", b""),
    "unknown field": ('{"second": 1}', "unknown field: second", b""),
    "a list": ("[]", "Errand", b""),
    "lone surrogate": ('{"text": "\\ud800"}', "$.text", b""),
    "broken inline": ('{"text": ', "not JSON", b""),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_input_that_no_contract_admits_is_refused_before_anything_is_written(desk: Desk, name: str) -> None:
    """One line that names --input and the fault, exit code 2, and not even a database."""
    source, fault, stdin = BAD_INPUT[name]
    said = desk("run", QUICK, "--input", source, stdin=stdin)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: --input") and fault in said.err and said.err.count("\n") == 1
    assert not Path("statecore.db").exists()


def test_an_endless_input_is_not_read_to_its_end(desk: Desk) -> None:
    """8 MiB are enough to know that it is too much."""
    assert "at most" in desk("run", QUICK, "--input", "/dev/zero").err


# -- databases that are not ours to use


def foreign(path: Path) -> str:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE birds(name)")
    other.close()
    return "another program"


def text(path: Path) -> str:
    path.write_text("Dear diary, today nothing happened. " * 100)
    return "no SQLite database"


def newer(path: Path) -> str:
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA application_id = 1470622734")
        other.execute("PRAGMA user_version = 99")
        other.execute("CREATE TABLE turns(x)")
    other.close()
    return "schema 99"


def directory(path: Path) -> str:
    path.mkdir()
    return "is a directory"


def corrupt(path: Path) -> str:
    newer(path)
    path.write_bytes(path.read_bytes()[:100] + b"\x55" * 5000)
    return str(path)


@pytest.mark.parametrize("make", [foreign, text, newer, directory, corrupt])
@pytest.mark.parametrize("command", [*WRITING, *READING, ["run", QUICK, "--input", "{}"]], ids=" ".join)
def test_a_database_that_is_no_log_of_this_release_is_left_alone(desk: Desk, make: Any, command: list[str]) -> None:
    """A foreign, newer or damaged file, or a directory: one line that says so, and the file is as it was."""
    path = desk.here / "statecore.db"
    why = make(path)
    before = path.read_bytes() if path.is_file() else b""
    said = desk(*command)
    assert said.code == 2 and why in said.err and said.err.startswith("error: ")
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize("command", [*WRITING, *READING], ids=" ".join)
def test_no_command_but_run_begins_a_database(desk: Desk, command: list[str]) -> None:
    """In the wrong directory `resume` says that there is nothing here, and does not make it look as if there were."""
    said = desk(*command)
    assert said.code == 2
    assert "no database statecore.db: name another with --db or STATECORE_DB" in said.err
    assert list(desk.here.iterdir()) == []


@pytest.mark.parametrize("place", ["/proc/statecore.db", "nowhere/statecore.db", "x" * 300 + ".db"])
def test_a_place_where_no_database_can_be_is_said(desk: Desk, place: str) -> None:
    """Not writable, not there, not a name: one line."""
    said = desk("run", QUICK, "--input", "{}", "--db", place)
    assert said.code == 2 and said.err.startswith("error: ") and said.err.count("\n") == 1


def test_a_postgres_url_is_refused_by_name(desk: Desk) -> None:
    """It is not taken for the name of a file."""
    assert "PostgreSQL is not served" in desk("runs", "--db", "postgresql://localhost/x").err


def test_a_log_held_by_a_program_that_takes_no_requests_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder's pid and what to do, after some patience; reading goes on meanwhile."""
    run = desk.run()
    monkeypatch.setattr(session, "TRIES", 3)
    lock = Lock(desk.here / "statecore.db")
    try:
        said = desk("run", QUICK, "--input", "{}")
        assert said.code == 2
        assert f"process {os.getpid()}" in said.err and "takes no requests from here" in said.err
        assert desk("show", run).code == 0
    finally:
        lock.release()


@pytest.mark.parametrize("name", ["a b/c d.db", "h\u00f6hle/\u6d1e.db", f"{'d' * 120}/{'e' * 90}.db"])
def test_any_path_will_do(desk: Desk, name: str) -> None:
    """Spaces, letters of other alphabets, and more bytes than a socket's name may have."""
    (desk.here / name).parent.mkdir()
    assert desk("run", QUICK, "--input", "{}", "--db", name).code == 0
    assert desk("runs", "--db", name).code == 0
    assert desk("verify", "--db", name).code == 0


def test_the_environment_names_the_database(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """STATECORE_DB counts where --db is not given."""
    monkeypatch.setenv("STATECORE_DB", "other.db")
    desk.run()
    assert Path("other.db").exists() and not Path("statecore.db").exists()


# -- runs and moments that are not there


def test_a_run_is_named_by_any_beginning_that_is_its_own(desk: Desk) -> None:
    """Unknown, ambiguous and empty ids are refused with what was found; a beginning that fits one run is enough."""
    runs = [desk.run(text=str(n)) for n in range(3)]
    assert desk("show", runs[0][:8]).code == 0
    unknown = desk("show", "zzzz")
    assert unknown.code == 2 and unknown.err.startswith("not found: ") and "`statecore runs` lists them" in unknown.err
    empty = desk("show", "")
    assert empty.code == 2 and "found nothing" in empty.err


def test_an_ambiguous_beginning_names_the_candidates(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is done to a run that was perhaps not meant."""
    ids = iter(["abcd1", "abcd2"])
    monkeypatch.setattr(cli, "fresh_id", lambda: next(ids))
    desk.run(), desk.run()
    said = desk("cancel", "abc", "--by", "me", "--why", "w")
    assert said.code == 2 and "2 runs begin so: abcd1, abcd2" in said.err


@pytest.mark.parametrize("command", ["resume", "verify"])
def test_an_empty_id_does_not_mean_all(desk: Desk, command: str) -> None:
    """`resume "$RUN"` with RUN unset takes up nothing."""
    desk.run()
    said = desk(command, "")
    assert said.code == 2 and "expected the id of a run" in said.err


@pytest.mark.parametrize("at", ["0", "-1", "99", "x", "1.5"])
def test_a_moment_that_never_was_is_refused(desk: Desk, at: str) -> None:
    """--at takes the number of an event that the run has."""
    run = desk.run()
    said = desk("show", run, "--at", at)
    assert said.code == 2
    assert "expected a number from 1 to 6" in said.err or "not a valid integer" in said.err


def test_show_at_every_event_tells_only_what_had_happened(desk: Desk) -> None:
    """Also inside a turn, where it says that the run never rests there; the path has no step that is yet to come."""
    run = desk.run(text="tea")
    seen = [desk("show", run, "--at", str(n)).out for n in range(1, 7)]
    assert ["done" in shown for shown in seen] == [False, False, False, False, True, True]
    assert "next      event 3, decided together" in seen[1]
    assert "next      working#1: waits for work@1" in seen[2]
    assert ["result" in shown for shown in seen] == [False] * 5 + [True]


# -- workflows that cannot be found


MODULES = {
    "raises": "raise ValueError('no\\x1b[31m luck')",
    "exits": "import sys; sys.exit(3)",
    "misspelt": "def f(:\n",
    "needy": "import no_such_module_at_all",
    "plain": "class Thing: pass\nanswer = 42",
    "dis": "class Thing: pass",
    "sys": "class Thing: pass",
    "broken": (
        "import attrs\nfrom statecore import State, Workflow\n@attrs.frozen\nclass A: ...\n"
        "class W(Workflow[A], version='1'):\n    a = State(initial=True)\n"
    ),
}
REFS = {
    "": "names no workflow",
    "plain": "names no workflow",
    "plain:": "names no workflow",
    ":W": "names no workflow",
    "plain:W:X": "names no workflow",
    "../plain:W": "names no workflow",
    "no_such_module_here:W": "no module no_such_module_here",
    "plain:W": "has no W; workflows there: none",
    "plain:Thing": "plain:Thing: Thing of module plain is no workflow; workflows there: none",
    "plain:answer": "plain:answer: answer of module plain is no workflow",
    "plain.py:Thing": "plain.py:Thing: expected a module, found the name of a file: write plain:Thing",
    "dis:Thing": "dis.py is hidden by it: give that file another name",
    "sys:Thing": "module sys is a part of Python, and sys.py is hidden by it",
    "raises:W": "ValueError: no\\x1b[31m luck (raises.py:1): mend the module",
    "exits:W": "SystemExit: 3 (exits.py:1)",
    "misspelt:W": "(misspelt.py:1): mend the module",
    "needy:W": "needs no_such_module_at_all, which is not installed",
    "broken:W": "W",
    "tests.playground:Quik": "workflows there: Quick, Paying, Asking",
}


@pytest.fixture
def modules(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name, source in MODULES.items():
        (desk.here / f"{name}.py").write_text(source)
    yield desk  # type: ignore[misc]
    for name in MODULES.keys() - sys.stdlib_module_names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("ref", REFS)
def test_a_ref_that_names_no_workflow_says_what_is_there(modules: Desk, ref: str) -> None:
    """Malformed, missing, raising, unreadable, no workflow, a wrong one: one fault with its place, and exit code 2."""
    for command in (["check", ref], ["graph", ref], ["run", ref, "--input", "{}"]):
        said = modules(*command)
        assert said.code == 2 and said.out == ""
        assert REFS[ref] in said.err, said.err
        assert "\x1b" not in said.err


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("statecore.toml", "workflows = ["),
        ("statecore.toml", "workflows = 3"),
        ("statecore.toml", "workflows = [1]"),
        ("statecore.toml", "\udcff"),
        ("pyproject.toml", "[tool.statecore]\nworkflows = 'x'"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_named(desk: Desk, file: str, content: str) -> None:
    """The file, what was found, and exit code 2."""
    desk.run()
    Path(file).write_text(content, errors="surrogateescape")
    said = desk("resume")
    assert said.code == 2 and file in said.err and said.err.startswith("error: ")
    assert not next(line for line in desk("doctor", "--json").json if line["what"] == "workflows")["good"]


@pytest.mark.parametrize("content", ["tool = 3", "[tool]\nstatecore = 1", "[project]\nname = 'x'"])
def test_a_project_file_that_is_about_something_else_is_nobodys_fault(desk: Desk, content: str) -> None:
    """Only what is ours in it is read."""
    desk.run()
    Path("pyproject.toml").write_text(content)
    assert desk("resume").code == 0


def test_a_configured_workflow_that_does_not_load_is_noted_and_stops_nothing(desk: Desk) -> None:
    """The others are resumed."""
    desk.run()
    Path("statecore.toml").write_text(f'workflows = ["nowhere:W", "{QUICK}"]')
    said = desk("resume")
    assert said.code == 0 and "note: nowhere:W: no module nowhere" in said.err


# -- nothing raw reaches the terminal

EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\r\nfinished: completed\u202e\u2066\u200b\ufeff\U000e0041\u2028"
UNSEEN = "\u00ad\ufe0f\u3164\u034f\U000e0101"


def raw(said: Said) -> list[str]:
    """What of it a terminal would obey, or not show."""
    return [char for char in said.both if char != "\n" and (not char.isprintable() or char in UNSEEN)]


@pytest.mark.parametrize("text", [EVIL, f"fail {EVIL}", UNSEEN], ids=["output", "error", "unseen"])
def test_no_control_character_of_a_payload_or_an_error_reaches_the_terminal(desk: Desk, text: str) -> None:
    """Escapes, line ends, directions and invisible characters are spelled out, in progress, results and logs."""
    said = desk("run", QUICK, "--input", json.dumps({"text": text}), "--tenant", f"t{EVIL}")
    run = said.err.split()[1]
    for one in (said, desk("show", run), desk("log", run), desk("runs"), desk("verify"), desk("verify", run)):
        assert raw(one) == []
        assert not any(line.strip().startswith("finished: completed") for line in one.both.splitlines())


def test_names_and_reasons_of_people_are_spelled_out(desk: Desk) -> None:
    """`--by` and `--why` are text from outside as well."""
    run = desk.run(ASKING)
    desk("cancel", run, "--by", f"me{EVIL}", "--why", f"why{EVIL}", "--workflow", ASKING)
    for said in (desk("log", run), desk("show", run)):
        assert raw(said) == [] and "why\\x1b]52" in said.out


@pytest.mark.parametrize("command", [["show", EVIL], ["check", f"{EVIL}:W"], ["runs", "--db", EVIL], [EVIL]])
def test_an_argument_is_spelled_out_in_the_fault_that_it_causes(desk: Desk, command: list[str]) -> None:
    """Whoever pastes something strange sees what it was."""
    desk.run()
    said = desk(*command)
    assert said.code == 2 and raw(said) == []


async def poisoned(path: Path) -> None:
    """A log that somebody else wrote, with every text of it hostile."""
    value = Payload(f"C{EVIL}", json.dumps({"x": EVIL}, ensure_ascii=False).encode())
    events = (
        RunStarted(f"W{EVIL}", f"1{EVIL}", f"f{EVIL}", value, f"t{EVIL}"),
        Moved((), (f"s{EVIL}",), (), (f"s{EVIL}",)),
        CallStarted(f"s{EVIL}#1", f"x{EVIL}@1", reads=(0,)),
        CallDeferred(f"s{EVIL}#1", f"g{EVIL}", f"y{EVIL}", 1e300),
        Moved((f"t{EVIL}",), (f"s{EVIL}",), (), (f"s{EVIL}",), ((f"q{EVIL}", True),)),
    )
    async with await SqliteLog.open(path) as log:
        await log.append(Batch((Append("run", 0, events, 1e300, f"c{EVIL}", f"l{EVIL}"),)))


def test_a_hostile_log_cannot_write_on_the_terminal(desk: Desk) -> None:
    """Names of workflows, states, guards, and times that no calendar has, are text from outside too."""
    asyncio.run(poisoned(desk.here / "statecore.db"))
    for command in (["runs"], ["show", "run"], ["show", "run", "--at", "2"], ["log", "run"], ["verify"], ["resume"]):
        said = desk(*command)
        assert raw(said) == []
        assert said.code in (0, 1, 3), said


# -- JSON


def keys(data: Any) -> Any:
    """The shape of plain data: its keys, and of lists the shape of the first."""
    if isinstance(data, dict):
        return {name: keys(value) for name, value in data.items() if not name.startswith(("tests", " "))}
    return [keys(data[0])] if isinstance(data, list) and data else type(data).__name__


def test_json_of_every_command_parses_and_keeps_its_keys(desk: Desk, snapshot: SnapshotAssertion) -> None:
    """Scripts rely on the names; standard output carries nothing but the JSON."""
    run = desk.run(text="tea")
    waiting = desk.run(ASKING)
    shown = {
        "run": desk("run", QUICK, "--input", "{}", "--json").json,
        "show": desk("show", run, "--json").json,
        "show --at 1": desk("show", run, "--json", "--at", "1").json,
        "show open": desk("show", waiting, "--json").json,
        "runs": desk("runs", "--json").json,
        "log": [json.loads(line) for line in desk("log", run, "--json").out.splitlines()],
        "verify": desk("verify", "--json").json,
        "resume RUN": desk("resume", waiting, "--json", "--workflow", ASKING).json,
        "resume": desk("resume", "--json", "--workflow", ASKING).json,
        "cancel": desk("cancel", waiting, "--by", "me", "--why", "w", "--json", "--workflow", ASKING).json,
        "check": desk("check", QUICK, "--json").json,
        "doctor": desk("doctor", "--json").json,
    }
    assert {name: keys(value) for name, value in shown.items()} == snapshot
    assert isinstance(desk("resume", "--json").json, list)


def test_json_of_a_call_shows_what_went_in_what_was_decided_and_what_came_out(desk: Desk) -> None:
    """For every step three things can be had: its request, the decision with its reason, its result."""
    run = desk.run(text="tea")
    events = [event for line in desk("log", run, "--json").out.splitlines() for event in json.loads(line)["events"]]
    by_name = {event["event"]: event for event in events}
    assert by_name["RunStarted"]["input"] == {"contract": "Errand", "value": {"seconds": 0.0, "text": "tea"}}
    assert by_name["CallStarted"]["reads"] == [0]
    assert by_name["CallCompleted"]["value"] == {"contract": "Done", "value": {"text": "tea"}}
    assert [event["transitions"] for event in events if event["event"] == "Moved"] == [[], ["worked"]]


# -- several runs


def test_of_several_runs_the_one_that_waits_decides_the_exit_code(desk: Desk) -> None:
    """3 if any waits, else 1, else 0."""
    Path("statecore.toml").write_text(f'workflows = ["{QUICK}", "{ASKING}"]')
    for text in ("tea", "fail"):
        cut(desk, text)
    assert desk("resume").code == 1
    cut(desk, "tea")
    desk.run(ASKING)
    assert desk("resume").code == 3
    assert desk("resume").code == 3


def cut(desk: Desk, text: str) -> None:
    """A run that was killed before its call was made."""
    killed = process(
        "run",
        QUICK,
        "--input",
        json.dumps({"text": text}),
        cwd=desk.here,
        env=environment(STATECORE_FAILPOINT="after-append:1"),
    )
    assert ended(killed).code == -signal.SIGKILL


def test_a_run_whose_workflow_is_not_loaded_is_parked_with_the_remedy(desk: Desk) -> None:
    """It says how to load it, ends with 3, and goes on when that is done."""
    cut(desk, "tea")
    said = desk("resume")
    assert said.code == 3 and "parked in working" in said.out
    assert "load it (--workflow MODULE:Quick, or `workflows` in statecore.toml)" in said.out
    assert desk("resume", "--workflow", QUICK).code == 0


def test_a_run_that_cannot_be_read_stops_no_other(desk: Desk) -> None:
    """Its place in the answer says why; the next one is resumed."""
    cut(desk, "first")
    cut(desk, "second")
    with sqlite3.connect("statecore.db") as database:
        database.execute("""UPDATE turns SET events = '[["Unheard",9,{}]]' WHERE stream = 1""")
    database.close()
    said = desk("resume", "--workflow", QUICK)
    assert said.code == 3
    assert "Unheard" in said.out and "completed in done" in said.out
    assert desk("runs").out.count("Quick 1") == 1
    shown = desk("show", desk("runs", "--json").json[0]["run"])
    assert shown.code == 2 and "cannot be read at version" in shown.err


def test_runs_lists_the_newest_under_a_header_and_says_what_it_left_out(desk: Desk) -> None:
    """--limit and --open choose; --json has all."""
    runs = [desk.run(text=str(n)) for n in range(4)]
    waiting = desk.run(ASKING)
    lines = desk("runs", "--limit", "2").out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["run", runs[3], waiting]
    assert lines[3] == "3 older runs not shown: --limit 5 lists all"
    assert [line["run"] for line in desk("runs", "--json").json] == [*runs, waiting]
    assert [line["run"] for line in desk("runs", "--json", "--open").json] == [waiting]
    assert desk("runs", "--limit", "-1").code == 2


# -- questions to a busy run


def test_questions_to_a_busy_run_are_answered_and_change_nothing(desk: Desk) -> None:
    """While another process works on it a run is shown, told and verified, and its log does not grow."""
    worker = process("run", QUICK, "--input", '{"seconds": 3600}', cwd=desk.here)
    try:
        run = until(lambda: Path("statecore.db.sock").exists() and desk("runs", "--json").json)[0]["run"]
        before = desk("log", run, "--json").out
        shown = desk("show", run)
        assert shown.code == 0 and f"worker    process {worker.pid}" in shown.out
        assert desk("show", run, "--json").json["condition"] == "running"
        for command in (["runs"], ["verify"], ["doctor"], ["show", run, "--at", "2"]):
            assert desk(*command).code == 0
        assert f"process {worker.pid} holds it" in desk("doctor").out
        assert desk("log", run, "--json").out == before
    finally:
        worker.kill()
        worker.communicate()
    shown = desk("show", run)
    assert f"`statecore resume {run}` goes on" in shown.out
    assert "no statecore process works on it" in desk("doctor").out


SAYING = [
    ["answer", "RUN", "CALL", "{}"],
    ["cancel", "RUN"],
    ["signal", "RUN", "Go"],
    ["fork", "RUN", "--at", "2"],
    ["migrate", "RUN", "--to", QUICK],
    ["erase", "RUN"],
    ["purge", "--older-than", "1s"],
    ["specialists", "work", "--disable"],
]


@pytest.mark.parametrize("command", SAYING, ids=lambda command: command[0])
def test_whoever_changes_something_says_who_and_why(desk: Desk, command: list[str]) -> None:
    """An empty name and an empty reason are refused by every command alike, and nothing is recorded."""
    run = desk.run(ASKING)
    words = [run if word == "RUN" else word for word in command]
    given = {"--by": "me", **({} if command[0] == "signal" else {"--why": "w"})}
    for option in given:
        for empty in ("", "  "):
            said = desk(*words, *(word for pair in {**given, option: empty}.items() for word in pair))
            assert said.code == 2 and f"Invalid value for '{option}': expected" in said.err, said.err
    assert desk("runs", "--json").json[0]["condition"] == "waiting"


# -- stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_work_cleanly_and_says_how_to_go_on(desk: Desk, number: signal.Signals) -> None:
    """Exit code 130, the command that goes on, which does, and no `once` call is taken for one that was cut."""
    worker = process("run", QUICK, "--input", '{"seconds": 3600, "text": "fail"}', cwd=desk.here)
    until(lambda: Path("statecore.db.sock").exists() and desk("runs", "--json").json)
    begun = time.monotonic()
    said = stop(worker, number)
    run = desk("runs", "--json").json[0]["run"]
    assert said.code == 130 and time.monotonic() - begun < 6
    assert "stopping: calls in flight have 2 s to end" in said.err
    assert said.err.endswith(f"stopped; nothing is lost: `statecore resume {run} --workflow {QUICK}` goes on\n")
    assert not Path("statecore.db.sock").exists()
    assert desk("cancel", run, "--by", "me", "--why", "enough", "--workflow", QUICK).code == 1
    assert "cancelled by me: enough" in desk("show", run).out


def test_a_second_ctrl_c_stops_at_once(desk: Desk) -> None:
    """The two seconds that calls in flight have can be cut short."""
    worker = process("run", QUICK, "--input", '{"seconds": 3600}', cwd=desk.here)
    until(lambda: Path("statecore.db.sock").exists() and desk("runs", "--json").json)
    begun = time.monotonic()
    worker.send_signal(signal.SIGINT)
    time.sleep(0.2)
    said = stop(worker)
    assert said.code == 130 and time.monotonic() - begun < 1.5
    assert desk("verify").code == 0


def test_a_closed_terminal_stops_the_work_cleanly(desk: Desk) -> None:
    """Nobody is left to read the progress, and still the log is closed in order."""
    master, slave = pty.openpty()
    worker = process(
        "run", QUICK, "--input", '{"seconds": 3600}', cwd=desk.here, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    until(lambda: Path("statecore.db.sock").exists() and desk("runs", "--json").json)
    os.close(master)
    worker.send_signal(signal.SIGHUP)
    assert worker.wait(10) == 130
    assert not Path("statecore.db.sock").exists() and not Path("statecore.db-wal").exists()


def test_what_was_stopped_with_ctrl_c_is_finished_by_resume(desk: Desk) -> None:
    """The command that was printed is typed, and the run completes."""
    worker = process("run", QUICK, "--input", '{"seconds": 2.5, "text": "tea"}', cwd=desk.here)
    until(lambda: Path("statecore.db.sock").exists() and desk("runs", "--json").json)
    worker.send_signal(signal.SIGINT)
    worker.send_signal(signal.SIGINT)
    told = ended(worker).err.rpartition("`statecore ")[2].partition("`")[0]
    said = desk(*told.split())
    assert said.code == 0 and 'result    Done {"text":"tea"}' in said.out
    assert "again after 1 cut" in said.err


# -- pipes and locales


@pytest.mark.parametrize("command", ["log", "runs", "log --json"])
def test_a_closed_pipe_ends_a_command_quietly(desk: Desk, command: str) -> None:
    """`statecore log RUN | head -1` says nothing about pipes."""
    run = desk.run(text="x" * 100_000)
    arguments = [*command.split(), *([] if command == "runs" else [run])]
    reader, writer = os.pipe()
    os.close(reader)
    worker = process(*arguments, cwd=desk.here, stdout=writer)
    os.close(writer)
    assert ended(worker) == Said(141, "", "")


def test_progress_that_nobody_reads_stops_no_work(desk: Desk) -> None:
    """With standard error closed the run completes."""
    reader, writer = os.pipe()
    os.close(reader)
    worker = process("run", QUICK, "--input", '{"text": "tea"}', cwd=desk.here, stderr=writer)
    os.close(writer)
    said, _ = worker.communicate(timeout=20)
    assert worker.returncode == 0 and b"completed in done" in said


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">&- 2>/dev/full"])
@pytest.mark.parametrize(("text", "code"), [("tea", 0), ("fail", 1)])
def test_a_stream_that_is_closed_changes_no_exit_code(desk: Desk, closed: str, text: str, code: int) -> None:
    """Whoever wants no output gets the code of the run, no traceback, and a log that is whole."""
    errand = json.dumps({"text": text})
    command = f"exec {sys.executable} -m statecore run {QUICK} --input '{errand}' {closed}"
    said = subprocess.run(["sh", "-c", command], env=environment(), capture_output=True, timeout=20, check=False)
    assert said.returncode == code and b"Traceback" not in said.stderr and b"\nerror" not in said.stderr
    assert desk("verify").code == 0 and desk("runs", "--json").json[0]["events"] == 6


def test_results_that_cannot_be_written_have_a_code_of_their_own(desk: Desk) -> None:
    """On a full disk the run is done all the same: 74, which is no code of a run, and one line that says so."""
    with open("/dev/full", "wb") as full:
        worker = process("run", QUICK, "--input", "{}", cwd=desk.here, stdout=full)
    said = ended(worker)
    assert said.code == cli.UNWRITTEN
    assert said.err.endswith(
        "error: the results cannot be written: No space left on device; what the command did is done\n"
    )
    assert desk("runs", "--json").json[0]["condition"] == "completed"


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_a_terminal_without_utf8_shows_what_it_can(desk: Desk, locale: dict[str, str]) -> None:
    """No text makes a command fail for the letters it has."""
    run = desk.run(text="\u00e9t\u00e9 \u6d1e \U0001f600")
    worker = process("log", run, cwd=desk.here, env=environment(**locale))
    out, err = worker.communicate(timeout=20)
    assert (worker.returncode, err) == (0, b"") and b"finished: completed" in out


# -- settling by hand


@pytest.fixture
def parked(desk: Desk) -> str:
    """A run whose payment was cut by a kill, and which was resumed since."""
    worker = process("run", PAYING, "--input", '{"text": "p1"}', cwd=desk.here)
    until(lambda: Path("paid").exists())
    worker.kill()
    worker.communicate()
    assert desk("resume", "--workflow", PAYING).code == 3
    return str(desk("runs", "--json").json[0]["run"])


def test_a_call_that_was_cut_is_parked_with_the_command_that_settles_it(desk: Desk, parked: str) -> None:
    """What is shown can be typed, with the result as JSON; the effect was made once."""
    said = desk("resume", parked, "--workflow", PAYING)
    command = f"statecore answer {parked} paying#1 done|not-done|JSON --by YOU --why TEXT --workflow {PAYING}"
    assert said.code == 3 and command in said.out
    assert "1 run to be settled by somebody" in desk("doctor").out and desk("doctor").code == 1
    wrong = [
        ("maybe", "not JSON"),
        ("done", "required field missing: id"),
        ('{"id": 3}', "expected str"),
        ("[" * 99, "deeper"),
    ]
    for value, fault in wrong:
        said = desk("answer", parked, "paying", value, "--by", "me", "--why", "w", "--workflow", PAYING)
        assert said.code == 2 and fault in said.err
    said = desk("answer", parked, "paying#1", '{"id": "p9"}', "--by", "me", "--why", "asked", "--workflow", PAYING)
    assert said.code == 0 and 'result    Paid {"id":"p9"}' in said.out and ", said me: asked" in said.err
    assert Path("paid").read_text().count("\n") == 1


def test_a_call_that_was_not_done_moves_the_chart(desk: Desk, parked: str) -> None:
    """not-done is a failure with the reason given."""
    said = desk("answer", parked, "paying", "not-done", "--by", "me", "--why", "no booking", "--workflow", PAYING)
    assert said.code == 1 and 'result    NotDone {"why":"no booking"}' in said.out


def test_what_cannot_be_settled_is_refused_with_the_reason(desk: Desk, parked: str) -> None:
    """Another call, a missing name, a workflow that is not loaded, a finished run."""
    rest = ["--by", "me", "--why", "w"]
    loaded = ["--workflow", PAYING]
    assert "no open call other" in desk("answer", parked, "other", "done", *rest, *loaded).err
    assert (
        "expected the name of who"
        in desk("answer", parked, "paying", "not-done", "--by", "", "--why", "w", *loaded).err
    )
    for value in ("done", "not-done"):
        assert "which is not loaded" in desk("answer", parked, "paying", value, *rest).err
    assert "Missing option '--by'" in desk("answer", parked, "paying", "done").err
    assert desk("cancel", parked, *rest, *loaded).code == 1
    for again in (["cancel", parked, *rest], ["answer", parked, "paying", "done", *rest]):
        said = desk(*again)
        assert said.code == 2 and "is cancelled: a finished run does not change" in said.err


def test_the_hint_names_the_database_that_was_named(desk: Desk) -> None:
    """What is printed to be typed finds the same log."""
    run = desk.run("tests.people:Rated", "--db", "my log.db", title="Owls")
    assert "--db 'my log.db'`" in desk("show", run, "--db", "my log.db").out


def test_a_failpoint_that_is_misspelt_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a tool of tests and of the demo; a wrong one stops nothing silently."""
    monkeypatch.setenv("STATECORE_FAILPOINT", "somewhere:1")
    said = desk("runs")
    assert said.code == 2 and "expected POINT:PASS" in said.err


def test_the_version_is_said(desk: Desk) -> None:
    """With the name of the program."""
    assert desk("--version").out.startswith("statecore")


def test_a_bad_command_shows_its_usage(desk: Desk) -> None:
    """An option that is missing or unknown, and a command that is none."""
    assert "Usage: statecore run" in desk("run", QUICK).err
    for command in (["rnu"], ["runs", "--colour"], ["graph", QUICK, "--format", "gif"]):
        assert desk(*command).code == 2


def test_the_workflow_is_drawn(desk: Desk) -> None:
    """In each format, by itself."""
    for form, begins in (("mermaid", "stateDiagram-v2"), ("md", "# Quick"), ("svg", "<svg")):
        said = desk("graph", QUICK, "--format", form)
        assert said.code == 0 and said.out.startswith(begins) and "working" in said.out


def test_processes_are_really_started(tmp_path: Path) -> None:
    """`python -m statecore` and the installed program are the same."""
    installed = Path(sys.executable).with_name("statecore")
    done = subprocess.run([installed, "--version"], capture_output=True, env=environment(), check=True, cwd=tmp_path)
    assert done.stdout.decode() == ended(process("--version", cwd=tmp_path)).out
