"""The commands by which somebody outside speaks to a run, or sends one another way: signal, fork."""

import json
import sys
from typing import Any

import click

from statecore import cli, present, wording
from statecore.engine import fresh_id
from statecore.nearest import meant
from statecore.wording import where


@click.command()
@cli._run_id
@click.argument("type_", metavar="TYPE")
@click.option(
    "--input", "source", default="{}", metavar="FILE|-|JSON", help="Its payload  [default: one without fields]"
)
@cli._by
@click.option("--id", default="", help="The sender's own name for it: sent again, it is answered and not taken again.")
@cli._refs
@cli._db
@cli._json
def signal(name: str, type_: str, source: str, by: str, id: str, refs: tuple[str, ...], db: str, as_json: bool) -> None:
    """Tell a run something that it waits for.

    Prints the reply.
    """
    value, id, run = cli._plain(source), id or fresh_id(), cli._named(db, name)
    request = {"do": "signal", "run": run, "type": type_, "input": value, "by": by, "id": id}
    ended = cli._carried_out(db, request, list(refs))
    from statecore.inquiry import answered

    found = cli._run(answered(cli._database(db), run, by, id))
    if not found["taken"]:
        _misspelt(type_, list(refs))
    if as_json:
        cli._print_json({**found, "run": present.as_json(ended[0].run, ended[0].parked)})
    else:
        cli._print(*_told(found), *cli._rested(ended[0], cli._options(db, refs)))
    sys.exit(0 if found["taken"] else 1)


def _misspelt(type_: str, refs: list[str]) -> None:
    known = {contract.name for cls in cli._loaded(refs) for contract in cls.machine.signals}
    if type_.partition("@")[0] not in known and (near := meant(type_, known)):
        cli._note(f"no signal is called {type_}{near}")


def _told(found: dict[str, Any]) -> list[str]:
    if not found["taken"]:
        return [f"refused   {wording.short(found['why'])}"]
    said = [f"taken     {' + '.join(found['transitions'])} -> {where(found['states'])}"]
    reply = found["reply"]
    return said if reply is None else [*said, f"reply     {json.dumps(reply['value'])}"]


@click.command()
@cli._run_id
@click.option("--at", type=int, required=True, metavar="N", help="After its first N events, where a turn ends.")
@click.option("--run", "new", default="", metavar="NEWID", help="The name of the new run  [default: a fresh one].")
@cli._by
@cli._why
@cli._refs
@cli._db
@cli._json
def fork(name: str, at: int, new: str, by: str, why: str, refs: tuple[str, ...], db: str, as_json: bool) -> None:
    """Begin a run that shares the first events of another.

    And see it through. The other stays as it is.
    """
    run = cli._named(db, name)
    cli._write(db, {"do": "fork", "run": run, "at": at, "new": new or fresh_id(), "by": by, "why": why}, refs, as_json)


COMMANDS: tuple[click.Command, ...] = (signal, fork)
