"""The parts of the kube-proxy that unit 10 has its learner write: each as the notebook has it, and as it works.

A part is text, since that is what a learner writes. WORKED stands in the notebook as it is; of a Part the notebook has
the `blank`, and `solution` is what is shown to who asks for it. All of them together are a kube-proxy, and need no
more than the notebook imports (`ownproxy.reference`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """One function. `gives`: what it gives, a name of `ownproxy.GIVES`; `blank`, `solution`: its text."""

    name: str
    gives: str
    blank: str
    solution: str


# Read before one writes: in the notebook as they stand here.
WORKED = '''\
def port_name(service, port):
    meta = service["metadata"]
    end = f":{port['name']}" if port.get("name") else ""
    return f"{meta['namespace']}/{meta['name']}{end}"


def way_in(name, protocol, address, number):
    svc = chain("KUBE-SVC-", name + protocol)
    words = (f'-m comment --comment "{name} cluster IP" '
             f"-m {protocol} -p {protocol} -d {address} --dport {number}")
    return [f"-A KUBE-SERVICES {words} -j {svc}",
            f"-A {svc} {words} ! -s 10.244.0.0/16 -j KUBE-MARK-MASQ"]
'''

_CHAIN = '''\
def chain(prefix, text):
    digest = hashlib.sha256(text.encode()).digest()
    return prefix + base64.b32encode(digest).decode()[:____]
'''

_ENDPOINT = '''\
def endpoint_rules(name, protocol, end):
    sep = chain("KUBE-SEP-", name + protocol + end)
    address = end.split(":")[0]
    words = f"-A {sep} -m comment --comment {name}"
    return [f"{words} -s {address} -j KUBE-MARK-MASQ",
            f"{words} -m {protocol} -p {protocol} -j ____"]
'''

_BALANCE = '''\
def balance_rules(name, protocol, ends):
    svc, rules = chain("KUBE-SVC-", name + protocol), []
    for at, end in enumerate(ends):
        sep = chain("KUBE-SEP-", name + protocol + end)
        last = at == len(ends) - 1
        chance = "" if last else f" -m statistic --mode random --probability {____:.10f}"
        rules.append(f'-A {svc} -m comment --comment "{name} -> {end}"{chance} -j {sep}')
    return rules
'''

_WHOLE = '''\
def kube_proxy(objects):
    slices = [one for one in objects if one["kind"] == "EndpointSlice"]
    refused, chains, rules = [], [], []
    for service in [one for one in objects if one["kind"] == "Service" and served(one)]:
        for port in service["spec"]["ports"]:
            name, protocol = port_name(service, port), port["protocol"].lower()
            address, number = service["spec"]["clusterIP"], port["port"]
            ends = endpoints(service, port, slices)
            {body}
    return frame(refused, chains, rules)
'''

_BODY = '''\
if ends:
                chains.append(chain("KUBE-SVC-", name + protocol))
                chains += [chain("KUBE-SEP-", name + protocol + end) for end in ends]
                rules += way_in(name, protocol, address, number)
                rules += balance_rules(name, protocol, ends)
                for end in ends:
                    rules += endpoint_rules(name, protocol, end)
            else:
                words = f'-m comment --comment "{name} has no endpoints" -m {protocol} -p {protocol}'
                refused.append(f"-A KUBE-SERVICES {words} -d {address} --dport {number} -j REJECT")'''

PARTS = {part.name: part for part in (
    Part("chain", "a name", _CHAIN, _CHAIN.replace("____", "16")),
    Part("endpoint_rules", "rules", _ENDPOINT, _ENDPOINT.replace("____", "DNAT --to-destination {end}")),
    Part("balance_rules", "rules", _BALANCE, _BALANCE.replace("____", "1 / (len(ends) - at)")),
    Part("served", "a truth", 'def served(service):\n    ...\n', '''\
def served(service):
    return service["spec"].get("clusterIP") not in (None, "", "None")
'''),
    Part("endpoints", "ends", 'def endpoints(service, port, slices):\n    ...\n', '''\
def endpoints(service, port, slices):
    found = set()
    for one in slices:
        label = one["metadata"].get("labels", {}).get("kubernetes.io/service-name")
        same = one["metadata"]["namespace"] == service["metadata"]["namespace"]
        if not same or label != service["metadata"]["name"] or one["addressType"] != "IPv4":
            continue
        for own in one["ports"] or []:
            if own.get("name", "") == port.get("name", ""):
                found.update(f"{end['addresses'][0]}:{own['port']}" for end in one["endpoints"] or []
                             if end.get("conditions", {}).get("ready") is not False)
    return sorted(found)
'''),
    Part("kube_proxy", "a text", _WHOLE.replace("{body}", "..."), _WHOLE.replace("{body}", _BODY)),
    Part("sync", "a text", 'def sync(objects, there):\n    ...\n', '''\
def sync(objects, there):
    text = kube_proxy(objects)
    gone = [one for one in there if one not in text]
    lines = [f":{one} - [0:0]" for one in gone] + [f"-X {one}" for one in gone]
    return text.removesuffix("COMMIT\\n") + "\\n".join([*lines, "COMMIT", ""])
'''),
)}
