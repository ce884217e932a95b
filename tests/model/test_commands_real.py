"""What the model's commands print is what the real programs print, on a node that is wired by hand for real."""

from __future__ import annotations

import dataclasses
import shutil
import sys

import pytest

from k8slab.errors import CommandError
from k8slab.magic import masked
from k8slab.model.dataplane import Clock, Model
from k8slab.network import LOOPBACK, Host, Network
from tests.model.real_commands import outputs

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(not all(map(shutil.which, ("ping", "curl", "nc", "conntrack", "sysctl"))),
                       reason="no ping, curl, nc, conntrack or sysctl here (Debian, Ubuntu: apt install iputils-ping "
                              "curl netcat-openbsd conntrack procps)"),
]

M = "02:00:00:00:00:0"
# A node with two Pods, each on a veth of its own, routed.
ROUTED = f"""
ip link set lo up
ip netns add a
ip netns add b
ip -n a link set lo up
ip -n b link set lo up
ip link add va address {M}1 type veth peer name eth0 address {M}2 netns a
ip link add vb address {M}3 type veth peer name eth0 address {M}4 netns b
ip address add 10.0.1.1/24 dev va
ip address add 10.0.2.1/24 dev vb
ip link set va up
ip link set vb up
ip -n a address add 10.0.1.2/24 dev eth0
ip -n b address add 10.0.2.2/24 dev eth0
ip -n a link set eth0 up
ip -n b link set eth0 up
ip -n a route add default via 10.0.1.1
ip -n b route add default via 10.0.2.1
sysctl -w net.ipv4.ip_forward=1
"""
# The same with a bridge.
BRIDGED = f"""
ip link set lo up
ip netns add a
ip netns add b
ip -n a link set lo up
ip -n b link set lo up
ip link add br0 address {M}9 type bridge
ip link add va address {M}1 type veth peer name pa address {M}2
ip link add vb address {M}3 type veth peer name pb address {M}4
ip link set pa netns a
ip link set pb netns b
ip link set va master br0
ip link set vb master br0
ip link set br0 up
ip link set va up
ip link set vb up
ip -n a link set pa name eth0
ip -n b link set pb name eth0
ip -n a link set eth0 up
ip -n b link set eth0 up
ip -n a addr add 10.0.0.2/24 dev eth0
ip -n b addr add 10.0.0.3/24 dev eth0
ip addr add 10.0.0.1/24 dev br0
"""
SCENES = {
    "nothing yet": """ip a; ip -br a; ip link; ip -br link; ip r; ip neigh; ip netns; ip link set lo up; ip a; ip -br a;
        ip netns add a; ip -n a a; ip -n a link set lo up; ip -n a a; ip -n a link set lo down; ip -n a a;
        ip address add 10.5.5.5/32 dev lo; ip address add 127.0.0.5/32 dev lo; ip a; ip route get 10.5.5.5;
        ping -c 1 10.5.5.5; ip address del 10.5.5.5/32 dev lo; ip a""",
    "a veth": f"""ip link add x address {M}1 type veth peer name y address {M}2; ip link; ip -br link; ip link set x up;
        ip link; ip -br a; ip link set y up; ip link; ip link set y down; ip link; ip link set y up; ip netns add a;
        ip link set y netns a; ip link; ip -n a link; ip link set x down; ip link; ip link set x name z; ip link;
        ip link set z address {M}7; ip link show z; ip link show dev z; ip netns exec a ip link set y up; ip link;
        ip link del z; ip link; ip -n a link; ip link add x address {M}1 type veth peer name y address {M}2; ip link""",
    "numbers": """ip netns add a; ip link add tmp type veth peer name va; ip link set tmp netns a;
        ip link add tmp type veth peer name vb; ip link; ip -n a link; ip link set tmp netns a;
        ip -n a link set tmp name u; ip link set tmp netns a; ip link; ip -n a link; ip link del va; ip link;
        ip link add br0 type bridge; ip link""",
    "a bridge": BRIDGED + """
        ip link; ip a; ip -br a; ip -n a a; ip r; ip -n a r; ip netns exec a ping -c 1 10.0.0.3;
        ip netns exec b ping -c 2 -i 0.2 10.0.0.1; ip neigh; ip -n a neigh; ip -n b neigh; ip -n b neigh show dev eth0;
        ip link set va nomaster; ip link; ip netns exec a ping -c 1 -W 4 10.0.0.3; ip link set va master br0;
        ip link set br0 down; ip link; ip netns exec a ping -c 1 -W 1 10.0.0.3; ip link set br0 up; ip r;
        ip netns exec a ping -c 1 10.0.0.3; ip -n a neigh flush all; ip -n a neigh; ip link del br0; ip link""",
    "a bridge's MAC": f"""ip link add br0 type bridge; ip link add x address {M}5 type veth peer name y address {M}6;
        ip link set x master br0; ip link show br0; ip link add v address {M}3 type veth peer name w address {M}4;
        ip link set v master br0; ip link show br0; ip link set v nomaster; ip link show br0; ip link set x nomaster;
        ip link show br0; ip link set br0 address {M}8; ip link set x master br0; ip link show br0; ip link set x up;
        ip link show br0; ip link set br0 up; ip link show br0; ip link set y up; ip link show br0; ip -br link;
        ip link set x down; settle; ip link show br0; ip link del x; settle; ip link""",
    "refusals": f"""ip netns add a; ip netns add a; ip netns del x; ip netns exec x ip a; ip -n x a; ip netns add;
        ip netns exec; ip netns exec a; ip netns del; ip foo; ip link foo; ip route foo; ip link set nope up;
        ip link del nope; ip link show nope; ip a show dev nope; ip link del lo; ip link set lo netns a;
        ip link add va address {M}1 type veth peer name q address {M}2; ip link add va type veth peer name r;
        ip link add r type veth peer name va; ip link; ip link add averyverylongname1 type bridge;
        ip link set va netns nope; ip link set va master nope; ip link set va master q; ip link add br0 type bridge;
        ip link add br1 type bridge; ip link set br1 master br0; ip link set lo master br0; ip link set br0 netns a;
        ip link set va address zz; ip link set va name q; ip link set; ip link set va bar; ip link add x;
        ip address add 10.0.0.1/24 dev va; ip address add 10.0.0.1/24 dev va; ip address add 10.0.0.1/33 dev va;
        ip address add 10.0.0.x dev va; ip address add 10.0.0.1/24 dev nope; ip address add 10.0.0.1/24;
        ip address add dev va; ip address del 10.9.9.9/24 dev va; ip address add 10.0.0.2/24 foo dev va;
        ip address flush; ip neigh flush; ip route add 10.7.0.0/16 dev va; ip route add 10.7.0.0/16 dev nope;
        ip route add 10.7.0.0/16; ip route add 10.7.0.0/16 via 10.8.0.1; ip route add 10.7.0.0/16 via x;
        ip route add 10.7.0.1/16 dev va; ip route add 10.7.0.0/33 dev va; ip route add 10.7.0.0/16 foo bar;
        ip route del 10.7.0.0/16; ip route get; ip route get x; ip route get 10.0.0.2""",
    "addresses": f"""ip link add va address {M}1 type veth peer name q address {M}2;
        ip address add 10.0.1.1/24 dev va; ip r;
        ip link set va up; ip r; ip link set q up; ip r; ip address add 10.0.1.7/24 dev va; ip a add 10.0.1.8 dev va;
        ip a show va; ip -br a; ip r; ip route add 10.3.0.0/16 via 10.0.1.9 src 10.0.1.7;
        ip route add 10.4.0.0/16 via 10.0.1.9; ip r; ip a del 10.0.1.7/24 dev va; ip r; ip a add 10.0.1.7/24 dev va;
        ip address del 10.0.1.1/24 dev va; ip a show dev va; ip r; ip address flush dev va; ip a; ip r""",
    "routes": ROUTED + """
        ip r; ip -n a r; ip -n a route add default via 10.0.1.1; ip -n a route add blackhole 10.9.0.0/16;
        ip -n a route add unreachable 10.10.0.0/16; ip -n a route add prohibit 10.11.0.0/16; ip -n a r;
        ip -n a route get 10.9.0.1; ip -n a route get 10.10.0.1; ip -n a route get 10.11.0.1; ip -n a route get 8.8.8.8;
        ip -n a route get 10.0.1.1; ip -n a route get 10.0.1.2; ip -n a route get 127.0.0.1;
        ip route get 10.0.2.2 from 10.0.1.2 iif va; ip route get 10.0.2.1 from 10.0.1.2 iif va;
        ip route get 10.99.0.1 from 10.0.1.2 iif va; ip route get 10.0.2.2 from 10.0.1.1 iif va;
        ip -n a route add 10.7.0.0/16 dev eth0 src 10.0.1.2; ip -n a r; ip -n a route replace 10.7.0.0/16 via 10.0.1.3;
        ip -n a route add 10.7.1.5 via 10.0.1.3; ip -n a route add 10.7.1.0/24 via 10.0.1.4;
        ip -n a route add 10.7.1.6 via 10.0.1.3 src 10.0.1.9; ip -n a r; ip -n a route get 10.7.1.5;
        ip -n a route get 10.7.1.7; ip -n a route show 10.7.0.0/16; ip -n a r show dev eth0;
        ip -n a route del 10.7.0.0/16 via 10.0.1.9; ip -n a route del 10.7.0.0/16;
        ip -n a route del blackhole 10.9.0.0/16;
        ip -n a r; ip link set va down; settle; ip r; ip -n a r; ip -n a link; ip -n a link set eth0 down; ip -n a r;
        ip -n a a; ip -n a link set eth0 up; settle; ip -n a r; ip link set va up; ip -n a r; ip route get 10.0.1.2""",
    "sysctl": """ip netns add a; sysctl net.ipv4.ip_forward; sysctl -w net.ipv4.ip_forward=1;
        sysctl -n net.ipv4.ip_forward; sysctl net.ipv4.conf.all.forwarding; sysctl -w net.ipv4.conf.all.forwarding=0;
        sysctl net.ipv4.ip_forward; sysctl -w net.ipv4.conf.all.forwarding=1; sysctl net.ipv4.ip_forward;
        sysctl net.ipv4.conf.all.rp_filter; sysctl -w net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.all.route_localnet=1;
        sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.all.route_localnet; sysctl -q -w net.ipv4.ip_forward=0;
        sysctl net/ipv4/ip_forward; sysctl -w net.ipv4.ip_forward=abc; sysctl -w net.ipv4.conf.eth9.rp_filter=1;
        sysctl foo.bar; ip netns exec a sysctl net.ipv4.ip_forward""",
    "ping": ROUTED + """
        ip netns exec a ping -c 1 10.0.2.2; ip netns exec a ping -c 2 -i 0.2 -n 10.0.1.1; ip neigh; ip -n a neigh;
        ip -n b neigh; ip netns exec a ping -c 3 -i 0.2 -q 10.0.2.2; ip netns exec a ping -c 1 -t 1 -W 1 10.0.2.2;
        ip netns exec a ping -c 1 -W 4 10.0.1.99; ip netns exec a ping -c 1 -W 1 10.0.1.98;
        ip netns exec a ping -c 2 -i 0.2 -W 4 10.0.2.99; ip -n a neigh; ip neigh; ip netns exec a ping -c 1 10.0.1.2;
        ip -n a link set lo down; ip netns exec a ping -c 1 -W 1 10.0.1.2; ip -n a link set lo up;
        ip route add unreachable 10.4.0.0/24; ip route add prohibit 10.5.0.0/24; ip route add blackhole 10.6.0.0/24;
        ip netns exec a ping -c 1 -W 1 10.4.0.1; ip netns exec a ping -c 1 -W 1 10.5.0.1;
        ip netns exec a ping -c 1 -W 1 10.6.0.1; ping -c 1 10.4.0.1; ping -c 1 10.5.0.1; ping -c 1 10.6.0.1;
        ping -c 1 10.7.0.1; ip netns exec a ping -c 1 -W 1 10.7.0.1; iptables -A OUTPUT -p icmp -d 10.0.1.2 -j DROP;
        ping -c 1 -W 1 10.0.1.2; iptables -A FORWARD -p icmp -j REJECT; ip netns exec a ping -c 1 -W 1 10.0.2.2;
        iptables -R FORWARD 1 -p icmp -j REJECT --reject-with icmp-admin-prohibited;
        ip netns exec a ping -c 1 -W 1 10.0.2.2; ping -c 0 10.0.1.2; ping -c x 10.0.1.2; ping -c 1;
        sysctl -w net.ipv4.ip_forward=0; ip netns exec a ping -c 1 -W 1 10.0.2.2""",
    "curl": ROUTED + """
        serve b 8080; ip netns exec a curl -s http://10.0.2.2:8080/; ip netns exec a curl -sS 10.0.2.2:8080;
        ip netns exec a curl -s -o /dev/null http://10.0.2.2:8080/x; ip netns exec a curl http://10.0.2.2:9/;
        ip netns exec a curl -sS http://10.0.2.2:9/; ip netns exec a curl -s http://10.0.2.2:9/;
        ip netns exec a curl -sS -m 1 http://10.0.2.99/; ip netns exec a curl -sS http://10.0.2.99/;
        ip netns exec a curl --connect-timeout 1 http://10.0.2.99/; ip -n b route del default;
        ip netns exec b curl -sS http://10.9.9.9; ip -n b route add default via 10.0.2.1;
        iptables -A FORWARD -p tcp --dport 81 -j DROP; iptables -A FORWARD -p tcp --dport 82 -j REJECT;
        ip netns exec a curl -m 1 http://10.0.2.2:81; ip netns exec a curl -sS -m 1 http://10.0.2.2:82;
        iptables -t nat -A PREROUTING -d 10.96.0.1 -p tcp --dport 80 -j DNAT --to-destination 10.0.2.2:8080;
        ip netns exec a curl -s http://10.96.0.1/; curl; curl -s http://10.0.2.2:8080/""",
    "nc": ROUTED + """
        serve b 8080; ip netns exec a nc -z 10.0.2.2 8080; ip netns exec a nc -zv 10.0.2.2 8080;
        ip netns exec a nc -vz -n 10.0.2.2 9; ip netns exec a nc -z -v -w 1 10.0.2.99 80;
        ip netns exec a nc -zv 10.0.2.98 80; ip netns exec a nc -zvu -w 1 10.0.2.2 53;
        ip netns exec a nc -zvu -w 1 10.0.2.99 53; ip -n b route del default; ip netns exec b nc -zv 10.9.9.9 80;
        ip netns exec b nc -zvu 10.9.9.9 80; ip -n b route add default via 10.0.2.1;
        iptables -A FORWARD -p tcp --dport 81 -j DROP; iptables -A FORWARD -p tcp --dport 82 -j REJECT;
        iptables -A FORWARD -p tcp --dport 83 -j REJECT --reject-with tcp-reset;
        iptables -A FORWARD -p tcp --dport 84 -j REJECT --reject-with icmp-net-unreachable;
        iptables -A FORWARD -p tcp --dport 85 -j REJECT --reject-with icmp-admin-prohibited;
        ip netns exec a nc -zv -w 1 10.0.2.2 81; ip netns exec a nc -zv -w 1 10.0.2.2 82;
        ip netns exec a nc -zv -w 1 10.0.2.2 83; ip netns exec a nc -zv -w 1 10.0.2.2 84;
        ip netns exec a nc -zv -w 1 10.0.2.2 85; nc -z 10.0.2.2; nc -zv 10.0.2.2 99999; nc -zv 10.0.2.2 x;
        nc -zv 10.0.2.2 8080; nc -zv 10.0.1.1 7""",
    "conntrack": ROUTED + """
        iptables -t nat -A POSTROUTING -s 192.0.2.1 -j MASQUERADE; ip netns exec a ping -c 1 10.0.2.2; conntrack -L;
        conntrack -L -p tcp; conntrack -D -p icmp; conntrack -L; conntrack -F""",
}


