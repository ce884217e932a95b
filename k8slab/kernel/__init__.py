"""The lab's network on the real Linux kernel, in namespaces of its own, without root."""
