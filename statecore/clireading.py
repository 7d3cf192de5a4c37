"""Commands that need no run to be taken up: what was handed to whom, what rests on what, who there is to hand something
to, and a first workflow.
"""

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click

from statecore import cli, present
from statecore.errors import BadInput, UnknownSpecialist
from statecore.wording import times, visible


@click.command()
@cli._run_id
@cli._db
@cli._json
def messages(name: str, db: str, as_json: bool) -> None:
    """List what was handed to whom in a run.

    From, to, contract, size, and what it was made of.
    """
    from statecore.handed import handed
    from statecore.inquiry import shown

    found = cli._run(shown(cli._database(db), name))
    sent = list(handed(found.run, found.turns))
    if as_json:
        whose = {name: present.line(found.run)[name] for name in ("run", "workflow", "version", "tenant")}
        cli._print_json([{**whose, **message.as_json()} for message in sent])
        return
    cli._print(*(line for message in sent for line in message.lines()))
    cli._print(f"{times(len(sent), 'hand-over')} in {visible(found.run.id)}")


@click.command()
@cli._run_id
@click.argument("call", metavar="[CALL]", required=False, default="")
@cli._db
@cli._json
def trace(name: str, call: str, db: str, as_json: bool) -> None:
    """Trace a result to all that it rests on.

    What a run ended on, or what one of its calls gave.
    """
    from statecore.inquiry import traced

    found = cli._run(traced(cli._database(db), name, call))
    if as_json:
        cli._print_json(found.as_json())
    else:
        cli._print(*found.lines())


@click.command()
@click.argument("name", metavar="[NAME]", required=False, default="")
@click.option("--disable", is_flag=True, help="Take it out of rotation, until it is enabled.")
@click.option("--enable", is_flag=True, help="Put it back.")
@cli._by_if_any
@cli._why_if_any
@cli._refs
@cli._db
@cli._json
def specialists(
    name: str,
    disable: bool,
    enable: bool,
    by: str | None,
    why: str | None,
    refs: tuple[str, ...],
    db: str,
    as_json: bool,
) -> None:
    """List who there is and what they are doing; or disable one.

    The specialists of the loaded workflows, with their contracts and limits.
    """
    loaded, database = cli._loaded(refs), cli._database(db)
    if disable and enable:
        raise BadInput("expected --enable or --disable, found both: say which is meant")
    if disable or enable:
        name, known = _switch(database, loaded, name, "enable" if enable else "disable", by, why)
        if not known:
            cli._print(f"{name}  enabled")
            return
    found = cli._run(_roster(database if database.exists() else None, loaded, name))
    if as_json:
        cli._print_json([entry.as_json() for entry in found])
        return
    cli._print(*(line for entry in found for line in entry.lines()))
    if not found:
        cli._print("no specialist: name a workflow with --workflow, or under `workflows` in statecore.toml")


def _switch(
    database: Path, loaded: list[Any], name: str, switch: str, by: str | None, why: str | None
) -> tuple[str, bool]:
    """Disable or enable; the name without its version, and whether a loaded workflow has it. What the log has as out of
    rotation is put back whoever is loaded.
    """
    from statecore.inquiry import existing
    from statecore.roster import named
    from statecore.upkeep import carry_out

    if not (name and by and why):
        raise BadInput(f"expected NAME, --by and --why with --{switch}")
    try:
        name, known = named(loaded, name).name, True
    except UnknownSpecialist:
        name, known = name.partition("@")[0], False
        if switch == "disable" or name not in cli._run(_off(existing(database))):
            raise
    request = {"do": "switch", "specialist": name, "on": switch == "enable", "by": by, "why": why}
    if not cli._run(carry_out(existing(database), request, cli._tell)):
        cli._note(f"{name} was {switch}d already")
    return name, known


async def _off(database: Path) -> Collection[str]:
    from statecore.inquiry import reading
    from statecore.switches import switches

    async with reading(database) as log:
        return (await switches(log)).off


async def _roster(database: Path | None, loaded: list[Any], name: str) -> list[Any]:
    from statecore.inquiry import reading
    from statecore.mailbox import beside, served
    from statecore.roster import roster

    if database is None:
        return await roster(None, loaded, name)
    async with reading(database) as log:
        return await roster(log, loaded, name, bool(await served(beside(log.path))))


@click.command()
@click.argument("directory", default=".", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path))
def init(directory: Path) -> None:
    """Write a first workflow with its tests.

    It has one specialist and one reviewer.
    """
    from statecore.init import begin

    cli._print(*(f"wrote     {path}" for path in begin(directory)))
    where = f"cd {shlex.quote(str(directory))} && " if directory != Path() else ""
    question = shlex.quote('{"text": "Why is the sky blue?"}')
    cli._print(f"next      {where}statecore check questions:Answering")
    cli._print(f"          statecore run questions:Answering --input {question}")
    cli._print("          python -m pytest   (pip install 'statecore[testing]' brings it)")


COMMANDS: tuple[click.Command, ...] = (messages, trace, specialists, init)
