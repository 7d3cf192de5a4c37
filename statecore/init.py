"""`statecore init`: a first workflow with its tests, to be read, run and changed. The files are those of `newcomer/`."""

from pathlib import Path

from statecore.errors import BadInput

NEWCOMER = Path(__file__).parent / "newcomer"
SETTINGS = 'workflows = ["questions:Answering"]\n'


def begin(directory: Path) -> list[Path]:
    """Write the files and give their paths. Raises BadInput, and writes none, where one of them is there already."""
    texts = {name: (NEWCOMER / name).read_text("utf-8") for name in ("questions.py", "test_questions.py")}
    texts["statecore.toml"] = SETTINGS
    there = [name for name in texts if (directory / name).exists()]
    if there:
        raise BadInput(
            f"{directory} has {', '.join(there)} already, and nothing is overwritten: name an empty directory"
        )
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        with (directory / name).open("x", encoding="utf-8") as file:
            file.write(text)
    return [directory / name for name in texts]
