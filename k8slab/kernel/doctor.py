"""What this machine allows, found out by building a tiny lab: two hosts, a link, a rule, a connection through it.

Whatever is refused is told with the one command that would change it, where there is one.
"""

from __future__ import annotations

import functools
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from k8slab.errors import Told
from k8slab.network import Host, Interface, Link, Network, Route

PROGRAMS = {"ip": "iproute2", "iptables-restore": "iptables", "iptables-save": "iptables", "nft": "nftables"}
USEFUL = {"conntrack": "conntrack", "ping": "iputils-ping", "curl": "curl", "nc": "netcat-openbsd"}
SBIN = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"
APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
MAXIMUM = Path("/proc/sys/user/max_user_namespaces")
ADDRESS, OTHER, SERVICE = "10.0.0.1", "10.0.0.2", "10.0.1.1"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. `able`: the kernel's dataplane can be used; else `why` not, and the command that would change it.

    `missing`: packages of programs that some cells run, and that are not here.
    """

    able: bool
    why: str = ""
    remedy: str = ""
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.able:
            lines = ["Lab() uses the real kernel: a tiny lab was built, and a translated connection went through it."]
        else:
            lines = ["Lab() uses the model, which runs every notebook.", f"Why not the real kernel: {self.why}."]
            lines += [f"This would change it: {self.remedy}"] if self.remedy else []
        if self.able and self.missing:
            lines.append(f"Some commands of the notebooks are not here: sudo apt install {' '.join(self.missing)}")
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """The finding as plain JSON values."""
        return {"dataplane": "kernel" if self.able else "model"} | asdict(self)


@functools.cache
def examine() -> Finding:
    """Find out, once for each process, whether the real kernel can be used."""
    if sys.platform != "linux":
        system = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, platform.system())
        remedy = "wsl --install (and this course inside it)" if sys.platform == "win32" else ""
        return Finding(False, f"this is {system}, and network namespaces are Linux's", remedy)
    lacking = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=SBIN)})
    if lacking:
        return Finding(False, f"programs of {', '.join(lacking)} are not here", f"sudo apt install {' '.join(lacking)}")
    try:
        _try()
    except Told as error:
        return _explained(str(error))
    return Finding(True, missing=tuple(package for program, package in USEFUL.items()
                                       if not shutil.which(program, path=SBIN)))


def _try() -> None:
    from k8slab.kernel.dataplane import Kernel
    from k8slab.kernel.holder import KernelError

    near = Host("near", "node", (Interface("eth0", (f"{ADDRESS}/24",), "02:00:00:00:00:01"),),
                (Route("default", OTHER, "eth0"),), sysctls={"ip_forward": 1})
    far = Host("far", "pod", (Interface("eth0", (f"{OTHER}/24",), "02:00:00:00:00:02"),), listens=(("tcp", 80),))
    network = Network((near, far), (Link("link", (("near", "eth0"), ("far", "eth0"))),))
    rules = (f"*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -d {SERVICE} -p tcp -m tcp --dport 80 -m statistic --mode random "
             f"--probability 1.0 -j DNAT --to-destination {OTHER}:80\nCOMMIT\n")
    with Kernel(network, {"near": rules}) as kernel:
        if not kernel.connections(1, "near", SERVICE, 80).get(f"{OTHER}:80"):
            raise KernelError("the tiny lab was built, but no translated connection went through it")
        if "k8slab" in kernel.run("near", "iptables-save"):
            raise KernelError("iptables-save lists the lab's own table")


def _explained(refused: str) -> Finding:
    """The refusal in words that help, with the remedy for the causes that are known."""
    if _read(MAXIMUM) == "0" or "unshare: No space left" in refused:
        return Finding(False, "user namespaces are switched off (user.max_user_namespaces is 0)",
                       "sudo sysctl -w user.max_user_namespaces=15000")
    if _read(APPARMOR) == "1":
        return Finding(False, f"AppArmor lets no program use user namespaces ({refused})",
                       "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
    if "unshare" in refused and _in_container():
        return Finding(False, f"this container's seccomp filter refuses user namespaces ({refused})",
                       "start the container with --security-opt seccomp=unconfined")
    if "unshare" in refused:
        return Finding(False, f"the kernel refuses user namespaces ({refused})",
                       "sudo sysctl -w kernel.unprivileged_userns_clone=1")
    if "Read-only file system" in refused:
        return Finding(False, f"/proc/sys is read-only ({refused})", "start the container with --privileged")
    return Finding(False, refused)


def _in_container() -> bool:
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or _seccomp() == "2"


def _seccomp() -> str:
    status = _read(Path("/proc/self/status")).splitlines()
    return next((line.split()[1] for line in status if line.startswith("Seccomp:")), "")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
