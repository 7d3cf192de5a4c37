"""The commands about contracts and declarations that change, typed as somebody types them."""

import json
from pathlib import Path

import pytest

from tests.desk import Desk, ended, process, until
from tests.releases import New, Old

OLD, NEW = "tests.releases:Old", "tests.releases:New"


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capfd, monkeypatch)


def held(desk: Desk, tenant: str = "acme") -> str:
    """A run of the old release that waits for a word."""
    return desk.run(OLD, "--tenant", tenant, title="late")


def migrate(desk: Desk, *more: str, to: str = NEW) -> tuple[int, str, str]:
    said = desk("migrate", *more, "--to", to, "--by", "ops", "--why", "the new release")
    return said.code, said.out, said.err


def test_a_contract_is_printed_as_json_schema(desk: Desk) -> None:
    """By name and version; the first version also without it, and a specialist with both of its sides."""
    shown = desk("schema", "Request@3", "--workflow", NEW).json
    assert (shown["title"], shown["$schema"]) == ("Request@3", "https://json-schema.org/draft/2020-12/schema")
    assert shown["$defs"]["Request@3"]["required"] == ["subject", "language"]
    assert desk("schema", "Request", "--workflow", OLD).json["title"] == "Request@1"
    assert set(desk("schema", "post@2", "--workflow", NEW).json["properties"]) == {"takes", "gives"}


def test_a_contract_that_nothing_has_is_not_found(desk: Desk) -> None:
    """What is loaded is said."""
    said = desk("schema", "Request@2", "--workflow", NEW)
    assert said.code == 2
    assert said.err.startswith("not found: no contract or specialist Request@2; loaded are ")
    assert "Request@3" in said.err


def test_who_would_be_stuck_is_named_with_the_reason(desk: Desk) -> None:
    """Exit code 1 where one is; a run that a migration leads on is none."""
    run = held(desk)
    good = desk("upgrade-check", OLD)
    assert (good.code, good.out) == (
        0,
        f"{run}  Mail 1  {Old.machine.fingerprint[:12]}  for acme  goes on\n1 open run, none stuck\n",
    )
    leads = desk("upgrade-check", NEW)
    assert (leads.code, "can be migrated to Mail 2" in leads.out) == (0, True)
    bad = desk("upgrade-check", "tests.playground:Quick")
    assert (bad.code, "which is not loaded" in bad.out, "1 open run, 1 stuck" in bad.out) == (1, True, True)
    (shown,) = desk("upgrade-check", "--json").json
    assert (shown["run"], shown["how"], shown["tenant"], shown["condition"]) == (run, "stuck", "acme", "waiting")


def test_a_run_is_migrated_and_goes_on(desk: Desk) -> None:
    """What was recorded is in its log; what it is on now is what `runs` and `show` tell."""
    run = held(desk)
    code, out, err = migrate(desk, run[:6])
    assert (code, f"run       {run}  Mail 2  waiting in waiting" in out) == (0, True)
    assert f"1 run migrated: `statecore resume --workflow {NEW}` goes on" in out
    assert (
        f"migrated to Mail 2 with fingerprint {New.machine.fingerprint[:12]}, in waiting, said ops: the new release"
        in err
    )
    (line,) = desk("runs", "--json").json
    assert (line["version"], line["fingerprint"], line["tenant"]) == ("2", New.machine.fingerprint, "acme")
    assert f"{run}  acme    Mail 2    {New.machine.fingerprint[:8]}   waiting" in desk("runs").out
    assert f"pinned    {New.machine.fingerprint}\ntenant    acme" in desk("show", run).out
    assert desk("show", run).out.partition("\npath      ")[2].split("\n")[0].endswith("-migrated to 2-> waiting")
    assert desk("log", run, "--json").out.count('"Migrated"') == 1
    assert desk("verify", "--workflow", NEW, "--workflow", OLD).code == 0


def test_a_migration_that_is_refused_says_why(desk: Desk) -> None:
    """Nothing declared, on it already, no such run, neither or both of a run and `--where`."""
    run = held(desk)
    assert migrate(desk, run, to=OLD)[0::2] == (
        2,
        f"error: {run} is on Mail 1 with fingerprint {Old.machine.fingerprint[:12]} already\n",
    )
    assert "no migration leads from there to Quick 1" in migrate(desk, run, to="tests.playground:Quick")[2]
    assert "there is none" in migrate(desk, "zzz")[2]
    assert "expected either one run or --where" in migrate(desk)[2]
    assert "expected either one run or --where" in migrate(desk, run, "--where", "version=1")[2]


