"""One host's network stack, as both dataplanes tell it: hooks in their order, routes, refusals, and the words for them.

The model asks its own netfilter at each hook; the kernel's side asks what the real one was seen doing there.
"""
