"""The command line. It reads arguments and prints; what it does is in `operations.py` and `replay.py`.

Exit codes: 0 completed, 1 failed (or cancelled, partial), 2 bad usage or input, 3 waiting, paused or parked, 74 the
results could not be written, 130 stopped by Ctrl-C, 141 nobody reads the results any more. Results go to standard output, progress and errors to standard error.
"""

import asyncio
import io
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import click

from statecore import finding, present, telling, wording
from statecore.contract import Contract
from statecore.engine import OPEN, fresh_id
from statecore.errors import BadInput, NotFound, StatecoreError
from statecore.failpoint import arm_from_environment
from statecore.saying import SAID
from statecore.tasks import GRACE

T = TypeVar("T")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

CODES = {"completed": 0, "failed": 1, "cancelled": 1, "partial": 1}
WAITING, STOPPED, PIPE_CLOSED = 3, 130, 141
UNWRITTEN = 74
"""EX_IOERR of sysexits.h: a disk is full, say. It is no code of a run, which may have completed."""
DATABASE = "statecore.db"
STOPPING = f"stopping: calls in flight have {GRACE:g} s to end; once more stops at once"
LISTED = 30
"""Runs that `runs` prints unless --limit says otherwise."""


def _database(text: str) -> Path:
    if text.startswith(("postgresql://", "postgres://")):
        raise BadInput("PostgreSQL is not served by this version: give the path of an SQLite file")
    return Path(text)


_db: Decorator = click.option(
    "--db",
    envvar="STATECORE_DB",
    default=DATABASE,
    show_default=True,
    help="The database; STATECORE_DB says it as well.",
)
_json: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_refs: Decorator = click.option(
    "--workflow", "refs", multiple=True, metavar="REF", help="Also load this workflow (module:Workflow)."
)
_run_id: Decorator = click.argument("name", metavar="RUN")
_run_if_any: Decorator = click.argument("name", metavar="[RUN]", required=False)
_follow: Decorator = click.option(
    "--follow",
    is_flag=True,
    help="Stay until it is finished, through waits, deadlines and questions; else these are left to a later resume.",
)


