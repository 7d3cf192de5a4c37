"""The room of guards: one file, one guard, its weakness admitted in its docstring. This version ships none; `statecore.guard`
has the seam that a guard of your own fits."""
