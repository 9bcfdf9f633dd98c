"""Conditions on signals, held against time: when a rule fires, goes on, and clears. No I/O and no clock."""
