"""Makes files or looks them up, a very great number of them: each leaves a dentry and an inode behind.

The counters that rise are SReclaimable and the caches dentry, ext4_inode_cache or nfs_inode_cache; its own
memory stays small. What is looked up without being there (`--missing`) leaves a dentry alone, with the long
name beside it in kmalloc-rcl. The kernel gives all of that back when memory is short, unless something keeps
it from that (see the scenarios); that is what makes a leak of it.
"""

import argparse
import os
import stat
import sys
import time
from pathlib import Path

_DIRECTORY = 2000


def make(root: str, count: int) -> None:
    """Make empty files, some thousand in each directory."""
    for start in range(0, count, _DIRECTORY):
        directory = Path(root, str(start // _DIRECTORY))
        directory.mkdir(parents=True, exist_ok=True)
        at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        for number in range(min(_DIRECTORY, count - start)):
            os.mknod(str(number), stat.S_IFREG | 0o644, dir_fd=at)
        os.close(at)


def look_up(root: str) -> int:
    """Look at every file once, as find and rsync do; returns how many there are."""
    seen = 0
    for directory in sorted(Path(root).iterdir()):
        with os.scandir(directory) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)
                seen += 1
    return seen


def miss(root: str, count: int) -> None:
    """Look up long names that are not there."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    tail = "x" * 230
    for number in range(count):
        try:
            os.stat(f"{number:020}{tail}", dir_fd=at)
        except FileNotFoundError:
            continue


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+", help="directories, one after the other")
    parser.add_argument("--make", type=int, default=0, help="files to be made first, in each")
    parser.add_argument("--missing", type=int, default=0, help="names to be looked up that are none")
    parser.add_argument("--look", action="store_true", help="look at all files there are")
    parser.add_argument("--hold", action="store_true", help="stay when it is done")
    arguments = parser.parse_args()
    began = time.monotonic()
    for root in arguments.roots:
        make(root, arguments.make)
        if arguments.look:
            print(root, look_up(root), "files", f"{time.monotonic() - began:.1f} s", flush=True)
        miss(root, arguments.missing)
    print("done", f"{time.monotonic() - began:.1f} s", flush=True)
    while arguments.hold:
        time.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
