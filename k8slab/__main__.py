"""`python -m k8slab` is the command `k8slab`."""

import sys

from k8slab.cli import main

sys.exit(main())
