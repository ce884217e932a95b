"""Run a program under a seccomp filter that refuses user namespaces, as Docker's own does.

    python -m tests.kernel.seccomp PROGRAM WORD…

unshare and clone with CLONE_NEWUSER give EPERM; clone3, whose flags a filter cannot read, gives ENOSYS, so that libc
takes clone instead.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

NEW_USER = 0x10000000                                  # include/uapi/linux/sched.h, CLONE_NEWUSER
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2     # prctl.h, seccomp.h
# Machine → its name in a filter (audit.h, AUDIT_ARCH_…), and its numbers of unshare, clone and clone3.
MACHINES = {"x86_64": (0xC000003E, 272, 56, 435), "aarch64": (0xC00000B7, 97, 220, 435)}
# Instructions (bpf_common.h): load a word of struct seccomp_data, jump if equal, jump if a bit is set, return.
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, ARCH, FIRST_WORD = 0, 4, 16                    # offsets in struct seccomp_data (little endian)
ALLOW, REFUSE = 0x7FFF0000, 0x00050000                 # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO, with the error's number


class Program(ctypes.Structure):
    """struct sock_fprog (linux/filter.h)."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def instructions(arch: int, unshare: int, clone: int, clone3: int) -> list[tuple[int, int, int, int]]:
    """The filter: code, jump if true, jump if false, operand."""
    return [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 0, 6, arch),                  # another architecture: allow
        (LOAD, 0, 0, NUMBER),
        (EQUAL, 5, 0, clone3),
        (EQUAL, 1, 0, unshare),
        (EQUAL, 0, 2, clone),
        (LOAD, 0, 0, FIRST_WORD),
        (ANY_BIT, 2, 0, NEW_USER),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE | errno.ENOSYS),
        (RETURN, 0, 0, REFUSE | errno.EPERM),
    ]


def refuse_user_namespaces() -> None:
    """Put the filter over this process and all that come from it. Raises OSError where the kernel takes no filter."""
    code = b"".join(struct.pack("=HBBI", *one) for one in instructions(*MACHINES[platform.machine()]))
    libc = ctypes.CDLL(None, use_errno=True)
    for words in ((NO_NEW_PRIVILEGES, 1, 0, 0, 0), (SET_SECCOMP, FILTER, ctypes.byref(Program(len(code) // 8, code)))):
        if libc.prctl(*words):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse_user_namespaces()
    os.execvp(sys.argv[1], sys.argv[1:])
