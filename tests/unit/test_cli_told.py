"""The command line: files as Windows and full disks make them, addresses of IPv6, exit statuses in --help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from k8slab import cli, iptables
from tests.unit.test_cli import ARTICLE, GOLDEN

RULES = (GOLDEN / "01-kubernetes.iptables-save").read_text()
COMMANDS = ("trace", "render", "drift", "doctor", "demo", "serve")


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_what_windows_saves_is_read(mark: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / "rules"
    path.write_bytes(RULES.replace("\n", "\r\n").encode(mark))
    assert path.read_bytes()[:1] in (b"\xef", b"\xff", b"\xfe")
    assert cli.main(["trace", str(path), *ARTICLE]) == 0
    assert "forwarded to 10.106.175.128:6443" in capsys.readouterr().out
    (tmp_path / "objects").write_bytes((GOLDEN / "01-kubernetes.objects.json").read_text().encode(mark))
    assert cli.main(["drift", str(tmp_path / "objects"), str(path), "--node", "k8smaster", "--node-ip",
                     "10.106.175.128"]) == 0


def test_a_mark_before_a_text_is_no_word_of_it() -> None:
    assert str(iptables.parse("\ufeff" + RULES)) == RULES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_named() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "k8slab", "trace", str(GOLDEN / "01-kubernetes.iptables-save"),
                               *ARTICLE], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "k8slab: standard output: No space left on device\n")


def test_a_text_without_any_commit(tmp_path: Path, capsys) -> None:
    (tmp_path / "cut").write_text("\n".join(line for line in RULES.splitlines() if line != "COMMIT"))
    assert cli.main(["trace", str(tmp_path / "cut"), *ARTICLE]) == 1
    assert "the table mangle has no COMMIT before the next table begins" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "word"), [
    ("--from", "fd00::1"), ("--to", "[fd00::1]:80"), ("--to", "::1"), ("--local", "fe80::1%eth0"),
    ("--to", "::ffff:10.0.0.1"), ("--from", "2001:db8:0:0:0:0:0:1")])
def test_ipv6_is_said_not_to_be_followed(option: str, word: str, capsys) -> None:
    words = {"--from": "10.244.1.5", "--to": "10.96.0.1:443"} | {option: word}
    with pytest.raises(SystemExit) as ended:
        cli.main(["trace", "-", *(part for pair in words.items() for part in pair)])
    assert ended.value.code == 2
    assert f"{option}: {word!r} is an IPv6 address; only IPv4 is followed" in capsys.readouterr().err


# Exit statuses.

@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_the_exit_status_means(command: str, capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Exit status: 0 the question was answered" in said and "1 the input is wrong; 2 the command line" in said
    assert ("3 there is one" in said) == (command == "drift") and ("with --fail, 3" in said) == (command == "trace")


DROPS = RULES.replace("-A FORWARD", "-A FORWARD -s 10.244.1.5/32 -j DROP\n-A FORWARD", 1)
NO_JUMP = RULES.replace('-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\n', "")
UNKNOWN = RULES.replace("-A FORWARD", "-A FORWARD -m set --match-set a src -j DROP\n-A FORWARD", 1)


@pytest.mark.parametrize(("text", "words", "status"), [
    (RULES, ARTICLE, 0), (DROPS, ARTICLE, 3), (NO_JUMP, ARTICLE, 3), (UNKNOWN, ARTICLE, 3),
    (RULES, (*ARTICLE[:3], "10.96.0.1:80"), 3), (RULES, (*ARTICLE[:3], "10.1.2.3:80"), 0),
    (RULES, (*ARTICLE[:3], "10.96.0.1", "--proto", "icmp"), 3)])
@pytest.mark.parametrize("more", [(), ("--all",), ("--json",)])
def test_fail_is_for_scripts(text: str, words: tuple, status: int, more: tuple, tmp_path: Path, capsys) -> None:
    (tmp_path / "r").write_text(text)
    assert cli.main(["trace", str(tmp_path / "r"), *words, *more, "--fail"]) == status
    assert cli.main(["trace", str(tmp_path / "r"), *words, *more]) == 0


def test_fail_with_two_dumps(tmp_path: Path, capsys) -> None:
    (tmp_path / "old").write_text(RULES)
    (tmp_path / "new").write_text(DROPS)
    for new, status in (("new", 3), ("old", 0)):
        words = ["trace", "--diff", str(tmp_path / "old"), str(tmp_path / new), *ARTICLE]
        assert cli.main(words) == 0 and cli.main([*words, "--fail"]) == status
    with pytest.raises(SystemExit) as ended:
        cli.main(["trace", "r", "--service", "a/b", "--fail"])
    assert ended.value.code == 2
