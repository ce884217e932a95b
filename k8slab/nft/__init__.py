"""Reading what kube-proxy wrote in nftables mode: the text of `nft list table ip kube-proxy`, and one packet's way.

This is a reader of that text and no dataplane: no connection is remembered, nothing is sent, and nobody answers. It
tells what the rules say to the first packet of a new connection, and counts what had to be read for it.
"""

from k8slab.nft.follow import Followed, Read, follow
from k8slab.nft.table import Chain, NftError, Table, read_table

__all__ = ["Chain", "Followed", "NftError", "Read", "Table", "follow", "read_table"]
