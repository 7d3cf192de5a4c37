"""Whole-engine simulation: the real engine on a real SQLite file, in a world whose every delay, fault and death
follows from a seed.
"""
