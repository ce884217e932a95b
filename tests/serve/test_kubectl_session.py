"""A real kubectl prints over HTTPS what the recorded one printed against a real control plane."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.fixtures import bare_cluster, masked
from tests.cluster.test_golden import session
from tests.serve.served import Served

pytestmark = pytest.mark.kubectl


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(bare_cluster(), tmp_path_factory.mktemp("kubectl"))
    yield one
    one.close()


def lines(text: str) -> list[str]:
    """Lines without the widths of columns, which an older kubectl's `describe` sets otherwise."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(("command", "text"), session(), ids=[command for command, _ in session()])
def test_a_recorded_command_prints_its_text(served: Served, command: str, text: str) -> None:
    done = served.kubectl(*command.split()[1:])
    assert done.returncode == ("Error" in text)
    printed = done.stderr + done.stdout
    if "describe" in command:       # written by the client: an older one says less
        told, wanted = lines(done.stdout), [line for line in lines(text) if not line.startswith("Warning:")]
        assert [line for line in wanted if line in told] == told
        assert len(told) >= len(wanted) - 4
    else:
        assert masked(printed.rstrip("\n")) == masked(text.rstrip("\n"))
