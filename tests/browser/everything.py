"""Everything that we show, a cell each: what the accessibility tests look at, and `make pictures` takes pictures of."""

SETUP = """from IPython.display import HTML
from k8slab import course
from k8slab.lab import Lab, kube_proxy_rules
from k8slab.packet import Packet
from k8slab.show import show, side_by_side
from k8slab.show.chainmap import chain_map
from k8slab.show.drawing import draw
from k8slab.show.plots import lookups, spread
from k8slab.show.static import page
from k8slab.show.tables import endpoints_table, entries_table, packets_table, rules_table
from k8slab.show.timeline import Connection, timeline
from k8slab.show.whoasks import requests_table, who_asks
lab = Lab('model', seed=1)
journey = lab.send(Packet('tcp', '10.244.1.5', '10.96.0.1', 50000, 443), 'client')
rules = lab.run('worker1', 'iptables-save')
many = kube_proxy_rules('03-many-endpoints.iptables-save')
log = Lab('model', cluster=True).cluster.log"""

# The second stepper's journey ends in a DROP.
THINGS = {
    "stepper": "show(journey, lab.network)",
    "stepper-dropped": "lab.run('worker1', 'iptables -I FORWARD -p tcp --dport 8080 -j DROP')\n"
                       "show(lab.send(Packet('tcp', '10.244.1.5', '10.244.1.7', 50000, 8080), 'client'), lab.network)",
    "saved": "HTML(page(journey))",
    "side-by-side": "before = Lab('model').connect('client', '10.96.0.1', 443)\nlab = Lab('model')\n"
                    "lab.run('worker1', 'iptables -t nat -F KUBE-SVC-NPX46M4PTMTKRN6Y')\n"
                    "side_by_side(before, lab.connect('client', '10.96.0.1', 443), ('before', 'after'))",
    "network": "draw(lab.network, journey)",
    "chain-map": "chain_map(rules, service='default/kubernetes', trace=journey)",
    "chain-map-shares": "chain_map(many, service='shop/web')",
    "chain-map-whole": "chain_map(kube_proxy_rules('02-dns.iptables-save'))",
    "rules": "rules_table(rules, 'KUBE-SERVICES')",
    "endpoints": "endpoints_table(many, 'shop/web')",
    "entries": "entries_table(Lab('model').connect('client', '10.96.0.1', 443).entries)",
    "packets": "packets_table(journey)",
    "who-asks": "who_asks(log, pods=['client'])",
    "requests": "requests_table(log.between(12), 12)",
    "spread": "spread({'10.244.1.7:8080': 31, '10.244.2.8:8080': 19})",
    "lookups": "lookups({10: {'list': 12, 'map': 1}, 100: {'list': 102, 'map': 1}, 1000: {'list': 1002, 'map': 1}})",
    "timeline": "timeline([(0.66, 'the Service is deleted'), (9.39, 'it is there again, with a new uid')],\n"
                "         [Connection('client', 0, 12), Connection('curl', 1, 2, broken=True, why='timed out')])",
}
PICTURES = sum(name.split("-")[0] in ("network", "chain", "who", "spread", "lookups", "timeline") for name in THINGS)
