"""Landlock: Linux lets a process lock itself out of files, for good and without being root.

What a process may then still read and write is listed folder by folder; everything else is denied
to it and to all that it starts. Newer kernels also deny TCP connections, and signals to processes
outside. There is no such thing elsewhere: :func:`abi` is 0, and the grader does without.

See ``man 7 landlock``. Standard library only.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

# The numbers are the same on every architecture but Alpha.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG = 1
PATH_BENEATH = 1
SET_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
REFER, TRUNCATE, IOCTL_DEV = (1 << bit for bit in (13, 14, 15))
# How many of the rights each version of the interface knows; an older one refuses the newer bits.
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
CONNECT_TCP = 1 << 1
ABSTRACT_SOCKETS_AND_SIGNALS = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = [
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # Python 3.14 wants the packing named
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def _call(number: int, *arguments: object) -> int:
    """Make a system call that the standard library has no name for."""
    library = ctypes.CDLL(None, use_errno=True)
    result = library.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def abi() -> int:
    """Return the version of Landlock that this machine offers, 0 for none."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return _call(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION_FLAG))
    except (OSError, AttributeError):
        return 0


def restrict(
    readable: Iterable[Path], listable: Iterable[Path] = (), writable: Iterable[Path] = ()
) -> None:
    """Lock this process out of all files but these, and out of the network and other processes.

    Call it before any thread starts: it binds the calling thread and all that it starts.

    Args:
        readable: files and folders that may be read and run, with all below them.
        listable: folders of which only the names of the files below may be read.
        writable: files and folders in which everything may be done. Paths that are not there are
            passed over.

    Raises:
        OSError: if this machine has no Landlock.
    """
    version = abi()
    if not version:
        raise OSError("this machine has no Landlock")
    rights = RIGHTS[min(version, 5)]
    ruleset = _Ruleset(
        rights,
        CONNECT_TCP if version >= 4 else 0,
        ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0,
    )
    # An older kernel takes a longer structure if the part it does not know is zero.
    descriptor = _call(
        CREATE_RULESET,
        ctypes.byref(ruleset),
        ctypes.c_size_t(ctypes.sizeof(ruleset)),
        ctypes.c_uint32(0),
    )
    try:
        for paths, allowed in (
            (readable, EXECUTE | READ_FILE | READ_DIR),
            (listable, READ_DIR),
            (writable, rights & ~EXECUTE),
        ):
            for path in paths:
                _allow(descriptor, path, allowed & rights)
        library = ctypes.CDLL(None, use_errno=True)
        one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
        if library.prctl(SET_NO_NEW_PRIVS, one, zero, zero, zero):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS) failed")
        _call(RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: Path, allowed: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(folder).st_mode):
            allowed &= OF_FILES
        if not allowed:
            return
        rule = _PathBeneath(allowed, folder)
        _call(
            ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(PATH_BENEATH),
            ctypes.byref(rule),
            ctypes.c_uint32(0),
        )
    finally:
        os.close(folder)