def commands(scene: str) -> list[str]:
    """The commands of a scene, which stand on lines of their own or between semicolons."""
    return [" ".join(line.split()) for part in scene.splitlines() for line in part.split(";") if line.strip()]


def said(model: Model, command: str) -> str:
    """What the model prints, refusals as a shell would show them."""
    words = command.split()
    if words[0] == "settle":
        return ""
    if words[0] == "serve":
        model.serve(words[1], int(words[2]))
        return ""
    try:
        return model.run("node", command)
    except CommandError as error:
        return error.printed


# The others are many commands of the same kinds, and wait for what takes the kernel its time.
QUICK = ("nothing yet", "a veth", "a bridge", "refusals")
SHOWN = [scene if scene in QUICK else pytest.param(scene, marks=pytest.mark.slow) for scene in SCENES]


@pytest.mark.parametrize("scene", SHOWN)
def test_every_command_prints_what_the_real_one_prints(scene):
    lines = commands(SCENES[scene])
    down = dataclasses.replace(LOOPBACK, addresses=(), up=False, fresh=True)
    model = Model(Network((Host("node", "node", (down,)),), ()), clock=Clock())
    one = [f"$ {line}\n{masked(line, said(model, line))}" for line in lines]
    real = outputs(lines, sys.executable)
    other = [f"$ {line}\n{masked(line, text)}" for line, text in zip(lines, real, strict=True)]
    assert one == other
