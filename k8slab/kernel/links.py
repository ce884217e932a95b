"""Whether the links of a namespace are ready to carry packets.

`ip link set … up` returns before that: the kernel tells an interface of its carrier some moments later (net/core/
link_watch.c), and until then a veth drops what is sent by it, and a bridge does not forward to its port.
"""

from __future__ import annotations

import socket
import struct

from k8slab.kernel import netlink

GET_LINK = 18                                              # rtnetlink.h, RTM_GETLINK
MASTER, PROTINFO, OPERSTATE, CARRIER = 10, 12, 16, 33      # if_link.h, IFLA_…
BRPORT_STATE, FORWARDING = 1, 3                            # if_link.h, if_bridge.h
UP, UNKNOWN, OPER_UP = 1, 0, 6                             # if.h, IFF_UP and IF_OPER_…


def ready(talk: socket.socket) -> bool:
    """Whether every interface that is up, and whose far end is, carries packets; `talk`: a socket of NETLINK_ROUTE."""
    questions = (netlink.request(GET_LINK, netlink.DUMP, struct.pack("=BxHiII", family, 0, 0, 0, 0))
                 for family in (socket.AF_UNSPEC, socket.AF_BRIDGE))
    links, ports = (netlink.ask(talk, question) for question in questions)
    return not any(map(_waits, links)) and not _closed(ports)


def _waits(answer: tuple[int, bytes]) -> bool:
    _, flags, found = _read(answer)
    return bool(flags & UP and found[CARRIER][0] and found[OPERSTATE][0] not in (UNKNOWN, OPER_UP))


def _closed(ports: list[tuple[int, bytes]]) -> bool:
    """Whether a port of a bridge that is up does not forward yet."""
    read = [_read(answer) for answer in ports]
    up = {index for index, flags, _ in read if flags & UP}
    return any(index in up and PROTINFO in found and struct.unpack("=I", found[MASTER])[0] in up
               and found.get(CARRIER, b"\1")[0] and found[OPERSTATE][0] == OPER_UP
               and netlink.attributes(found[PROTINFO])[BRPORT_STATE][0] != FORWARDING
               for index, flags, found in read)


def _read(answer: tuple[int, bytes]) -> tuple[int, int, dict[int, bytes]]:
    """Index, flags and attributes of struct ifinfomsg."""
    index, flags = struct.unpack_from("=4xiI", answer[1])
    return index, flags, netlink.attributes(answer[1][16:])
