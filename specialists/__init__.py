"""The room of specialists: workers that wait for the outside. `specialists.change` reviews a git change."""
