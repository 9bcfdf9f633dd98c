"""Figures for Prometheus and a small live page, from a process that sees only the ring and the state file."""
