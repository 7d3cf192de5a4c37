"""The commands that are about the log itself: export, import, erase, purge."""

from pathlib import Path
from typing import Any

import click

from statecore import cli, finding
from statecore.errors import BadInput
from statecore.wording import times, visible


@click.command("export")
@cli._run_if_any
@cli._db
def export(name: str | None, db: str) -> None:
    """Write the runs, or one, as JSON lines.

    `import` adds them to another database.
    """
    cli._run(_export(cli._database(db), name))


async def _export(database: Path, prefix: str | None) -> None:
    from statecore.inquiry import reading, run_named
    from statecore.transfer import exported

    async with reading(database) as log:
        async for line in exported(log, None if prefix is None else await run_named(log, prefix)):
            cli._out(line.decode())


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, resolve_path=True))
@cli._db
@cli._json
def import_(file: str, db: str, as_json: bool) -> None:
    """Add the runs that `export` wrote.

    All of them, or none where one is there already or a line was changed.
    """
    done = _upkeep(cli._database(db), {"do": "import", "file": file})
    _say(done, as_json, f"{times(len(done), 'run')} imported")


@click.command()
@cli._run_id
@cli._by
@cli._why
@cli._db
@cli._json
def erase(name: str, by: str, why: str, db: str, as_json: bool) -> None:
    """Take the payloads of a finished run out of the file.

    What it did, and its digests, stay.
    """
    done = _upkeep(_there(db), {"do": "erase", "run": cli._named(db, name), "by": by, "why": why})
    _say(done, as_json, *(f"the payloads of {visible(run)} are erased" for run in done))
    for copy in sorted(cli._database(db).resolve().parent.glob(f"{Path(db).name}.schema-*")):
        cli._note(f"{copy} is a copy from before an update, and has them still: delete it when you no longer need it")


@click.command()
@click.option(
    "--older-than", "older", metavar="AGE", help="As in 90m, 12h, 30d  [default: keep of [log] in statecore.toml]"
)
@click.option("--by", default="operator", show_default=True, callback=cli._said, help="Who says so.")
@cli._why_if_any
@cli._db
@cli._json
def purge(older: str | None, by: str, why: str | None, db: str, as_json: bool) -> None:
    """Take old runs that are finished out of the log.

    A line for each stays.
    """
    from statecore.retention import age

    seconds = age(older) if older is not None else finding.keep()
    if seconds is None:
        raise BadInput(
            "expected how old a run must be, found nothing: --older-than 30d, or keep under [log] in statecore.toml"
        )
    request = {"do": "purge", "older": seconds, "by": by, "why": why or f"older than {seconds:g} s"}
    done = _upkeep(_there(db), request)
    _say(done, as_json, f"{times(len(done), 'run')} purged")


def vacuum(db: str) -> None:
    """Rewrite the file without what was taken out of it; for `doctor --vacuum`."""
    _upkeep(_there(db), {"do": "vacuum"})


COMMANDS: tuple[click.Command, ...] = (export, import_, erase, purge)


def _there(db: str) -> Path:
    from statecore.inquiry import existing

    return existing(cli._database(db))


def _upkeep(database: Path, request: dict[str, Any]) -> list[str]:
    from statecore.upkeep import carry_out

    return cli._run(carry_out(database, request, cli._tell))


def _say(runs: list[str], as_json: bool, *lines: str) -> None:
    cli._print_json(runs) if as_json else cli._print(*lines)
