"""Answers to unit 11's clusters and to the drills: each is a text of steps as a notebook has them, one a line."""

from __future__ import annotations

from tests.course.answers_form import Answers

FORWARD, NAT = "%on worker1 iptables", "%on worker1 iptables -t nat"
WAIT = "lab.advance(3)"
WEB = "%kubectl patch svc web "
TO_API = "-p tcp -d 10.96.0.1 --dport 443 -j DNAT --to-destination 10.106.175.128:6443"
REMOVE = ("%kubectl patch endpoints kubernetes --type=json -p "
          """'[{"op": "remove", "path": "/subsets/0/addresses/2"}]'\nlab.advance(15)""")
START = 'lab.cluster.api_servers["k8smaster3"].start()\nlab.advance(15)'
KUBERNETES, DEAD = "KUBE-SVC-NPX46M4PTMTKRN6Y", "KUBE-SEP-FQ2NRQUZHJ3LQXRW"
CLIENT = "-s 10.244.1.5 "
AFFINITY = """%kubectl patch svc kubernetes -p '{"spec": {"sessionAffinity": "ClientIP"}}'\n""" + WAIT
PUT_BACK = ("%kubectl patch endpointslice kubernetes --type=json -p "
            """'[{"op": "remove", "path": "/endpoints/2"}]'\nlab.advance(3)""")
WHOLE = ("lab.nothing_is_broken()", "Something is broken")


