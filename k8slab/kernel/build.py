"""From the drawing of a network to what makes it on a real kernel: batches of `ip`, sysctls, slices of rules.

Nothing is done here. One `ip -batch` makes all links, one for each host its addresses and routes; rules are read by
`iptables-restore` in slices, since a user namespace may send no more than some 300 of them to nf_tables at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from k8slab.kernel.events import TABLE
from k8slab.network import Host, Interface, Network

DARK = "dark"                 # where the far ends of interfaces are that no link joins
SLICE = 250
# What is set on every host. The error messages of a real kernel are rare, and its patience long: the lab's are not.
SETTINGS = {
    "ipv6/conf/all/disable_ipv6": 1, "ipv6/conf/default/disable_ipv6": 1,
    "ipv4/icmp_ratemask": 0, "ipv4/tcp_invalid_ratelimit": 0, "ipv4/tcp_synack_retries": 20, "ipv4/tcp_ecn": 0,
    # A connection that nobody ends stays as it is for long: its servers do not ask again (an older kernel's do).
    "?ipv4/tcp_rto_min_us": 120_000_000, "ipv4/tcp_early_retrans": 0,
    "?ipv4/icmp_msgs_per_sec": 100000, "?ipv4/icmp_msgs_burst": 100000,
    "ipv4/conf/all/arp_ignore": 0, "ipv4/conf/all/forwarding": 0,
    # Where the host has br_netfilter, new namespaces begin with 1; without it a bridged packet meets no hook.
    "?bridge/bridge-nf-call-iptables": 0,
    "?ipv4/igmp_link_local_mcast_reports": 0,     # a bridge would say, some time later, which groups it has joined
}
# Three questions are asked of a neighbour that does not answer; a second lies between them where nobody says otherwise.
ARP_PATIENCE = 20            # milliseconds
# A name of network.SYSCTLS → its paths; an interface that is made later copies `default`.
PATHS = {"ip_forward": ("ipv4/ip_forward",),
         **{name: (f"ipv4/conf/all/{name}", f"ipv4/conf/default/{name}")
            for name in ("rp_filter", "route_localnet", "send_redirects")}}


def settings(hosts: tuple[Host, ...]) -> list[tuple[str, str, object]]:
    """Triples of host, path below /proc/sys/net and value; "?" before a path: not every kernel has it."""
    return [triple for host in hosts for triple in (
        *((host.name, path, value) for path, value in SETTINGS.items()),
        *((host.name, path, host.sysctl(name)) for name, paths in PATHS.items() for path in paths))]


def patience(hosts: tuple[Host, ...]) -> list[tuple[str, str, object]]:
    """The same, of what there is for interfaces once they are made."""
    return [(host.name, f"ipv4/neigh/{interface.name}/retrans_time_ms", ARP_PATIENCE)
            for host in hosts for interface in host.interfaces if interface.kind == "veth"]


def switches(network: Network) -> list[str]:
    """The names of the namespaces that join more than two interfaces, and of the dark one."""
    return [DARK, *(f"switch {number}" for number, link in enumerate(network.links) if len(link.ends) > 2)]


def links(network: Network, descriptors: Mapping[str, int]) -> str:
    """The `ip -batch` that makes every interface, each end in its own namespace."""
    lines, joined = [], set()
    for number, link in enumerate(network.links):
        ends = [(host, network.host(host).interface(name)) for host, name in link.ends]
        joined |= {(host, interface.name) for host, interface in ends}
        if len(ends) == 2:
            lines.append(_veth(descriptors, *ends[0], *ends[1]))
        else:
            lines += [_veth(descriptors, *end, f"switch {number}", Interface(f"port{at}", mac=""))
                      for at, end in enumerate(ends)]
    loose = [(host.name, interface) for host in network.hosts for interface in host.interfaces
             if (host.name, interface.name) not in joined and interface.kind == "veth"]
    lines += [_veth(descriptors, *end, DARK, Interface(f"dark{at}", mac="")) for at, end in enumerate(loose)]
    return "\n".join(lines) + "\n"


def _veth(descriptors: Mapping[str, int], one: str, here: Interface, other: str, there: Interface) -> str:
    def end(host: str, interface: Interface) -> str:
        mac = f"address {interface.mac} " if interface.mac else ""
        return f"name {interface.name} {mac}netns /proc/self/fd/{descriptors[host]}"

    return f"link add {end(one, here)} type veth peer {end(other, there)}"


def switch(network: Network, name: str) -> str:
    """The `ip -batch` that makes a switch of the ports that have been put into its namespace."""
    if name == DARK:
        veths = sum(interface.kind == "veth" for host in network.hosts for interface in host.interfaces)
        joined = sum(len(link.ends) for link in network.links)
        return "".join(f"link set dark{at} up\n" for at in range(veths - joined))
    ports = range(len(network.links[int(name.split()[1])].ends))
    return ("link add lan type bridge mcast_snooping 0 forward_delay 0\n"
            + "".join(f"link set port{at} master lan up\n" for at in ports) + "link set lan up\n")


def plug(host: Host, switch: str, port: int, descriptors: Mapping[str, int]) -> list[tuple[str, str]]:
    """The `ip -batch`es, each with where it is run, that put a host that is new on a switch by its eth0."""
    plugged = _veth(descriptors, host.name, host.interface("eth0"), switch, Interface(f"port{port}", mac=""))
    return [("", f"{plugged}\n"),
            (switch, f"link set port{port} master lan up\n"), (host.name, addresses(host))]


def addresses(host: Host) -> str:
    """The `ip -batch` that gives a host its addresses and routes."""
    lines = ["link set lo up"] if host.lo.up else []
    lines += [f"link add name {i.name} address {i.mac} type bridge mcast_snooping 0 forward_delay 0"
              for i in host.interfaces if i.kind == "bridge"]
    lines += [f"link set {i.name} master {i.master}" for i in host.interfaces if i.master]
    lines += [f"address add {address} dev {i.name}"
              for i in host.interfaces if i.name != "lo" for address in i.addresses]
    lines += [f"link set {i.name} up" for i in host.interfaces if i.up and i.name != "lo"]
    lines += [f"route add {route}" for route in host.routes]
    return "\n".join(lines) + "\n"


def slices(text: str) -> Iterator[str]:
    """The text cut into texts for `iptables-restore --noflush`, each short enough for a user namespace.

    In each table the chains are declared before the rules, as `iptables-save` prints them, so that any rule may jump
    to any chain.

    >>> len(list(slices("*nat\\n" + "-A OUTPUT\\n" * 300 + "COMMIT\\n")))
    2
    """
    table, lines = "", []
    for line in text.splitlines():
        if line.startswith("*"):
            table, lines = line, []
        elif line == "COMMIT":
            for at in range(0, len(lines), SLICE):
                yield "\n".join([table, *lines[at:at + SLICE], "COMMIT", ""])
        elif line and not line.startswith("#"):
            lines.append(line)


def trace_switch(refused: Iterable[str] = ()) -> str:
    """What `nft -f` reads so that each rule that a packet meets is reported; `refused`: tests for what to hold back."""
    drop = "".join(f"{test} drop; " for test in refused)
    return (f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n"
            f" chain pre {{ type filter hook prerouting priority -400; meta nftrace set 1; }}\n"
            f" chain out {{ type filter hook output priority -400; {drop}meta nftrace set 1; }}\n}}\n")