def test_all_runs_of_which_something_is_true_are_migrated_together(desk: Desk) -> None:
    """By workflow, version, fingerprint, tenant, condition; where none is meant, that is said."""
    acme, byte = held(desk), held(desk, "byte")
    assert "expected KEY=VALUE with one of workflow" in migrate(desk, "--where", "colour=red")[2]
    assert "no open run with tenant=nobody" in migrate(desk, "--where", "tenant=nobody")[2]
    code, out, _ = migrate(desk, "--where", "tenant=byte", "--where", "workflow=Mail")
    assert (code, byte in out, acme in out) == (0, True, False)
    code, out, _ = migrate(
        desk, "--where", f"fingerprint={Old.machine.fingerprint[:8]}", "--where", "condition=waiting"
    )
    assert (code, acme in out, "1 run migrated" in out) == (0, True, True)
    assert "is on another declaration: nothing to migrate" in migrate(desk, "--where", "workflow=Mail")[2]


def test_two_tenants_are_on_two_versions_at_once(desk: Desk) -> None:
    """Each run's log names its tenant, its version, and the fingerprint that it is pinned to."""
    one = held(desk, "acme")
    two = desk.run(NEW, "--tenant", "byte", subject="b", language="de")
    lines = {line["run"]: line for line in desk("runs", "--json").json}
    assert [(lines[run]["tenant"], lines[run]["version"], lines[run]["fingerprint"]) for run in (one, two)] == [
        ("acme", "1", Old.machine.fingerprint),
        ("byte", "2", New.machine.fingerprint),
    ]
    for run, tenant, version, cls in ((one, "acme", "1", Old), (two, "byte", "2", New)):
        assert f"started Mail {version} for {tenant} with" in desk("log", run).out
        begun = json.loads(desk("log", run, "--json").out.splitlines()[0])["events"][0]
        assert (begun["tenant"], begun["version"], begun["fingerprint"]) == (tenant, version, cls.machine.fingerprint)
        assert f"pinned    {cls.machine.fingerprint}" in desk("show", run).out
    found = desk("resume", "--workflow", OLD, "--workflow", NEW, "--json").json
    assert {(each["run"], each["condition"]) for each in found} == {(one, "waiting"), (two, "waiting")}


def test_the_process_that_holds_the_log_migrates_what_it_does_not_work_on(desk: Desk, tmp_path: Path) -> None:
    """A worker with the new release has the old run parked; the command reaches it over its socket."""
    run = held(desk)
    work = json.dumps({"seconds": 20.0, "text": "slow"})
    worker = process("run", "tests.playground:Quick", "--input", work, cwd=tmp_path)
    try:
        until(lambda: len(desk("runs", "--json").json) == 2)
        code, out, err = migrate(desk, run)
        assert (code, "1 run migrated" in out) == (0, True), err
        assert f"process {worker.pid} holds the log" in err
    finally:
        worker.kill()
        ended(worker)


CHAIN = """
import attrs
from statecore import Completed, Failed, State, Workflow, any_state, contract, specialist, upcaster
from tests.releases import Letter, LetterV1, Request, Sent, write

@contract("Letter", version="1")
@attrs.frozen
class OldLetter:
    text: str

@specialist("b", version="1", effect="pure")
async def b(letter: OldLetter) -> Sent:
    return Sent(letter.text)

BRIDGE

class Chain(Workflow[Request], version="1"):
    one = State(write, initial=True)
    two = State(b)
    end = State(final=True)
    wrote = one.to(two, on=Completed[Letter])
    sent = two.to(end, on=Completed[Sent])
    gave_up = any_state.to(end, on=Failed)
"""


def test_check_names_who_is_broken_by_a_new_version_until_there_is_a_bridge(desk: Desk) -> None:
    """A publishes its letter with another field; B, which takes the old one, is named; with an upcaster it is well."""
    (desk.here / "alone.py").write_text(CHAIN.replace("BRIDGE", ""))
    said = desk("check", "alone:Chain")
    assert said.code == 2
    assert "`b` of `two` takes Letter@1, and `one` gives Letter@2, from which nothing leads there" in said.err
    bridge = '@upcaster(OldLetter, "2")\ndef joined(stored):\n    return {"text": "".join(stored["lines"])}'
    (desk.here / "bridged.py").write_text(CHAIN.replace("BRIDGE", bridge))
    assert desk("check", "bridged:Chain").code == 0
