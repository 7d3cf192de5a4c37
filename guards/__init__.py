"""The room of guards: one file, one guard, its weakness admitted in its docstring.

`from guards import plausible, quality, required` and put them on a state. `statecore.guard` has the seam that a guard of
your own fits.
"""

from guards.check import Check as Check
from guards.check import plausible as plausible
from guards.check import quality as quality
from guards.required import Required as Required
from guards.required import required as required
