"""The command line. It reads arguments and prints; what it does is in `operations.py` and `replay.py`.

Exit codes: 0 completed, 1 failed (or cancelled, partial), 2 bad usage or input, 3 waiting, paused or parked, 130 stopped by Ctrl-C.
Results go to standard output, progress and errors to standard error.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from statecore import finding, present
from statecore.errors import BadInput, NotFound, StatecoreError
from statecore.failpoint import arm_from_environment
from statecore.run import Run

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

CODES = {"completed": 0, "failed": 1, "cancelled": 1, "partial": 1}
WAITING, STOPPED, PIPE_CLOSED = 3, 130, 141


def _database(text: str) -> Path:
    if text.startswith(("postgresql://", "postgres://")):
        raise BadInput("PostgreSQL is not served by this version: give the path of an SQLite file")
    return Path(text)


_db = click.option("--db", envvar="STATECORE_DB", default="statecore.db", show_default=True, help="The database.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_refs = click.option("--workflow", "refs", multiple=True, metavar="REF", help="Also load this workflow (module:Workflow).")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="statecore")
def cli() -> None:
    """Declared, guarded workflows of specialists, rebuilt from their log."""


# -- declarations


@cli.command()
@click.argument("ref")
@_json
def check(ref: str, as_json: bool) -> None:
    """Check a workflow: states, transitions, failure policy, and the worst case before the first call."""
    from statecore.survey import survey

    found = survey(finding.workflow(ref).machine)
    _print(json.dumps(found.as_json(), indent=2) if as_json else "\n".join(found.lines()))


@cli.command()
@click.argument("ref")
@click.option("--format", "form", type=click.Choice(["mermaid", "md", "svg"]), default="mermaid", show_default=True)
def graph(ref: str, form: str) -> None:
    """Draw a workflow."""
    from statecore.graph import draw

    _print(draw(finding.workflow(ref).machine.chart, form))  # type: ignore[arg-type]


# -- runs


@cli.command()
@click.argument("ref")
@click.option("--input", "source", required=True, metavar="FILE|-|JSON", help="The run's input: a file, standard input, or JSON itself.")
@click.option("--tenant", default="", help="Whose run it is; recorded with it.")
@_db
@_json
def run(ref: str, source: str, tenant: str, db: str, as_json: bool) -> None:
    """Start a run and see it through."""
    workflow = finding.workflow(ref)
    plain = _input(source)
    workflow.machine.contracts[workflow.machine.chart.takes.__name__].fit(plain)
    _write(db, {"do": "start", "ref": ref, "input": plain, "tenant": tenant}, [ref], as_json)


@cli.command()
@click.argument("name", metavar="[RUN]", required=False)
@_refs
@_db
@_json
def resume(name: str | None, refs: tuple[str, ...], db: str, as_json: bool) -> None:
    """Take up every run that is not finished, or one."""
    request = {"do": "resume", "refs": list(refs)}
    _write(db, {**request, "run": _named(db, name)} if name else request, refs, as_json)


@cli.command()
@click.argument("name", metavar="RUN")
@click.argument("call")
@click.argument("value", metavar="done|not-done|JSON")
@click.option("--by", required=True, help="Who says so.")
@click.option("--why", required=True, help="How they know.")
@_refs
@_db
@_json
def answer(name: str, call: str, value: str, by: str, why: str, refs: tuple[str, ...], db: str, as_json: bool) -> None:
    """Settle a parked call: it was done, with this result, or it was not."""
    _write(db, {"do": "answer", "run": _named(db, name), "call": call, "value": value, "by": by, "why": why, "refs": list(refs)}, refs, as_json)


@cli.command()
@click.argument("name", metavar="RUN")
@click.option("--by", required=True, help="Who says so.")
@click.option("--why", required=True, help="Why.")
@_refs
@_db
@_json
def cancel(name: str, by: str, why: str, refs: tuple[str, ...], db: str, as_json: bool) -> None:
    """End a run as cancelled."""
    _write(db, {"do": "cancel", "run": _named(db, name), "by": by, "why": why, "refs": list(refs)}, refs, as_json)


@cli.command()
@_db
@_json
def runs(db: str, as_json: bool) -> None:
    """List the runs, newest last."""
    from statecore.engine import OPEN
    from statecore.inquiry import listing

    found = _run(listing(_database(db)))
    if as_json:
        _print(json.dumps(found, indent=2))
        return
    for line in found:
        open_run = line["condition"] in OPEN
        _print(f"{line['run']:<14} {line['workflow']} {line['version']:<4} {line['condition']:<10} {present.moment(line['started'])}  {present.took(line['at'] - line['started'])}{'  open' if open_run else ''}")
    if not found:
        _print("no runs")


@cli.command()
@click.argument("name", metavar="RUN")
@click.option("--at", type=int, metavar="N", help="As it was after its first N events.")
@_db
@_json
def show(name: str, at: int | None, db: str, as_json: bool) -> None:
    """Show a run: where it is, how it got there, what comes next."""
    from statecore.inquiry import shown

    found, turns = _run(shown(_database(db), name, at))
    _print(json.dumps(present.as_json(found), indent=2) if as_json else "\n".join(present.overview(found, turns)))


@cli.command()
@click.argument("name", metavar="RUN")
@_db
@_json
def log(name: str, db: str, as_json: bool) -> None:
    """Print what a run decided, and why."""
    from statecore.inquiry import shown

    found, turns = _run(shown(_database(db), name, None))
    if as_json:
        for turn in turns:
            _print(json.dumps(present.turn_json(turn)))
        return
    _print(f"run {found.id}  {found.workflow} {found.version}  {present.moment(found.started)}")
    for line in present.lines(turns):
        _print(line)


@cli.command()
@click.argument("name", metavar="[RUN]", required=False)
@_refs
@_db
@_json
def verify(name: str | None, refs: tuple[str, ...], db: str, as_json: bool) -> None:
    """Check the chain of every row, and decide every turn again."""
    from statecore.inquiry import verified

    flaws, count = _run(verified(_database(db), name, _loaded(refs)))
    if as_json:
        _print(json.dumps([{"run": flaw.stream, "version": flaw.version, "what": flaw.what} for flaw in flaws], indent=2))
    for flaw in () if as_json else flaws:
        where = f" at version {flaw.version}" if flaw.version is not None else ""
        _print(present.visible(f"{flaw.stream or 'database'}{where}: {flaw.what}"))
    if not flaws and not as_json:
        _print(f"{count} run{'' if count == 1 else 's'}, nothing wrong (a cut tail shows only against a head kept elsewhere)")
    sys.exit(1 if flaws else 0)


# -- the rest


@cli.command()
@click.argument("repository", required=False, metavar="[REPO]")
@click.argument("revision", required=False, metavar="[REV]")
@click.option("--db", default=None, help="The database [default: one of its own in a new directory].")
def demo(repository: str | None, revision: str | None, db: str | None) -> None:
    """Review a real git change, kill the worker half-way, and watch it finish from its log."""
    from statecore.demo.show import demonstrate

    sys.exit(demonstrate(repository, revision, Path(db) if db else None, _print))


@cli.command()
@_db
@_json
def doctor(db: str, as_json: bool) -> None:
    """Look at this installation and at the database."""
    from statecore.doctor import examine

    findings = _run(examine(_database(db)))
    if as_json:
        _print(json.dumps([{"what": what, "good": good, "found": found} for what, good, found in findings], indent=2))
    for what, good, found in () if as_json else findings:
        _print(f"{'ok   ' if good else 'LOOK '} {what:<22} {present.visible(found)}")
    sys.exit(0 if all(good for _, good, _ in findings) else 1)


# -- how commands are carried out


def _write(db: str, request: dict[str, Any], refs: Any, as_json: bool) -> NoReturn:
    from statecore.session import carry_out

    known = _loaded(refs)
    told: list[str] = []

    def progress(line: str) -> None:
        click.echo(line, err=True)

    def begun(run: str) -> None:
        told.append(run)

    try:
        ended = _run(carry_out(_database(db), request, known, progress, begun))
    except KeyboardInterrupt:
        which = f" {told[0]}" if len(told) == 1 else ""
        click.echo(f"\nstopped; nothing is lost: `statecore resume{which}` goes on", err=True)
        sys.exit(STOPPED)
    for found, parked in ended:
        if not as_json:
            _print("\n".join(present.overview(found, [], parked)[:1] + _result(found) + [f"next      {line}" for line in present.following(found, parked)]))
    if as_json:
        shown = [present.as_json(found, parked) for found, parked in ended]
        _print(json.dumps(shown[0] if len(shown) == 1 else shown, indent=2))
    elif not ended:
        _print("no run to take up")
    sys.exit(_code(ended))


def _result(run: Run) -> list[str]:
    return [f"last      {present.summary(run.result, 400)}"] if run.result else []


def _code(ended: list[tuple[Run, str]]) -> int:
    """Several runs: 3 if any waits, else 1, else 0."""
    codes = [WAITING if parked and not run.outcome else CODES.get(run.condition, WAITING) for run, parked in ended]
    return max(codes, default=0)


def _loaded(refs: Any) -> list[Any]:
    """The workflows named on the command line and those that are configured; what does not load is said, not fatal."""
    found, wrong = finding.configured()
    for why in wrong:
        click.echo(f"note: {present.visible(why)}", err=True)
    return [*(finding.workflow(ref) for ref in refs), *found]


def _named(db: str, prefix: str) -> str:
    from statecore.inquiry import named

    return _run(named(_database(db), prefix))


def _input(source: str) -> Any:
    from statecore.strictjson import parse

    if source.lstrip().startswith(("{", "[")):
        return parse(source.encode("utf-8", "surrogateescape"))
    try:
        return parse(sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes())
    except OSError as error:
        raise BadInput(f"--input {source}: {error.strerror}: give a file that can be read, - for standard input, or JSON") from None


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; SIGTERM and a closed terminal stop it as Ctrl-C does."""

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _print(text: str) -> None:
    click.echo(text)


def main() -> NoReturn:
    """The entry point: every foreseen fault is one line on standard error, and no traceback."""
    try:
        arm_from_environment()
        code = cli(standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(STOPPED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PIPE_CLOSED)
    except (StatecoreError, ValueError) as error:
        _say(error)
        sys.exit(2)


def _say(error: Exception) -> None:
    text = "\n".join(present.visible(line) for line in str(error).split("\n"))
    click.echo(f"{'not found' if isinstance(error, NotFound) else 'error'}: {text}", err=True)
