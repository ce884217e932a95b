"""Follow one packet through the rules that kube-proxy wrote.

The package keeps a small Kubernetes cluster's network as data, walks packets through its iptables rules in
both directions, and returns every step of the way with the reason for it. Start with `k8slab demo` in a
terminal, or with the notebooks.

Nothing is imported here, so that `import k8slab` stays quick: take what you need from the modules, as in
`from k8slab.packet import Packet`. `%load_ext k8slab` gives a notebook `%on`, as making a Lab does.
"""

__version__ = "0.1.0"


def load_ipython_extension(shell: object) -> None:
    """What `%load_ext k8slab` does: make `%on` and `%%on` known (`k8slab.magic`)."""
    from k8slab.magic import register

    register(shell)