ANSWERS: dict[tuple[str, str], Answers] = {
    ("11", "cluster-1"): Answers(
        right=(
            'lab.serve("web", 80)',
            "%kubectl delete svc web\n%kubectl create service clusterip web --clusterip=10.96.12.34 --tcp=80:8080\n"
            + WAIT,
        ),
        foreseen=(
            WEB + """--type=json -p '[{"op": "replace", "path": "/spec/ports/0/port", "value": 8080}]'\n""" + WAIT,
        ),
        others=(
            WHOLE, ("%on worker1 conntrack -F", "a refusal from 10.96.12.34:80"),
            (f"{NAT} -I PREROUTING -p tcp -d 10.96.12.34 --dport 80 -j DNAT --to-destination 10.244.1.7:8080",
             "the Pod coredns-1 to 10.96.12.34:80"),
            ("%on worker1 sysctl -w net.ipv4.ip_forward=0", "ip_forward is 0"),
        ),
    ),
    ("11", "cluster-2"): Answers(
        right=(
            f"{FORWARD} -I FORWARD 5 -s 10.244.0.0/16 -j ACCEPT",
            f"{FORWARD} -R FORWARD 6 -p tcp --dport 22 -j REJECT",
            f"{FORWARD} -I FORWARD -d 10.106.175.128 -p tcp --dport 6443 -j ACCEPT\n"
            f"{FORWARD} -I FORWARD -s 10.244.0.0/16 -d 10.244.0.0/16 -j ACCEPT",
        ),
        foreseen=(f"{FORWARD} -F FORWARD", f"{FORWARD} -F\n{NAT} -F"),
        others=(WHOLE, (f"{FORWARD} -I FORWARD -d 10.96.0.1 -j ACCEPT", "icmp-host-prohibited"),
                (f"{FORWARD} -I FORWARD 6 {CLIENT}-j ACCEPT", "the Pod web to 10.96.0.1:443"),
                (f"{FORWARD} -R FORWARD 6 -j DROP", "-j DROP"),
                (f"{FORWARD} -I FORWARD 6 -m conntrack --ctstate DNAT -j ACCEPT", "10.244.1.7:8080")),
    ),
    ("11", "cluster-3"): Answers(
        right=(
            "%on worker1 sysctl -w net.ipv4.conf.all.rp_filter=0",
            "%on worker1 sysctl -w net.ipv4.conf.veth-net1.rp_filter=2",
            "%on client ip route replace default via 10.244.1.1 dev eth0",
            "%on worker1 ip route replace 10.244.1.5 via 192.168.7.5 dev veth-net1",
        ),
        others=(WHOLE, ("%on worker1 sysctl -w net.ipv4.conf.veth-net1.rp_filter=0", "192.168.7.1"),
                ("%on client ip route add 10.96.0.1 via 10.244.1.1 dev eth0", "10.96.0.10:53"),
                (f"%on client iptables -t nat -I OUTPUT {TO_API}\n"
                 "%on client ip route add 10.106.175.128 via 10.244.1.1 dev eth0", "10.96.0.10:53")),
    ),
    ("drills", "cluster-4"): Answers(
        right=("%on worker1 ip route add 10.96.0.0/16 via 10.106.175.1", "%on worker1 ip route add 10.96.0.1 dev eth0"),
        foreseen=(f"{NAT} -I OUTPUT {TO_API}",),
        others=(WHOLE, ("%on worker1 ip route add blackhole default", "blackhole default")),
    ),
    ("drills", "cluster-5"): Answers(
        right=(f"""%kubectl patch pod web -p '{{"metadata": {{"labels": {{"app": "webshop"}}}}}}'\n{WAIT}""",
               "%kubectl delete svc web\n%kubectl create service clusterip web --clusterip=10.96.12.34 --tcp=80:8080\n"
               + WAIT),
        foreseen=(f"%kubectl delete svc web\n{WAIT}",),
        others=(WHOLE, (f"%kubectl delete pod web\n{WAIT}", "a refusal"),
                (f"{NAT} -I PREROUTING {CLIENT}-p tcp -d 10.96.12.34 --dport 80 -j DNAT --to-destination "
                 "10.244.1.7:8080", "the Pod coredns-1 to 10.96.12.34:80"),
                (f"""{WEB}-p '{{"spec": {{"selector": {{"app": "web"}}}}}}'\n{WAIT}\n{NAT} -F KUBE-SERVICES""",
                 "No rule took it")),
    ),
    ("drills", "cluster-6"): Answers(
        right=("lab.advance(200)",),
        others=(WHOLE, (f"{NAT} -I PREROUTING {TO_API}", "a program on the node worker1"),
                ("lab.advance(5)", "blackhole 10.96.0.0/16")),
    ),
    ("drills", "cluster-7"): Answers(
        right=("%on client ping -c 1 -W 1 10.244.1.7\nlab.nothing_is_broken()",),
        foreseen=(f"{NAT} -F\nlab.nothing_is_broken()",),
        others=(("%on worker1 ip address add 10.96.0.1/32 dev lo", "What was broken?"),
                (f"{FORWARD} -A FORWARD -j ACCEPT", "What was broken?")),
    ),
    ("drills", "cluster-8"): Answers(
        right=("%on worker1 sysctl -w net/ipv4/ip_forward=1",),
        foreseen=(f"{FORWARD} -A FORWARD -j ACCEPT",),
        others=(WHOLE, (f"%on worker1 sysctl -w net.ipv4.ip_forward=1\n{FORWARD} -P FORWARD DROP",
                        "FORWARD is DROP")),
    ),
    ("drills", "cluster-9"): Answers(
        right=("%on worker1 conntrack -F", "%on worker1 conntrack -D -p udp --orig-port-src 50053", "lab.advance(40)"),
        foreseen=(f"{NAT} -I PREROUTING -d 10.96.0.10 -p udp -j DNAT --to-destination 10.244.0.3:53",),
        others=(WHOLE, (f"%on worker1 conntrack -F\n{FORWARD} -I FORWARD -p udp -j DROP", "-j DROP")),
    ),
    ("drills", "cluster-10"): Answers(
        right=(f"{FORWARD} -R POD-client 2 -d 10.106.175.128 -p tcp --dport 6443 -j ACCEPT",
               f"{FORWARD} -I FORWARD -s 10.244.1.5 -d 10.106.175.128 -p tcp --dport 6443 -j ACCEPT",
               f"{FORWARD} -R POD-client 2 -m conntrack --ctorigdst 10.96.0.1 -j ACCEPT"),
        foreseen=(f"{FORWARD} -D FORWARD 1",),
        others=(WHOLE, (f"{FORWARD} -I POD-client 2 -d 10.96.0.1 -j ACCEPT", "-j DROP")),
    ),
    ("drills", "cluster-11"): Answers(
        right=('lab.calls = "10.96.0.1"', 'lab.calls = "kubernetes.default.svc.cluster.local."\n'
               "lab.certificate = lab.cluster.certificate('k8smaster')\nlab.calls = lab.calls.rstrip('.')"),
        others=(WHOLE, ('lab.calls = "kubernetes.cluster.local"', "no such host"),
                ('lab.calls = "10.96.0.10"', "dial tcp 10.96.0.10:443"),
                ("lab.certificate = lab.cluster.authority.issue([lab.calls])", "svc, 10.96.0.1, 10.106.175.128"),
                ("lab.certificate = None", "unknown authority"), ('lab.calls = "a..b"', "no such host"),
                ("%on worker1 iptables -I FORWARD -d 10.106.175.128 -j DROP", "-j DROP")),
    ),
    ("drills", "cluster-12"): Answers(
        right=(f"{NAT} -A POSTROUTING -s 10.244.0.0/16 -o eth0 ! -d 10.244.0.0/16 -j MASQUERADE",
               f"{NAT} -A POSTROUTING -s 10.244.1.5 -d 203.0.113.0/24 -j SNAT --to-source 10.106.175.131"),
        foreseen=(f"{NAT} -A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE",),
        others=(WHOLE, (f"{NAT} -A POSTROUTING -s 10.244.0.0/16 -d 10.106.175.128 -j MASQUERADE", "203.0.113.10:443"),
                (f"{NAT} -A POSTROUTING {CLIENT}-d 203.0.113.10 -j MASQUERADE", "203.0.113.11:443")),
    ),
    ("drills", "cluster-13"): Answers(
        right=(START, REMOVE.replace("lab.advance(15)", "lab.advance(60)"),
               *(REMOVE.replace("lab.advance(15)", f"lab.advance({seconds})") for seconds in (3, 5)),
               # The API servers that live make it anew, each with its own address.
               f"%kubectl delete svc kubernetes\n{WAIT}"),
        foreseen=(f"{NAT} -F KUBE-SERVICES",),
        others=(
            WHOLE, ("%on worker1 conntrack -F", "a refusal from 10.96.0.1:443"),
            (AFFINITY, "a refusal from 10.96.0.1:443"),
            (PUT_BACK, "a refusal from 10.96.0.1:443"),
            (f"{NAT} -I PREROUTING {CLIENT}{TO_API}", "a program on the node worker1 to 10.96.0.1:443"),
            (f"{NAT} -D {KUBERNETES} 4", "should be an answer from 10.96.0.1:443"),
        ),
    ),
    ("drills", "cluster-14"): Answers(
        right=(f"{FORWARD} -P FORWARD ACCEPT", f"{FORWARD} -A FORWARD -j ACCEPT"),
        foreseen=(f"{FORWARD} -I FORWARD -s 10.244.0.0/16 -j ACCEPT",
                  f"{FORWARD} -A FORWARD -p tcp -d 10.96.0.1 --dport 443 -j ACCEPT"),
        others=(WHOLE, (f"{NAT} -A PREROUTING -j ACCEPT", "FORWARD is DROP"),
                (f"{FORWARD} -A FORWARD {CLIENT}-j ACCEPT", "the Pod web to 10.96.0.1:443"),
                (f"{FORWARD} -A FORWARD -s 10.244.0.0/16 -p tcp -d 10.106.175.128 --dport 6443 -j ACCEPT",
                 "10.244.1.7:8080")),
    ),
    ("drills", "cluster-15"): Answers(
        right=(f"{NAT} -I POSTROUTING -s 10.244.1.5 -d 10.244.1.7 -j MASQUERADE",),
        others=(WHOLE, (f"{FORWARD} -A FORWARD -j ACCEPT", "an answer from 10.244.1.7:8080")),
    ),
    ("drills", "cluster-16"): Answers(
        right=(START,),
        foreseen=("""%kubectl patch svc kubernetes -p '{"spec": {"sessionAffinity": "None"}}'\n""" + WAIT,),
        others=(
            WHOLE, ("%on worker1 conntrack -F", "a refusal from 10.96.0.1:443"),
            (f"{NAT} -D {KUBERNETES} 4", "a refusal from 10.96.0.1:443"),
            (f"{NAT} -D {KUBERNETES} 4\n{NAT} -D {KUBERNETES} 6", "should be an answer from 10.96.0.1:443"),
            (f"{NAT} -I PREROUTING {CLIENT}{TO_API}", "the Pod web to 10.96.0.1:443"),
            (PUT_BACK, "a refusal from 10.96.0.1:443"),
        ),
    ),
}
# The cells as a learner changes them, wrong and right.
EDITS: dict[str, tuple[str, str]] = {
    "cluster-1": (
        'lab = unit.broken("cluster-1")\n'      # the cells below have made other labs since
        'lab.run("worker1", "iptables -A FORWARD -j ACCEPT")',
        'lab.kubectl("""patch svc web --type=json -p \'[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": '
        '8080}]\'"""); lab.advance(3)',
    ),
    "cluster-2": (
        'lab = unit.broken("cluster-2")\n'      # the cells below have made other labs since
        'lab.run("worker1", "iptables -A FORWARD -j ACCEPT")',
        'lab.run("worker1", "iptables -D FORWARD -j REJECT --reject-with icmp-host-prohibited")',
    ),
    "cluster-3": (
        'lab = unit.broken("cluster-3")\n'      # the cells below have made other labs since
        'lab.run("worker1", "iptables -A FORWARD -j ACCEPT")',
        'lab.run("worker1", "sysctl -w net.ipv4.conf.all.rp_filter=2")',
    ),
}
