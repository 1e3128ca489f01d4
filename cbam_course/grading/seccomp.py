"""seccomp: deny by number those system calls that Landlock lets through and no answer needs.

Landlock is about the contents of files. The owner of a file may still change its mode, and lock
the next answers out of theirs; send packets, or requests to services of this session; start more
processes than anybody can end; leave memory behind that belongs to none; and, on older kernels, end
all processes of this user.

See ``man 2 seccomp``. Standard library only.
"""

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Iterator

# A machine's name in AUDIT_ARCH_..., and which column of the table below holds its numbers.
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1), "riscv64": (0xC00000F3, 1)}
X32_CALLS = 0x40000000  # another numbering of the same calls on x86-64
# Attributes of files. Copying a file sets them, so these calls do nothing and say that all is well.
IGNORED = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "file_setattr": (469, 469),
}  # fmt: skip
DENIED = {
    "truncate": (76, 45),  # Landlock knows it from Linux 6.2 on
    # other processes; threads are made by clone
    "fork": (57, None), "vfork": (58, None),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    # the network, and a way around this filter
    "connect": (42, 203), "io_uring_setup": (425, 425),
    # memory that no process holds, and keys
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "memfd_create": (319, 279), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219),
}  # fmt: skip
ONLY_TO_ITSELF = {"kill": (62, 129), "tgkill": (234, 131)}
CLONE, CLONE3, CLONE_THREAD = (56, 220), (435, 435), 0x10000
SOCKET = (41, 198)
# With the number of the argument that holds the flags.
SENDING = {"sendto": (44, 206, 3), "sendmsg": (46, 211, 2), "sendmmsg": (307, 269, 3)}
MSG_FASTOPEN = 0x20000000  # connects
AF_INET, AF_INET6, AF_NETLINK, SOCK_STREAM, SOCK_TYPES = 2, 10, 16, 1, 0xF

LOAD, AND, RETURN = 0x20, 0x54, 0x06
IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT = 0x15, 0x35, 0x45
FAIL_WITH = 0x00050000
ALLOW, DENY, IGNORE = 0x7FFF0000, FAIL_WITH | errno.EPERM, FAIL_WITH | 0
CALL, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in what the filter is shown
SET_SECCOMP, MODE_FILTER = 22, 2


class _Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    ]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction))]


def is_available() -> bool:
    """Return whether this machine has it, and is of a kind whose numbers are known here."""
    if not sys.platform.startswith("linux") or platform.machine() not in MACHINES:
        return False
    # Where there are filters, a missing one is a bad address, and no bad argument.
    return sys.maxsize > 2**32 and _set_filter(None) == errno.EFAULT


def restrict() -> None:
    """Deny the calls to this thread and all that it starts, after :func:`.landlock.restrict`.

    Raises:
        OSError: if this machine has no filters for system calls.
    """
    instructions = [_Instruction(*parts) for parts in _filter()]
    program = _Program(len(instructions), (_Instruction * len(instructions))(*instructions))
    if error := _set_filter(ctypes.byref(program)):
        raise OSError(error, os.strerror(error))


def _set_filter(program: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    result = library.prctl(SET_SECCOMP, ctypes.c_ulong(MODE_FILTER), program, zero, zero)
    return ctypes.get_errno() if result else 0


def _filter() -> Iterator[tuple[int, int, int, int]]:
    """Yield the filter: code, how many to skip if true and if false, value."""
    architecture, column = MACHINES[platform.machine()]
    deny, allow = (RETURN, 0, 0, DENY), (RETURN, 0, 0, ALLOW)
    yield (LOAD, 0, 0, ARCHITECTURE)
    yield from [(IF_EQUAL, 1, 0, architecture), deny]
    yield (LOAD, 0, 0, CALL)
    yield from [(IF_AT_LEAST, 0, 1, X32_CALLS), deny]
    for calls, result in ((IGNORED, IGNORE), (DENIED, DENY)):
        for numbers in calls.values():
            if numbers[column] is not None:
                yield from [(IF_EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, result)]
    for numbers in ONLY_TO_ITSELF.values():
        yield from [(IF_EQUAL, 0, 4, numbers[column]), _load(0)]
        yield from [(IF_EQUAL, 0, 1, os.getpid()), allow, deny]
    # What the newer call is to do cannot be seen here; where it is missing, the older one is used.
    yield from [(IF_EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, FAIL_WITH | errno.ENOSYS)]
    yield from [(IF_EQUAL, 0, 4, CLONE[column]), _load(0)]
    yield from [(IF_ANY_BIT, 0, 1, CLONE_THREAD), allow, deny]
    for *numbers, flags in SENDING.values():
        yield from [(IF_EQUAL, 0, 4, numbers[column]), _load(flags)]
        yield from [(IF_ANY_BIT, 0, 1, MSG_FASTOPEN), deny, allow]
    # The kernel's own sockets are TCP, on which it listens, and those that list the addresses here.
    yield from [(IF_EQUAL, 0, 9, SOCKET[column]), _load(0), (IF_EQUAL, 6, 0, AF_NETLINK)]
    yield from [(IF_EQUAL, 1, 0, AF_INET), (IF_EQUAL, 0, 3, AF_INET6)]
    yield from [_load(1), (AND, 0, 0, SOCK_TYPES), (IF_EQUAL, 1, 0, SOCK_STREAM), deny, allow]
    yield allow


def _load(argument: int) -> tuple[int, int, int, int]:
    """Load the lower half of an argument; all machines here are little-endian."""
    return (LOAD, 0, 0, ARGUMENTS + 8 * argument)
