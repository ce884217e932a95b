"""What lay behind each fault of `faults.py`, how to prevent it, and the thread of somebody who had it.

It is told after mending, never before. The threads are the reports of real clusters; where the lab's fault is a
simpler one than the thread's, `says` tells what the lab had.
"""

from __future__ import annotations

from dataclasses import dataclass

GITHUB = "https://github.com/"


@dataclass(frozen=True, slots=True)
class Cause:
    """`label`: a few words; `says`: what was wrong, and why it looked as it did; `prevent`: what would have helped;
    `thread`: where it is from.

    >>> CAUSES["ping"].url
    'https://github.com/kubernetes/kubernetes/issues/47156'
    """

    label: str
    says: str
    prevent: str
    thread: str

    @property
    def url(self) -> str:
        """The thread's address: `owner/name#7` is an issue, `owner/name!7` a pull request."""
        kind = "issues" if "#" in self.thread else "pull"
        return GITHUB + self.thread.replace("#", f"/{kind}/").replace("!", f"/{kind}/")


CAUSES: dict[str, Cause] = {
    "no-endpoints": Cause(
        "a Service without endpoints",
        "The selector of the Service wants a label that no Pod has, so the Service has no endpoints, and kube-proxy "
        "writes a REJECT for it: refused at once, by the caller's own node.",
        "Look at the endpoints of a Service after each change of labels or selectors; alert on Services without any.",
        "kubernetes/kubernetes#47711"),
    "target-port": Cause(
        "a targetPort on which nobody listens",
        "`targetPort` was 80, and the program in the Pod listens on 8080. The packet arrived, and the Pod's own TCP "
        "refused it with a RST.",
        "Give the container's port a name and let `targetPort` be that name; try the Service once in each deployment.",
        "helm/charts!14708"),
    "rule-before": Cause(
        "a REJECT before the ACCEPTs",
        "A firewall's REJECT stood in FORWARD before the rules that let the Pods through. Its "
        "`icmp-host-prohibited` is told to a program as \"no route to host\", though there is a route.",
        "Let one program write FORWARD, or see to the order after each of them has started.",
        "kubernetes/kubeadm#139"),
    "no-masquerade": Cause(
        "no masquerade on the way out",
        "The network plugin's MASQUERADE was gone. Packets left with the Pod's own address, and the world outside "
        "knows no way back to it. kube-proxy has no part in this rule.",
        "Let the plugin check its rules in rounds (most do); try an address outside from a Pod on each node.",
        "kubernetes/kubernetes#40761"),
    "no-default-route": Cause(
        "a node without a default route",
        "The node had no default route. A program on the node is asked for a route to 10.96.0.1 before OUTPUT's rules "
        "could lead it elsewhere. Pods do not notice: their packets come in, and are translated before they are "
        "routed.",
        "Give nodes a default route, even one that leads nowhere, or a route for the Service range.",
        "kubernetes/kubernetes#110659"),
    "stale-entry": Cause(
        "an entry for a Pod that is gone",
        "The program asks from one port all the time, and the node remembered where that conversation had gone: to a "
        "Pod that is there no longer. Each question made the entry live longer. Rules are asked by new conversations "
        "alone.",
        "Keep kube-proxy up to date and running: it deletes such UDP entries when endpoints change; let resolvers take "
        "a new port for each question.",
        "kubernetes/kubernetes#125467"),
    "name-without-san": Cause(
        "a name that is not in the certificate",
        "The certificate was made with slips in two of its names: neither is the full one, "
        "`kubernetes.default.svc.cluster.local`. DNS and packets were all right: DNAT does not change the name that "
        "a client has in mind.",
        "Compare a certificate's names with the list that kubeadm writes; call the API by each of them in a test.",
        "k0sproject/k0s#7803"),
    "forwarding-off": Cause(
        "a node that does not forward",
        "net.ipv4.ip_forward was 0 on the node: what is not for the node itself ends there, in silence, after DNAT "
        "has been done. The node's own programs do not notice.",
        "Write the sysctl into /etc/sysctl.d, and let monitoring read it; a reboot or a security policy may take it "
        "back.",
        "kelseyhightower/kubernetes-the-hard-way#272"),
    "ping": Cause(
        "a ping to a ClusterIP",
        "Nothing was broken. No interface has a ClusterIP, and kube-proxy's rules in iptables mode translate TCP, UDP "
        "and SCTP to the Service's ports alone, so that a ping goes on untranslated, here to a router that drops it.",
        "Try a ClusterIP on its port: `nc -zv 10.96.0.1 443`.",
        "kubernetes/kubernetes#47156"),
    "dead-but-listed": Cause(
        "an endpoint that is dead and listed",
        "One of three API servers had ended, and its address stayed in the list: the way in which endpoints were kept "
        "here (master-count) does not notice. Chance gave it a third of the connections.",
        "Keep the endpoints by leases, the default since 1.11: the others take a dead one out within 25 seconds.",
        "apprenda/kismatic#987"),
    "affinity-to-the-dead": Cause(
        "affinity to a dead endpoint",
        "With `sessionAffinity: ClientIP` the node sent the client where it had sent it before, and that API server "
        "was dead and still listed. Other clients had luck.",
        "Leave affinity off for this Service, as is the default today, and keep the endpoints by leases.",
        "kubernetes/kubernetes#66128"),
    "forward-drop": Cause(
        "FORWARD's policy DROP",
        "The policy of FORWARD was DROP. kube-proxy accepts marked packets and answers there; an ordinary connection "
        "of a Pod has no mark, and met no rule that would let it through.",
        "Let the network plugin write ACCEPT rules for the Pod range (flannel, for one, does so now); check the policy "
        "after each installation of Docker or of a firewall.",
        "kubernetes/kubernetes#39823"),
    "policy-before-dnat": Cause(
        "a network policy for the address before DNAT",
        "The policy allowed 10.96.0.1:443. FORWARD is after PREROUTING: what comes there is for 10.106.175.128:6443 "
        "already, and that was not allowed.",
        "In a NetworkPolicy allow the addresses and the port of the endpoints, as `kubectl get endpointslices` shows "
        "them, where the plugin filters after DNAT.",
        "cert-manager/cert-manager!5788"),
    "rp-filter": Cause(
        "a strict rp_filter and two ways",
        "The Pod sends by its second interface, and the node's way back to the Pod's address is the first. A strict "
        "rp_filter refuses such packets, and ARP questions with that source as well: hence \"no route to host\" "
        "after three seconds.",
        "Set rp_filter to 2 (loose) on nodes whose Pods have several interfaces, in `all` or on the interface: the "
        "higher of the two counts.",
        "aws/amazon-vpc-cni-k8s#212"),
    "not-yet-synced": Cause(
        "a kube-proxy that has not written yet",
        "kube-proxy had not written its first rules yet, so that nobody translated 10.96.0.1. It heals by itself, "
        "but a program that ends because of it is started again later and later.",
        "Let what runs early retry for a minute before it gives up; let network plugins call the API server by its "
        "own address.",
        "kubernetes/kubeadm#1111"),
    "bridge": Cause(
        "an answer over a bridge, past the hooks",
        "Both Pods were on one bridge. The request went to the node, which translated it; the answer went from port "
        "to port of the bridge and met no hook, so that nobody put the source back, and the caller refused it with "
        "a RST.",
        "Load br_netfilter on each node and set net.bridge.bridge-nf-call-iptables to 1 (the lab's model is a kernel "
        "without that module).",
        "kelseyhightower/kubernetes-the-hard-way#561"),
}
