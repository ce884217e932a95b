"""What this machine allows, found out by building a tiny lab: two hosts, a link, a rule, a connection through it.

Whatever is refused is told with the one command that would change it, where there is one.
"""

from __future__ import annotations

import functools
import platform
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from k8slab.errors import Told
from k8slab.network import Host, Interface, Link, Network, Route

PROGRAMS = {"ip": "iproute2", "iptables-restore": "iptables", "iptables-save": "iptables", "nft": "nftables"}
USEFUL = {"conntrack": "conntrack", "ping": "iputils-ping", "curl": "curl", "nc": "netcat-openbsd"}
SBIN = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"
PACKAGES = {"dnf": {"iproute2": "iproute", "iptables": "iptables-nft", "conntrack": "conntrack-tools",
                    "iputils-ping": "iputils", "netcat-openbsd": "nmap-ncat"}}      # where they are not Debian's
APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")     # Ubuntu, from 23.10 on
CLONE = Path("/proc/sys/kernel/unprivileged_userns_clone")                    # Debian, until 10
LIMITS = Path("/proc/sys/user")
UNMASK = "start the container with --security-opt systempaths=unconfined (Podman: --security-opt unmask=ALL)"
ELSEWHERE = {"darwin": ("macOS", "brew install lima && limactl start (and this course inside it)"),
             "win32": ("Windows", "wsl --install (and this course inside it)")}
ADDRESS, OTHER, SERVICE = "10.0.0.1", "10.0.0.2", "10.0.1.1"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. `able`: the kernel's dataplane can be used; else `why` not, and the command that would change it.

    `missing`: packages of programs that some cells run, and that are not here; while any is, Lab() takes the model.
    """

    able: bool
    why: str = ""
    remedy: str = ""
    missing: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether Lab() takes the real kernel: it can be used, and every program of the notebooks is here."""
        return self.able and not self.missing

    def __str__(self) -> str:
        if self.whole:
            return "Lab() uses the real kernel: a tiny lab was built, and a translated connection went through it."
        lines = ["Lab() uses the model, which runs every notebook."]
        if self.able:
            lines.append("The real kernel can be used, Lab('kernel'), but programs that some cells run are not here.")
        else:
            lines.append(f"Why not the real kernel: {self.why}.")
        remedy = _install(self.missing) if self.able else self.remedy
        return "\n".join([*lines, *([f"This would change it: {remedy}"] if remedy else [])])

    def to_dict(self) -> dict:
        """The finding as plain JSON values."""
        return {"dataplane": "kernel" if self.whole else "model"} | asdict(self)


@functools.cache
def examine() -> Finding:
    """Find out, once for each process, whether the real kernel can be used."""
    if sys.platform != "linux":
        system, remedy = ELSEWHERE.get(sys.platform, (platform.system(), ""))
        return Finding(False, f"this is {system}, and network namespaces are Linux's", remedy)
    if lacking := _missing(PROGRAMS):
        return Finding(False, f"not here: {', '.join(sorted(lacking))}", _install(lacking.values()))
    try:
        _try()
    except Told as error:
        return _explained(str(error))
    return Finding(True, missing=tuple(_missing(USEFUL).values()))


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
    if "No space left" in refused:
        return Finding(False, *_exhausted(refused))
    if "Read-only file system" in refused:
        return Finding(False, f"/proc/sys is read-only, as in most containers ({refused})", UNMASK)
    if not any(word in refused for word in ("not permitted", "denied")):
        return Finding(False, refused)
    if _read(APPARMOR) == "1":
        return Finding(False, f"AppArmor lets no program of an ordinary user use user namespaces ({refused})",
                       f"sudo sysctl -w {_name(APPARMOR)}=0")
    if _read(CLONE) == "0":
        return Finding(False, f"user namespaces are for root alone ({refused})", f"sudo sysctl -w {_name(CLONE)}=1")
    if "unshare" in refused and _filtered():
        return Finding(False, f"a seccomp filter, as containers have one, refuses user namespaces ({refused})",
                       "start the container with --security-opt seccomp=unconfined")
    return Finding(False, f"the kernel refuses it ({refused})")


def _exhausted(refused: str) -> tuple[str, str]:
    """Which of the limits on namespaces is reached, and the command that raises it (namespaces(7))."""
    found = {kind: _read(LIMITS / f"max_{kind}_namespaces") for kind in ("user", "pid", "net")}
    # The child's own namespaces are refused by their call's name alone, a host's by the error that Python made of it.
    kind = next((kind for kind, most in found.items() if most == "0"), "net" if "OSError" in refused else "user")
    sysctl = f"user.max_{kind}_namespaces"
    why = f"{kind} namespaces are switched off ({sysctl} is 0)" if found[kind] == "0" else (
        f"this user has as many namespaces as are allowed ({sysctl} is {found[kind]})")
    return why, f"sudo sysctl -w {sysctl}=15000"


def _missing(programs: Mapping[str, str]) -> dict[str, str]:
    """Those of the programs that are not here → their packages, by the names of this system."""
    names = PACKAGES.get(_installer(), {})
    return {program: names.get(package, package) for program, package in programs.items()
            if not shutil.which(program, path=SBIN)}


def _install(packages: Iterable[str]) -> str:
    how = {"apt": "sudo apt install", "dnf": "sudo dnf install"}.get(_installer(), "install with the system's tool:")
    return " ".join([how, *sorted(set(packages))])


def _installer() -> str:
    return next((name for name in ("apt", "dnf") if shutil.which(name)), "")


def _name(path: Path) -> str:
    return ".".join(path.parts[-2:])


def _filtered() -> bool:
    """Whether a seccomp filter is over this process (proc(5), /proc/pid/status)."""
    return any(line.split() == ["Seccomp:", "2"] for line in _read(Path("/proc/self/status")).splitlines())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
