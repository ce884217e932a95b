"""Names that rules use: tables and their chains, protocols, services, ICMP types, extensions.

Sources: iptables 1.8.9 (`iptables -p icmp -h`, `-j REJECT -h`, nft.c for the order of tables) and Debian's
/etc/protocols, /etc/services and /etc/networks, which the real program asks and we, doing no I/O, copy.
"""

from __future__ import annotations

# The built-in chains of each table, in hook order; the tables in the order in which iptables-save prints
# them.
TABLES: dict[str, tuple[str, ...]] = {
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
    "raw": ("PREROUTING", "OUTPUT"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
HOOKS = TABLES["mangle"]

# A chain's name is shorter than this, as the real program counts.
CHAIN_NAME_LIMIT = 29

PROTOCOL_NUMBERS: dict[str, int] = {
    "icmp": 1, "igmp": 2, "ggp": 3, "ipencap": 4, "st": 5, "tcp": 6, "egp": 8, "igp": 9, "pup": 12, "udp": 17,
    "hmp": 20, "xns-idp": 22, "rdp": 27, "iso-tp4": 29, "dccp": 33, "xtp": 36, "ddp": 37, "idpr-cmtp": 38,
    "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "idrp": 45, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51,
    "skip": 57, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "rspf": 73, "vmtp": 81, "eigrp": 88,
    "ospf": 89, "ax.25": 93, "ipip": 94, "etherip": 97, "encap": 98, "pim": 103, "ipcomp": 108, "vrrp": 112,
    "l2tp": 115, "isis": 124, "sctp": 132, "fc": 133, "mobility-header": 135, "udplite": 136,
    "mpls-in-ip": 137,
    "manet": 138, "hip": 139, "shim6": 140, "wesp": 141, "rohc": 142, "ethernet": 143,
}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOL_NUMBERS.items()}
PROTOCOL_ALIASES = {"all": 0, "icmpv6": 58, "ip": 0}

# The services that a learner is likely to write by name: "--dport https".
SERVICES: dict[str, int] = {
    "ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68,
    "tftp": 69, "http": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "imap2": 143, "snmp": 161,
    "bgp": 179, "ldap": 389, "https": 443, "microsoft-ds": 445, "submission": 587, "ldaps": 636, "imaps": 993,
    "nfs": 2049, "mysql": 3306, "postgresql": 5432, "http-alt": 8080, "webmin": 10000,
}
SERVICE_NAMES = {number: name for name, number in SERVICES.items()}

# What `iptables -L` without -n prints for these (Debian's /etc/hosts and /etc/networks).
HOST_NAMES = {"127.0.0.1": "localhost"}
NETWORK_NAMES = {"127.0.0.0": "loopback", "169.254.0.0": "link-local", "0.0.0.0": "default"}

# name: (type, lowest code, highest code). "any" is type 255, which no packet has. libxt_icmp.h.
ICMP_TYPES: dict[str, tuple[int, int, int]] = {
    "any": (255, 0, 255), "echo-reply": (0, 0, 255), "pong": (0, 0, 255),
    "destination-unreachable": (3, 0, 255),
    "network-unreachable": (3, 0, 0), "host-unreachable": (3, 1, 1), "protocol-unreachable": (3, 2, 2),
    "port-unreachable": (3, 3, 3), "fragmentation-needed": (3, 4, 4), "source-route-failed": (3, 5, 5),
    "network-unknown": (3, 6, 6), "host-unknown": (3, 7, 7), "network-prohibited": (3, 9, 9),
    "host-prohibited": (3, 10, 10), "TOS-network-unreachable": (3, 11, 11),
    "TOS-host-unreachable": (3, 12, 12),
    "communication-prohibited": (3, 13, 13), "host-precedence-violation": (3, 14, 14),
    "precedence-cutoff": (3, 15, 15), "source-quench": (4, 0, 255), "redirect": (5, 0, 255),
    "network-redirect": (5, 0, 0), "host-redirect": (5, 1, 1), "TOS-network-redirect": (5, 2, 2),
    "TOS-host-redirect": (5, 3, 3), "echo-request": (8, 0, 255), "ping": (8, 0, 255),
    "router-advertisement": (9, 0, 255), "router-solicitation": (10, 0, 255), "time-exceeded": (11, 0, 255),
    "ttl-exceeded": (11, 0, 255), "ttl-zero-during-transit": (11, 0, 0),
    "ttl-zero-during-reassembly": (11, 1, 1),
    "parameter-problem": (12, 0, 255), "ip-header-bad": (12, 0, 0), "required-option-missing": (12, 1, 1),
    "timestamp-request": (13, 0, 255), "timestamp-reply": (14, 0, 255), "address-mask-request": (17, 0, 255),
    "address-mask-reply": (18, 0, 255),
}

# --reject-with, and the older spelling of each.
REJECT_WITH: dict[str, str] = {
    "icmp-net-unreachable": "net-unreach", "icmp-host-unreachable": "host-unreach",
    "icmp-proto-unreachable": "proto-unreach", "icmp-port-unreachable": "port-unreach",
    "icmp-net-prohibited": "net-prohib", "icmp-host-prohibited": "host-prohib", "tcp-reset": "tcp-rst",
    "icmp-admin-prohibited": "admin-prohib",
}

# Names of log levels, and what `iptables -L` prints for each number.
LOG_LEVELS: dict[str, int] = {"emerg": 0, "panic": 0, "alert": 1, "crit": 2, "error": 3, "warning": 4,
                              "notice": 5, "info": 6, "debug": 7}
LOG_LEVEL_SHOWN = ("emerg", "alert", "crit", "error", "warn", "notice", "info", "debug")

# Extensions of the real program that parse here, keep their words, and stop a walk that meets them.
OTHER_MATCHES = frozenset("""ah bpf cgroup cluster connbytes connlabel connlimit cpu dccp devgroup dscp ecn esp
    hashlimit helper ipcomp ipvs length mac osf owner pkttype policy quota rateest realm rpfilter set
    socket srh string tcpmss time tos ttl u32
    account asn condition dhcpmac fuzzy geoip iface ipp2p ipv4options length2 lscan pknock proto psd quota2
    layer7 ndpi""".split())          # the last two lines are of xtables-addons and others outside the kernel
OTHER_TARGETS = frozenset("""AUDIT CLASSIFY CLUSTERIP CONNSECMARK DSCP ECN HMARK IDLETIMER LED NETMAP
    NFQUEUE QUEUE RATEEST SECMARK SET SYNPROXY TCPOPTSTRIP TEE TOS TPROXY TTL ULOG
    ACCOUNT ASN CHAOS DELUDE DHCPMAC DNETMAP ECHO IPMARK LOGMARK NDPI SYSRQ TARPIT""".split())
