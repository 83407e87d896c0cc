"""System call filter for `bwrap --seccomp`: classic BPF for x86-64, assembled here without a dependency.

Knows: calls that no test program needs, but an attacker of the kernel or the host does. Must not know: bubblewrap. A
refused call fails with EPERM (clone3 with ENOSYS, so that the C library falls back to clone, whose flags a filter can
read); a call of another architecture (int 0x80, x32) ends the process. Other machines than x86-64 have no filter.

Refused, with reasons:
- new namespaces, mounts, chroot: the kernel's largest attack surface for unprivileged users.
- ptrace, reading other processes' memory or descriptors, kcmp: the supervisor is in the same sandbox.
- bpf, perf, io_uring, userfaultfd, keyrings, modules, fanotify, file handles, quotas: a history of exploits, no use.
- sockets other than UNIX ones: the network namespace is empty, but VSOCK reaches a virtual machine's host past it.
- memory that no limit of a process counts: memfd_create, memfd_secret, SysV and POSIX shared memory and queues.
"""

import errno
import platform
import struct

# Numbers: Linux, arch/x86/entry/syscalls/syscall_64.tbl.
REFUSED = {
    "shmget": 29, "shmat": 30, "semget": 64, "msgget": 68, "ptrace": 101, "syslog": 103, "mknod": 133,
    "personality": 135, "uselib": 134, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155, "adjtimex": 159,
    "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168,
    "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "create_module": 174,
    "init_module": 175, "delete_module": 176, "get_kernel_syms": 177, "query_module": 178, "quotactl": 179,
    "nfsservctl": 180, "lookup_dcookie": 212, "clock_settime": 227, "mbind": 237, "set_mempolicy": 238,
    "get_mempolicy": 239, "mq_open": 240, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
    "migrate_pages": 256, "mknodat": 259, "unshare": 272, "vmsplice": 278, "move_pages": 279,
    "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304,
    "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "finit_module": 313, "memfd_create": 319, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "quotactl_fd": 443, "memfd_secret": 447, "set_mempolicy_home_node": 450,
}  # fmt: skip
SOCKET, CLONE, CLONE3 = 41, 56, 435
NEW_NAMESPACES = 0x00000080 | 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
"""CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. The first is a bit of the exit signal in
clone, where no signal with a number that high exists."""
AF_UNIX = 1
X86_64, X32_BIT = 0xC000003E, 0x40000000

# struct seccomp_data: number at 0, architecture at 4, arguments from 16, 8 bytes each, low half first.
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000


def filter_program() -> bytes:
    """The filter as an array of `struct sock_filter`; b"" on machines with other system calls."""
    if platform.machine() != "x86_64":
        return b""
    code = [
        _step(LOAD, ARCHITECTURE),
        _step(JUMP_EQUAL, X86_64, 1, 0),
        _step(RETURN, KILL),
        _step(LOAD, NUMBER),
        _step(JUMP_AT_LEAST, X32_BIT, 0, 1),
        _step(RETURN, KILL),
        *_refuse(CLONE3, errno.ENOSYS),
        *_on_argument(SOCKET, _step(JUMP_EQUAL, AF_UNIX, 1, 0)),
        *_on_argument(CLONE, _step(JUMP_ANY_BIT, NEW_NAMESPACES, 0, 1)),
    ]
    for number in REFUSED.values():
        code += _refuse(number, errno.EPERM)
    return b"".join([*code, _step(RETURN, ALLOW)])


def _step(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; the jumps are numbers of instructions to skip."""
    return struct.pack("<HBBI", operation, if_true, if_false, value)


def _refuse(number: int, error: int) -> list[bytes]:
    return [_step(JUMP_EQUAL, number, 0, 1), _step(RETURN, REFUSE | error)]


def _on_argument(number: int, test: bytes) -> list[bytes]:
    """For one call, `test` its first argument: skip 1 to allow it, 0 to refuse it."""
    return [
        _step(JUMP_EQUAL, number, 0, 4),
        _step(LOAD, FIRST_ARGUMENT),
        test,
        _step(RETURN, REFUSE | errno.EPERM),
        _step(RETURN, ALLOW),
    ]
