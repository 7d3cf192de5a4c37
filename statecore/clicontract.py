"""The commands that are about contracts and declarations that change: schema, upgrade-check, migrate."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from statecore import cli, finding, present
from statecore.engine import OPEN
from statecore.errors import BadInput, NotFound, NotPossible
from statecore.nearest import meant
from statecore.wording import times, visible

CHOSEN_BY = ("workflow", "version", "fingerprint", "tenant", "condition")
"""What `--where` asks of a run; of a fingerprint the first digits."""


@click.command()
@click.argument("name", metavar="NAME@VERSION")
@cli._refs
def schema(name: str, refs: tuple[str, ...]) -> None:
    """Print the JSON Schema of a contract, or of a specialist.

    Draft 2020-12; of a specialist, that of what it takes and of what it gives.
    """
    from statecore.shape import schemas

    known = schemas(cls.machine for cls in cli._loaded(refs))
    found = known.get(name) or known.get(f"{name}@1") or []
    if not found:
        loaded = ", ".join(sorted(known)) or "none: name a workflow with --workflow module:Workflow"
        raise NotFound(f"no contract or specialist {name}; loaded are {loaded}{meant(name, known)}")
    if len(found) > 1:
        raise BadInput(f"{len(found)} different ones are called {name}: name the one workflow that is meant")
    cli._print_json(found[0])


@click.command("upgrade-check")
@click.argument("refs", metavar="[REF]...", nargs=-1)
@cli._db
@cli._json
def upgrade_check(refs: tuple[str, ...], db: str, as_json: bool) -> None:
    """Say which open runs the loaded workflows can go on with.

    And why not with the others.
    """
    found = cli._run(_standings(cli._database(db), cli._loaded(refs)))
    stuck = [each for each in found if each.how == "stuck"]
    if as_json:
        shown = ({**present.line(each.run), "how": each.how, "to": each.to, "why": each.why} for each in found)
        cli._print_json(list(shown))
        sys.exit(1 if stuck else 0)
    for each in found:
        run = each.run
        pinned = f"  {run.workflow} {run.version}  {run.fingerprint[:12]}" if run.seq else ""
        tenant = f"  for {run.tenant}" if run.tenant else ""
        how = f"can be migrated to {each.to}" if each.how == "migrate" else each.how
        cli._print(
            f"{visible(run.id)}{pinned}{tenant}  {how}", *(f"  {line}" for why in each.why for line in why.split("\n"))
        )
    cli._print(f"{times(len(found), 'open run')}, {len(stuck) or 'none'} stuck")
    sys.exit(1 if stuck else 0)


async def _standings(database: Path, known: Iterable[Any]) -> list[Any]:
    from statecore.inquiry import reading
    from statecore.registry import Registry
    from statecore.upgrade import upgrade_check

    async with reading(database) as log:
        return await upgrade_check(log, Registry(known))


@click.command()
@cli._run_if_any
@click.option(
    "--where",
    "wheres",
    multiple=True,
    metavar="KEY=VALUE",
    help=f"In place of RUN every open run of which it is true; {', '.join(CHOSEN_BY)}.",
)
@click.option("--to", "ref", required=True, metavar="REF", help="The workflow that it goes on with.")
@cli._by
@cli._why
@cli._db
@cli._json
def migrate(name: str | None, wheres: tuple[str, ...], ref: str, by: str, why: str, db: str, as_json: bool) -> None:
    """Let open runs go on with another declaration.

    All of them or none, by its declared migration.
    """
    from statecore.inquiry import existing

    database, machine = existing(cli._database(db)), finding.workflow(ref).machine
    if (name is None) == (not wheres):
        raise BadInput("expected either one run or --where, found both or none: say which runs are meant")
    runs = [cli._named(db, name)] if name is not None else _chosen(database, wheres, machine.fingerprint)
    request = {"do": "migrate", "run": runs[0], "runs": runs, "ref": ref, "fingerprint": machine.fingerprint}
    request |= {"by": by, "why": why}
    ended = cli._carried_out(db, request, [ref])
    if as_json:
        cli._print_json([present.as_json(each.run, each.parked) for each in ended])
        return
    cli._print(*(present.headline(each.run, each.parked) for each in ended))
    cli._print(f"{times(len(ended), 'run')} migrated: `statecore resume{cli._options(db, [ref])}` goes on")


def _chosen(database: Path, wheres: Iterable[str], target: str) -> list[str]:
    """The open runs that are meant, but for those that are there already."""
    from statecore.inquiry import listing

    wanted = dict(_condition(text) for text in wheres)
    lines, _ = cli._run(listing(database, None, OPEN))
    runs = [line["run"] for line in lines if line["fingerprint"] != target and _true(line, wanted)]
    if not runs:
        raise NotPossible(f"no open run with {' and '.join(wheres)} is on another declaration: nothing to migrate")
    return runs


def _condition(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or key not in CHOSEN_BY:
        raise BadInput(f"--where {text}: expected KEY=VALUE with one of {', '.join(CHOSEN_BY)}")
    return key, value


def _true(line: dict[str, Any], wanted: dict[str, str]) -> bool:
    return all(
        line[key].startswith(value) if key == "fingerprint" else line[key] == value for key, value in wanted.items()
    )


COMMANDS: tuple[click.Command, ...] = (schema, upgrade_check, migrate)
