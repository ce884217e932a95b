"""What the tests of a served control plane share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.cluster import Cluster
from tests.serve.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A cluster of its own for a test."""
    one = Served(Cluster(dns=False), tmp_path)
    yield one
    one.close()
