"""The C library by ctypes: the few calls Python has no name for."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_PR_SET_PDEATHSIG = 1
# mallopt(3) parameters, from malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8


def mlockall() -> None:
    """Lock all present and future pages of this process as soon as they are touched.

    MCL_ONFAULT, so that what is never used (thread stacks, most of the libraries) does not become resident;
    whoever calls it warms up first. Kernels before 4.4 refuse the flag and get the whole lock.

    Raises:
        OSError: Not permitted, or RLIMIT_MEMLOCK is too small.
    """
    if _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0:
        return
    if _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) != 0:
        raise _last_error()


def mlock_range(address: int, length: int) -> None:
    """Lock one range of this process, reading it in where it is not there yet.

    Raises:
        OSError: Not permitted, or the range is not mapped.
    """
    if _libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(length)) != 0:
        raise _last_error()


def keep_heap() -> None:
    """Keep malloc from giving memory back or mapping large blocks one by one: both fault later.

    Does nothing where the C library has no mallopt (musl).
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 512 << 20)
        mallopt(_M_TOP_PAD, 256 << 10)


def share_heap() -> None:
    """Have all threads of this process allocate from one arena: each of their own takes 64 MiB of addresses.

    Does nothing where the C library has no mallopt (musl).
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send a signal to this process when its parent dies.

    Raises:
        OSError: The kernel refused.
    """
    if _libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise _last_error()


def swapon(path: bytes, flags: int) -> None:
    """Turn a swap area on.

    Raises:
        OSError: The kernel refused.
    """
    if _libc.swapon(ctypes.c_char_p(path), ctypes.c_int(flags)) != 0:
        raise _last_error()


def swapoff(path: bytes) -> None:
    """Turn a swap area off.

    Raises:
        OSError: The kernel refused.
    """
    if _libc.swapoff(ctypes.c_char_p(path)) != 0:
        raise _last_error()


def reboot(command: int) -> None:
    """Have the kernel restart or halt the machine at once.

    Raises:
        OSError: The kernel refused.
    """
    if _libc.reboot(ctypes.c_int(command)) != 0:
        raise _last_error()


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
