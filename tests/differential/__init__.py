"""The model against the kernel: random networks, rules and packets, compared in what was observed."""
