"""Named numbers derived from samples, without I/O and without a clock."""
