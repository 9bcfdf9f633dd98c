"""An innocent: a small service that works a little five times a second, like any program a server has.

It holds some memory of its own and uses all of it again and again, and its code comes from files.
"""

import argparse
import bz2
import hashlib
import json
import random
import re
import sys
import time
import zlib


def work(random_: random.Random) -> None:
    """Do a bit of this and that."""
    text = json.dumps([random_.random() for _ in range(50)])
    json.loads(text)
    re.findall(r"0\.(\d+)", text)
    hashlib.sha256(text.encode()).digest()
    bz2.compress(zlib.compress(text.encode()))


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hold", type=int, default=8, help="MiB of its own")
    arguments = parser.parse_args()
    own = bytearray(arguments.hold << 20)
    random_ = random.Random(1)
    while True:
        work(random_)
        for place in range(0, len(own), 4096):
            own[place] = (own[place] + 1) & 0xFF
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
