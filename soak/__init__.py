"""A long run of the real daemon under everything that may happen to it, and what must stay flat meanwhile."""
