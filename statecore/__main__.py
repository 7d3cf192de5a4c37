"""`python -m statecore` is the command line."""

from statecore.cli import main

main()
