"""The model takes the kernel's steps: as many cases as a minute allows, and every breakage of the model is seen."""

from __future__ import annotations

import pytest

from tests.differential.breakages import BREAKAGES
from tests.differential.many import PER_NETWORK, some

pytestmark = pytest.mark.kernel

SEED = 2026
# These take some seconds more each than the others, and are for `make test-slow`.
LONG = {"nat is asked for every packet", "an entry is confirmed as it is made", "REJECT is silent", "RETURN accepts",
        "replies are not rewritten", "the mark stays on the wire", "no source is ever checked"}


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 6))])
def test_the_model_takes_the_kernels_steps(part):
    numbers = range(part * 2 * PER_NETWORK, (part + 1) * 2 * PER_NETWORK)
    for found in some(SEED, numbers):
        assert found.differences == [] and found.refused == 0


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name
                                  for name in BREAKAGES])
def test_a_broken_model_is_seen(name):
    broken, network = BREAKAGES[name]
    first = range(network * PER_NETWORK, (network + 1) * PER_NETWORK)
    with broken():
        # Where another generator of cases has moved it, it is looked for in all of them.
        found = (one for numbers in (first, range(80 * PER_NETWORK)) for one in some(SEED, numbers, small=False))
        assert any(one.differences for one in found)
