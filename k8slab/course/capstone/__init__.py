"""The capstone of unit 13: a cluster that nobody has seen, two faults in it, and all that is needed to find them.

    dice.py       draws from a seed, the same for ever
    drawn.py      the cluster: addresses, objects, true rules
    incidents.py  the map of faults, in data
    place.py      where a fault is put
    heard.py      what kube-proxy had not heard
    faulty.py     two faults put into the rules
    asking.py     who asks whom
    going.py      a packet's way through the node, and that of its answer
    survey.py     what becomes of everything that is asked, and what should by the objects
    cluster.py    what a notebook holds in its hand
    answer.py     what it gives to a question
    chainsof.py   the chains of a Service, where no rule leads there too
    work.py       questions, read from a learner's words
    commandline.py  commands, read from a learner's words
    where.py      places, read from a learner's words, and where the faults are
    grade.py      places, proofs and remedies, tried on packets
    mending.py    the commands that lead from one set of rules to another
    network.py    the node in a lab, with the Services that are named
    report.py     what the learner takes home
"""

from k8slab.course.capstone.cluster import Capstone, capstone

__all__ = ["Capstone", "capstone"]
