"""Faults caused on purpose: what is in force stays in force, and the next run succeeds."""
