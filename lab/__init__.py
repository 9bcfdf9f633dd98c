"""The lab: throwaway machines that run out of memory, with and without a watchdog (docs/lab.md)."""