def _said(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Who says something, and why, is said in words or not at all."""
    if value is not None and not value.strip():
        raise click.BadParameter(f"expected {SAID[str(option.name)]}, found nothing")
    return value


_by: Decorator = click.option("--by", required=True, callback=_said, help="Who says so.")
_why: Decorator = click.option("--why", required=True, callback=_said, help="Why.")
_by_if_any: Decorator = click.option("--by", callback=_said, help="Who says so.")
_why_if_any: Decorator = click.option("--why", callback=_said, help="Why.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="statecore")
def cli() -> None:
    """Declared, guarded workflows of specialists, rebuilt from their log."""


# -- declarations


@cli.command()
@click.argument("ref")
@_json
def check(ref: str, as_json: bool) -> None:
    """Check a workflow, and count its worst case.

    Prints states, transitions, and what follows which failure.
    """
    from statecore.survey import survey

    found = survey(finding.workflow(ref).machine)
    _print_json(found.as_json()) if as_json else _print(*found.lines())


@cli.command()
@click.argument("ref")
@click.option("--format", "form", type=click.Choice(["mermaid", "md", "svg"]), default="mermaid", show_default=True)
def graph(ref: str, form: Literal["mermaid", "md", "svg"]) -> None:
    """Draw a workflow."""
    from statecore.graph import draw

    _out(draw(finding.workflow(ref).machine.chart, form).rstrip("\n"))


# -- runs


@cli.command()
@click.argument("ref")
@click.option(
    "--input",
    "source",
    required=True,
    metavar="FILE|-|JSON",
    help="The run's input: a file, standard input, or JSON itself.",
)
@click.option("--tenant", default="", help="Whose run it is; recorded with it.")
@_follow
@_db
@_json
def run(ref: str, source: str, tenant: str, follow: bool, db: str, as_json: bool) -> None:
    """Start a run and see it through."""
    machine = finding.workflow(ref).machine
    plain = _plain(source, machine.takes)
    request = {
        "do": "start",
        "run": fresh_id(),
        "ref": ref,
        "fingerprint": machine.fingerprint,
        "input": plain,
        "tenant": tenant,
        "follow": follow,
    }
    _write(db, request, [ref], as_json)


@cli.command()
@_run_if_any
@_refs
@_follow
@_db
@_json
def resume(name: str | None, refs: tuple[str, ...], follow: bool, db: str, as_json: bool) -> None:
    """Take up every run that is not finished, or one.

    A wait that is over goes on; one that is not is left.
    """
    one = {} if name is None else {"run": _named(db, name)}
    _write(db, {"do": "resume", "follow": follow, **one}, refs, as_json)


@cli.command()
@_run_id
@click.argument("call")
@click.argument("value", metavar="done|not-done|JSON")
@_by
@click.option("--why", required=True, callback=_said, help="Why they say so, or how they know.")
@click.option(
    "--shown", default="", metavar="HASH", help="What `asks` showed; refused where something else is asked by now."
)
@_refs
@_db
@_json
def answer(
    name: str, call: str, value: str, by: str, why: str, shown: str, refs: tuple[str, ...], db: str, as_json: bool
) -> None:
    """Answer what a person is asked, or settle a parked call.

    An answer is JSON. A parked call is done, with the result that JSON gives, or not done.
    """
    request = {"do": "answer", "run": _named(db, name), "call": call, "value": value, "by": by, "why": why}
    _write(db, {**request, **({"shown": shown} if shown else {})}, refs, as_json)


@cli.command()
@_run_id
@_by
@_why
@_refs
@_db
@_json
def cancel(name: str, by: str, why: str, refs: tuple[str, ...], db: str, as_json: bool) -> None:
    """End a run as cancelled."""
    _write(db, {"do": "cancel", "run": _named(db, name), "by": by, "why": why}, refs, as_json)


@cli.command()
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help=f"The newest N  [default: {LISTED}; with --json all]"
)
@click.option("--open", "only_open", is_flag=True, help="Only those that are not finished.")
@_db
@_json
def runs(limit: int | None, only_open: bool, db: str, as_json: bool) -> None:
    """List the runs, newest last."""
    from statecore.inquiry import listing

    found, count = _run(
        listing(_database(db), limit if limit is not None or as_json else LISTED, OPEN if only_open else None)
    )
    if as_json:
        _print_json(found)
        return
    _print(*(present.table(found) if found else []))
    left, what = count - sum(not line["depth"] for line in found), "open run" if only_open else "run"
    if left or not found:
        _print(
            f"{wording.times(left, f'older {what}')} not shown: --limit {count} lists all" if left else f"no {what}s"
        )


@cli.command()
@_run_id
@click.option("--at", type=int, metavar="N", help="As it was after its first N events.")
@click.option("--call", metavar="CALL", help="One call alone, in full: its id, or the name of its state.")
@_db
@_json
def show(name: str, at: int | None, call: str | None, db: str, as_json: bool) -> None:
    """Show a run: where it is, how it got there, what comes next."""
    from statecore import account, history, record
    from statecore.inquiry import shown

    found = _run(shown(_database(db), name, at))
    if call is not None:
        _print_json(account.account(found.run, found.turns, call))
        return
    parts = record.records(found.turns)
    if as_json:
        fork = history.forked(found.turns)
        more = {"finished": history.finished(found.turns), "forked": fork and {"run": fork.run, "at": fork.at}}
        _print_json({**present.as_json(found.run), **more, "plans": [part.plain() for part in parts]})
        return
    which = (found.run, found.turns, found.whole, _options(db), time.time())
    _print(*present.overview(*which, found.below, record.table(parts)))
    if at is None and not found.run.outcome:
        resumed = f"`statecore resume {wording.visible(wording.typed(found.run.id))}{_options(db)}`"
        if found.worker:
            _print(f"worker    process {found.worker}")
        elif present.to_do(found.run, found.below):
            _print(f"worker    no statecore process: unless a program of yours has the log open, {resumed} goes on")


@cli.command()
@_run_id
@_db
@_json
def log(name: str, db: str, as_json: bool) -> None:
    """Print what a run decided, and why.

    With --json a line for each turn.
    """
    from statecore.inquiry import shown

    turns = _run(shown(_database(db), name)).turns
    for turn in turns if as_json else ():
        _print_json(present.turn_json(turn), None)
    if not as_json:
        _print(*telling.lines(turns))


@cli.command()
@_run_if_any
@_refs
@_db
@_json
def verify(name: str | None, refs: tuple[str, ...], db: str, as_json: bool) -> None:
    """Check the chain of every row, and decide every turn again."""
    from statecore.inquiry import verified
    from statecore.sqlitefile import REMEDY

    found = _run(verified(_database(db), name, _loaded(refs)))
    if as_json:
        _print_json([{"run": flaw.stream, "version": flaw.version, "what": flaw.what} for flaw in found.flaws])
    for flaw in () if as_json else found.flaws:
        where = f" at version {flaw.version}" if flaw.version is not None else ""
        _print(
            f"{wording.visible(flaw.stream or 'database')}{where}: {wording.visible(flaw.what.removesuffix(f': {REMEDY}'))}"
        )
    for why in dict.fromkeys(found.skipped.values()):
        _note(f"not decided again: {why}")
    if any(flaw.what.startswith("SQLite: ") for flaw in found.flaws):
        _note(REMEDY)
    if not as_json:
        decided = found.runs - len(found.skipped)
        _print(
            f"{wording.times(found.runs, 'run')}, {decided} decided again:"
            f" {wording.times(len(found.flaws), 'flaw') if found.flaws else 'nothing wrong'}"
        )
        _print("a cut tail, or a run that is gone as a whole, shows only against a head kept elsewhere")
    sys.exit(1 if found.flaws else 0)


# -- the rest


@cli.command()
@click.argument("repository", required=False, metavar="[REPO]")
@click.argument("revision", required=False, metavar="[REV]")
@click.option("--db", default=None, help="The database [default: one of its own in a new directory].")
def demo(repository: str | None, revision: str | None, db: str | None) -> None:
    """Kill a worker half-way, and watch its run finish.

    It reviews a real git change.
    """
    try:
        from statecore.demo.show import demonstrate
    except ModuleNotFoundError as error:
        raise BadInput(f"the demo needs {error.name}: pip install 'statecore[change]'") from None

    def title(text: str) -> None:
        _print("", text, bold=True)

    sys.exit(demonstrate(repository, revision, Path(db) if db else None, _print, title))


@cli.command()
@click.option("--vacuum", is_flag=True, help="First rewrite the database without the room of what is gone.")
@_db
@_json
def doctor(vacuum: bool, db: str, as_json: bool) -> None:
    """Look at this installation and at the database."""
    from statecore.doctor import examine

    if vacuum:
        clilog.vacuum(db)

    findings = _run(examine(_database(db)))
    if as_json:
        _print_json([{"what": what, "good": good, "found": found} for what, good, found in findings])
    else:
        _print(*(f"{'ok   ' if good else 'LOOK '} {what:<22} {found}" for what, good, found in findings))
    sys.exit(0 if all(good for _, good, _ in findings) else 1)


from statecore import cliasks, clicontract, clilog, clireading, clitalk  # noqa: E402 - they are made of what stands above

for command in (
    *cliasks.COMMANDS, *clilog.COMMANDS, *clireading.COMMANDS, *clicontract.COMMANDS, *clitalk.COMMANDS
):  # fmt: skip
    cli.add_command(command)

# -- how commands are carried out


def _write(db: str, request: dict[str, Any], refs: Iterable[str], as_json: bool) -> NoReturn:
    refs = list(refs)
    ended = _carried_out(db, request, refs)
    if as_json:
        shown = [present.as_json(each.run, each.parked) for each in ended]
        _print_json(shown if request["do"] == "resume" and "run" not in request else shown[0])
    for each in () if as_json else ended:
        _print(*_rested(each, _options(db, refs)))
    if not ended and not as_json:
        _print("no run to take up")
    sys.exit(_code(ended))


def _rested(each: Any, options: str) -> list[str]:
    """A run at rest, and what comes next."""
    now = time.time()
    below = present.children(each.below, each.reasons, options, now)
    following = present.following(each.run, each.parked, options, now, below)
    head = present.headline(each.run, each.parked)
    return [head, *present.result(each.run), *(f"next      {line}" for line in following)]


def _carried_out(db: str, request: dict[str, Any], refs: list[str]) -> list[Any]:
    """See a request through, saying what is decided. Ctrl-C ends the process, and how to go on is said."""
    from statecore.inquiry import existing
    from statecore.session import Progress, carry_out

    database = _database(db) if request["do"] == "start" else existing(_database(db))
    known = _loaded(refs)
    prints = {ref: cls.machine.fingerprint for ref, cls in zip(refs, known, strict=False)}
    progress = Progress(_tell)
    stopping = lambda: "" if progress.holder else STOPPING  # noqa: E731 - what another process has in flight goes on
    try:
        ended = _run(carry_out(database, {**request, "refs": prints}, known, progress), stopping)
    except KeyboardInterrupt:
        if progress.stage == "sent" and not progress.holder and _begun(database, request):
            progress.stage, progress.runs = "taken", [request["run"]]
        _tell(_how_to_go_on(request, progress, db, refs))
        sys.exit(STOPPED)
    if progress.cut:
        _tell(_goes_on(progress.runs, _options(db, refs)))
    return ended


def _begun(database: Path, request: dict[str, Any]) -> bool:
    """Whether the run of a request is there that was stopped here before it was known: nobody else has the log now."""
    from statecore.inquiry import named

    try:
        return request["do"] == "start" and bool(_run(named(database, request["run"])))
    except StatecoreError:
        return False


def _how_to_go_on(request: dict[str, Any], progress: Any, db: str, refs: list[str]) -> str:
    """Said at Ctrl-C, by how far the request had come."""
    repeated = request["do"] == "resume"
    if progress.stage == "kept":
        who = f"process {progress.holder}, which holds the log, did not take" if progress.holder else "nobody had taken"
        return f"stopped; {who} the request: nothing of it was done, send it again"
    if progress.stage == "sent" and not repeated:
        run = wording.visible(wording.typed(request.get("new") or request["run"]))
        return f"stopped; whether the request was taken is in the log: `statecore show {run}{_options(db)}` looks"
    if progress.elsewhere:
        which = f"show {wording.visible(wording.typed(progress.runs[0]))}" if len(progress.runs) == 1 else "runs"
        goes_on = f"process {progress.elsewhere} goes on with it: `statecore {which}{_options(db)}` looks"
        return f"not watched any more; {goes_on}"
    return _goes_on(progress.runs, _options(db, refs))


def _goes_on(runs: list[str], options: str) -> str:
    which = f" {wording.visible(wording.typed(runs[0]))}" if len(runs) == 1 else ""
    return f"stopped; nothing is lost: `statecore resume{which}{options}` goes on"


def _options(db: str, refs: Iterable[str] = ()) -> str:
    """What a command that is printed to be typed needs, so that it finds the same log and workflows."""
    named = "" if db == os.environ.get("STATECORE_DB", DATABASE) else f" --db {shlex.quote(db)}"
    return named + "".join(f" --workflow {ref}" for ref in refs)


def _code(ended: Iterable[Any]) -> int:
    """Several runs: 3 if any waits, else 1, else 0."""
    codes = [
        WAITING if each.parked and not each.run.outcome else CODES.get(each.run.condition, WAITING) for each in ended
    ]
    return max(codes, default=0)


def _loaded(refs: Iterable[str]) -> list[Any]:
    """The workflows named on the command line and those that are configured; what does not load is said, not fatal."""
    found, wrong = finding.configured()
    for why in wrong:
        _note(why)
    return [*(finding.workflow(ref) for ref in refs), *found]


def _named(db: str, prefix: str) -> str:
    from statecore.inquiry import named

    return _run(named(_database(db), prefix))


def _plain(source: str, contract: Contract[Any] | None = None) -> Any:
    """What --input names, as plain data: of a contract, where that is known here."""
    from statecore.strictjson import MAX_BYTES, parse

    if not source.strip():
        raise BadInput("--input is empty: give a file that can be read, - for standard input, or JSON")
    if source.lstrip().startswith(("{", "[")):
        where, text = "--input", source.encode("utf-8", "surrogateescape")
    else:
        where = f"--input {source}"
        try:
            with sys.stdin.buffer if source == "-" else open(source, "rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise BadInput(
                f"{where}: {error.strerror}: give a file that can be read, - for standard input, or JSON"
            ) from None
    try:
        plain = parse(text)
        if contract is not None:
            contract.fit(plain)
    except BadInput as error:
        raise BadInput(f"{where}: {error if text.strip() else 'it is empty, expected JSON'}") from None
    return plain


def _run(work: Coroutine[Any, Any, T], stopping: Callable[[], str] = str) -> T:
    """Run to the end. Ctrl-C, SIGTERM and a closed terminal stop it cleanly, and say that they do; once more, at once."""

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None

        def stop() -> None:
            if (said := stopping()) and not task.cancelling():
                _tell(f"\n{said}")
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


class _PipeClosed(Exception):
    pass


class _Unwritten(Exception):
    pass


def _out(text: str, **style: Any) -> None:
    try:
        click.secho(text, **style)
    except BrokenPipeError:
        raise _PipeClosed from None
    except OSError as error:
        raise _Unwritten(error.strerror or str(error)) from None


def _print(*lines: str, **style: Any) -> None:
    """Results, each line of them safe for a terminal whatever it tells of."""
    for line in lines:
        _out("\n".join(wording.visible(part) for part in line.split("\n")), **style)


def _print_json(data: Any, indent: int | None = 2) -> None:
    _out(json.dumps(data, indent=indent))


def _tell(line: str) -> None:
    """Progress. Nobody may be listening any more: a closed terminal stops no work."""
    with suppress(OSError):
        click.echo("\n".join(wording.visible(part) for part in line.split("\n")), err=True)


def _note(text: str) -> None:
    _tell(f"note: {text}")


def main() -> NoReturn:
    """The entry point: every foreseen fault is one line on standard error, and no traceback."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(_main())
    finally:
        _flush()


def _main() -> int:
    try:
        arm_from_environment()
        code = cli(standalone_mode=False, prog_name="statecore")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        _tell(error.format_message())
        return 2
    except click.ClickException as error:
        usage = f"{error.ctx.get_usage()}\n" if isinstance(error, click.UsageError) and error.ctx else ""
        _tell(f"{usage}error: {error.format_message()}")
        return 2
    except (click.Abort, KeyboardInterrupt):
        return STOPPED
    except (_PipeClosed, BrokenPipeError):
        return PIPE_CLOSED
    except _Unwritten as error:
        _tell(f"error: the results cannot be written: {error}; what the command did is done")
        return UNWRITTEN
    except OSError as error:
        _tell(f"error: {error.filename or 'system'}: {error.strerror or error}")
        return 2
    except (StatecoreError, ValueError) as error:
        _tell(f"{'not found' if isinstance(error, NotFound) else 'error'}: {error}")
        return 2


def _open_what_is_closed() -> None:
    """A stream that was closed (`>&-`) leads nowhere, and no file that is opened later gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.fstat(number)
                continue
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(nowhere, "w" if number else "r"))  # noqa: SIM115 - open as long as the process is


def _flush() -> None:
    """What the interpreter would do at its end, where it can only complain: a pipe that was closed takes nothing."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
