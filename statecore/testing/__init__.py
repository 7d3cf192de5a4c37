"""The testing kit: what a workflow decides, does, and survives, asked in a few lines and without waiting.

`given(...).when(...)` asks the decider alone. `play` runs a workflow in virtual time with scripted specialists. `paths`
walks every way through the table. `survives` kills a run at every turn. `run_virtual` is a loop on which waiting takes no
time. Snapshots and coverage come with the pytest plugin.
"""

from statecore.testing.given import Decided as Decided
from statecore.testing.given import Given as Given
from statecore.testing.given import given as given
from statecore.testing.given import payload as payload
from statecore.testing.paths import Path as Path
from statecore.testing.paths import paths as paths
from statecore.testing.paths import paths_text as paths_text
from statecore.testing.play import Played as Played
from statecore.testing.play import play as play
from statecore.testing.script import After as After
from statecore.testing.script import Garbage as Garbage
from statecore.testing.script import Hang as Hang
from statecore.testing.script import Script as Script
from statecore.testing.script import ScriptError as ScriptError
from statecore.testing.script import scripted as scripted
from statecore.testing.survival import Survival as Survival
from statecore.testing.survival import survives as survives
from statecore.testing.text import table_text as table_text
from statecore.testing.text import trace_text as trace_text
from statecore.testing.virtual import Stuck as Stuck
from statecore.testing.virtual import VirtualClock as VirtualClock
from statecore.testing.virtual import VirtualLoop as VirtualLoop
from statecore.testing.virtual import run_virtual as run_virtual
from statecore.testing.walk import Walk as Walk
