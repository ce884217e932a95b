"""What `k8slab doctor` says where the machine refuses something, and that the course runs on the model then."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from k8slab.errors import Told
from k8slab.kernel import doctor
from k8slab.lab import Lab, LabError
from k8slab.model.dataplane import Model
from tests.kernel.users import PROJECT

LIMIT = "echo {most} > /proc/sys/user/max_{kind}_namespaces && exec \"$@\""
READ_ONLY = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"'
SECCOMP = [sys.executable, "-m", "tests.kernel.seccomp"]
KEYS = ["dataplane", "able", "why", "remedy", "missing"]
# What is refused → the words by which a program is run there, what doctor says, and its remedy.
REFUSED = {
    "no user namespaces": (["unshare", "-r", "sh", "-c", LIMIT.format(kind="user", most=0), "sh"],
                           "user namespaces are switched off (user.max_user_namespaces is 0)",
                           "sudo sysctl -w user.max_user_namespaces=15000"),
    "no network namespaces": (["unshare", "-r", "sh", "-c", LIMIT.format(kind="net", most=0), "sh"],
                              "net namespaces are switched off (user.max_net_namespaces is 0)",
                              "sudo sysctl -w user.max_net_namespaces=15000"),
    "few network namespaces": (["unshare", "-r", "sh", "-c", LIMIT.format(kind="net", most=2), "sh"],
                               "this user has as many namespaces as are allowed (user.max_net_namespaces is 2)",
                               "sudo sysctl -w user.max_net_namespaces=15000"),
    "seccomp": (SECCOMP, "a seccomp filter, as containers have one, refuses user namespaces",
                "start the container with --security-opt seccomp=unconfined"),
    "read-only /proc/sys": (["unshare", "-r", "-m", "sh", "-c", READ_ONLY, "sh"], "/proc/sys is read-only",
                            "start the container with --security-opt systempaths=unconfined (Podman: --security-opt "
                            "unmask=ALL)"),
}


@pytest.fixture(autouse=True)
def forgets(monkeypatch):
    """Each test finds out anew, and a program that it runs, too."""
    monkeypatch.setenv("K8SLAB_DATAPLANE", "auto")
    doctor.examine.cache_clear()
    yield
    doctor.examine.cache_clear()


def under(refusal: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run our Python where that is refused."""
    return subprocess.run([*REFUSED[refusal][0], sys.executable, *words], cwd=PROJECT, env=os.environ | variables,
                          capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.kernel
@pytest.mark.parametrize("refusal", REFUSED)
def test_what_the_kernel_refuses_is_told_with_its_remedy(refusal):
    _, why, remedy = REFUSED[refusal]
    done = under(refusal, "-m", "k8slab", "doctor", "--json")
    found = json.loads(done.stdout)
    assert list(found) == [*KEYS, "control_plane"] and found["dataplane"] == "model" and found["able"] is False, done
    assert why in found["why"] and found["remedy"] == remedy


@pytest.mark.kernel
@pytest.mark.parametrize("refusal", REFUSED)
def test_lab_is_the_model_where_the_kernel_refuses(refusal):
    program = ("from k8slab.lab import Lab\nprint(Lab(), Lab().connect('client', '10.96.0.1', 443).verdict)\n"
               "try:\n Lab('kernel')\nexcept Exception as error:\n print(type(error).__name__, error)")
    said = under(refusal, "-c", program).stdout
    assert "Lab on the model" in said and "DELIVERED" in said
    assert "LabError the real kernel cannot be used here: " in said and REFUSED[refusal][1] in said


@pytest.mark.kernel
@pytest.mark.parametrize("refusal", ["no user namespaces", "seccomp"])
def test_a_whole_notebook_runs_where_user_namespaces_are_refused(refusal):
    done = under(refusal, "-m", "pytest", "-q", "-p", "no:cacheprovider", "notebooks/01-follow-one-packet.ipynb",
                 K8SLAB_REQUIRE="")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout and "failed" not in done.stdout


@pytest.mark.kernel
def test_a_demo_that_insists_on_the_kernel_says_in_one_line_what_there_is_instead():
    done = under("seccomp", "-m", "k8slab", "demo", "--dataplane", "kernel")
    assert done.returncode == 1 and "Lab('model')" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.kernel
def test_a_machine_that_allows_it_is_told_so():
    found = doctor.examine()
    assert found.able and not found.why and not found.remedy and list(found.to_dict()) == KEYS
    assert str(found).startswith("Lab() uses the real kernel")


@pytest.mark.parametrize(("system", "said", "remedy"), [
    ("darwin", "this is macOS", "brew install lima && limactl start (and this course inside it)"),
    ("win32", "this is Windows", "wsl --install (and this course inside it)")])
def test_another_system_is_told_which_it_is(monkeypatch, system, said, remedy):
    monkeypatch.setattr(sys, "platform", system)
    found = doctor.examine()
    assert not found.able and found.why.startswith(said) and found.remedy == remedy
    assert isinstance(Lab("auto").dataplane, Model)
    with pytest.raises(LabError, match=said):
        Lab("kernel")


@pytest.mark.parametrize(("installer", "remedy"), [("apt", "sudo apt install iproute2 iptables nftables"),
                                                   ("dnf", "sudo dnf install iproute iptables-nft nftables")])
def test_programs_that_are_not_here_are_named_with_their_packages(monkeypatch, installer, remedy):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(doctor, "SBIN", "/nowhere")
    monkeypatch.setattr(doctor, "_installer", lambda: installer)
    assert str(doctor.examine()) == (
        "Lab() uses the model, which runs every notebook.\n"
        "Why not the real kernel: not here: ip, iptables-restore, iptables-save, nft.\n"
        f"This would change it: {remedy}")


@pytest.mark.parametrize(("file", "value", "why"), [("APPARMOR", "1", "AppArmor lets no program"),
                                                    ("CLONE", "0", "user namespaces are for root alone")])
def test_a_sysctl_that_refuses_is_named(monkeypatch, tmp_path, file, value, why):
    path = tmp_path / "kernel" / getattr(doctor, file).name
    path.parent.mkdir()
    path.write_text(f"{value}\n")
    for name in ("APPARMOR", "CLONE"):
        monkeypatch.setattr(doctor, name, path if name == file else tmp_path / "none")
    refuse(monkeypatch, "/proc/self/uid_map: Operation not permitted")
    found = doctor.examine()
    assert not found.able and found.why.startswith(why) and "uid_map" in found.why
    assert found.remedy == f"sudo sysctl -w kernel.{path.name}={1 - int(value)}"


def test_what_nobody_knows_a_remedy_for_is_told_as_it_is(monkeypatch):
    refuse(monkeypatch, "RuntimeError: near: ip -batch -: Error: Unknown device type.")
    assert doctor.examine() == doctor.Finding(False, "RuntimeError: near: ip -batch -: Error: Unknown device type.")


def refuse(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """Have the tiny lab fail with these words."""
    def fails() -> None:
        raise Told(words)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(doctor, "_missing", lambda programs: {})
    monkeypatch.setattr(doctor, "_try", fails)
