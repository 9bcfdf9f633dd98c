"""Entry point of ``python -m memwatchd``."""

import sys

from memwatchd.cli import main

if __name__ == "__main__":
    sys.exit(main())
