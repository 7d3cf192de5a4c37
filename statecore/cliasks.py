"""The command that is about people: asks."""

import sys
import time
from typing import Any

import click

from statecore import cli
from statecore.errors import BadInput


@click.command()
@cli._run_if_any
@click.option("--watch", is_flag=True, help="Sit at the terminal: choose a question, see all of it, answer it.")
@click.option("--by", callback=cli._said, help="With --watch: your name.")
@cli._refs
@cli._db
@cli._json
def asks(name: str | None, watch: bool, by: str | None, refs: tuple[str, ...], db: str, as_json: bool) -> None:
    """List what people are asked, and how to answer it.

    By all runs, or by one; all of each question.
    """
    from statecore import inbox

    database, known = cli._database(db), cli._loaded(refs)
    run = None if name is None else cli._named(db, name)
    if watch:
        if as_json:
            raise BadInput("--watch is for people and --json for programs: leave one of them out")
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            inbox.no_terminal()
        _watch(db, run, by or "", refs, known)
        return
    found = cli._run(inbox.asked(database, known, run))
    if as_json:
        cli._print_json([inbox.as_json(ask) for ask in found])
        return
    for number, ask in enumerate(found):
        cli._print(*([""] if number else []), *inbox.sheet(ask, time.time(), cli._options(db, refs)))
    if not found:
        cli._print("nobody is asked anything")


def _watch(db: str, run: str | None, by: str, refs: tuple[str, ...], known: list[Any]) -> None:
    from statecore import inbox, present

    database = cli._database(db)

    def answer(ask: Any, value: str, who: str, why: str) -> list[str]:
        request = {
            "do": "answer", "run": ask.run.id, "call": ask.call.id, "value": value, "by": who, "why": why,
            "shown": ask.shown,
        }  # fmt: skip
        return [present.headline(each.run, each.parked) for each in cli._carried_out(db, request, list(refs))]

    def look() -> list[Any]:
        return cli._run(inbox.asked(database, known, run))

    def say(*lines: str, nl: bool = True) -> None:
        try:
            if nl:
                cli._print(*lines)
            else:
                click.echo("".join(lines), nl=False)
                sys.stdout.flush()
        except (OSError, cli._Unwritten):
            raise inbox.Left from None  # the terminal is closed

    inbox.Inbox(look, answer, time.time, say, by).sit()


COMMANDS: tuple[click.Command, ...] = (asks,)
