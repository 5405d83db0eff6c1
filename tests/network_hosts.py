"""Hosts of a network, each in namespaces of its own: with a name, an address, and folders that only it sees."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAMES = Path("/run/netns")
#: What names of namespaces begin with; behind it, the number of the process whose tests made them.
_PREFIX = "nightlabel-test-"
#: Bytes that may leave at once on a slow line; more than a packet has.
_BURST = "4kb"

#: A shell's program: takes a name, then pairs of a folder and where it lies here, up to `--`, then the command.
_ENTER = """
echo "$1" > /proc/sys/kernel/hostname; shift
while [ "$1" != -- ]; do
    mkdir -p "$2" && mount --bind "$1" "$2" && mount -t tmpfs none "$1" || exit 1
    shift 2
done
shift
exec "$@"
"""


class Network:
    """A hub with address 10.99.0.1, and hosts around it, each with a line to it that can be cut or slowed down."""

    hub = "10.99.0.1"

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self._hosts = hosts

    def make(self) -> None:
        """Make it all.

        Raises:
            subprocess.CalledProcessError: this user, or this kernel, cannot.

        """
        _run("ip", "netns", "add", self._space("hub"))
        self._in_hub("ip", "link", "set", "lo", "up")
        self._in_hub("ip", "link", "add", "switch", "type", "bridge")
        self._in_hub("ip", "addr", "add", f"{self.hub}/24", "dev", "switch")
        self._in_hub("ip", "link", "set", "switch", "up")
        for number, host in enumerate(self._hosts, start=2):
            space = self._space(host)
            _run("ip", "netns", "add", space)
            self._in_hub("ip", "link", "add", f"to-{host}", "type", "veth", "peer", "name", "line", "netns", space)
            self._in_hub("ip", "link", "set", f"to-{host}", "master", "switch", "up")
            for settings in (("addr", "add", f"10.99.0.{number}/24", "dev", "line"), ("link", "set", "line", "up")):
                _run("ip", "-n", space, *settings)

    def cut(self, host: str) -> None:
        """Let every packet from and to a host vanish; nobody is told."""
        self._in_hub("ip", "link", "set", f"to-{host}", "nomaster")

    def heal(self, host: str) -> None:
        self._in_hub("ip", "link", "set", f"to-{host}", "master", "switch")

    def slow(self, host: str, rate: str) -> None:
        """Bound the bytes per second of a host's line, both ways."""
        shape = ("root", "tbf", "rate", rate, "burst", _BURST, "latency", "2s")
        self._in_hub("tc", "qdisc", "add", "dev", f"to-{host}", *shape)
        _run("tc", "-n", self._space(host), "qdisc", "add", "dev", "line", *shape)

    def waited(self, host: str) -> int:
        """Return how many packets to a slow host had to wait."""
        said = self._in_hub("tc", "-s", "qdisc", "show", "dev", f"to-{host}")
        return int(said.partition("overlimits ")[2].split()[0])

    def within(self, host: str, folders: Mapping[Path, Path] | None = None) -> list[str]:
        """Return the program that runs a command on a host, in the process that it is given.

        Args:
            host: its name; or `hub`.
            folders: those that lie elsewhere on the host, and where they do; where they lay, it has an empty one.

        """
        pairs = [str(path) for pair in (folders or {}).items() for path in pair]
        enter = ["unshare", "--mount", "--uts", "sh", "-c", _ENTER, "sh", host, *pairs, "--"]
        return ["nsenter", f"--net={_NAMES / self._space(host)}", *enter]

    def close(self) -> None:
        for host in ("hub", *self._hosts):
            with suppress(subprocess.CalledProcessError):
                _run("ip", "netns", "del", self._space(host))

    def _in_hub(self, program: str, *arguments: str) -> str:
        return _run(program, "-n", self._space("hub"), *arguments)

    def _space(self, host: str) -> str:
        return f"{_PREFIX}{os.getpid()}-{host}"


@contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """Yield a network with these hosts; skip, or fail in CI, where none can be made."""
    for program in ("ip", "tc", "nsenter", "unshare", "setpriv"):
        if not shutil.which(program):
            missing(f"no {program} on PATH")
    _remove_left_behind()
    made = Network(hosts)
    try:
        try:
            made.make()
        except subprocess.CalledProcessError as error:
            missing(f"no network of one's own can be made here: {error.stderr}")
        yield made
    finally:
        made.close()


def _remove_left_behind() -> None:
    """Remove the namespaces of test runs that were killed."""
    for space in _NAMES.glob(f"{_PREFIX}*"):
        pid = space.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            with suppress(subprocess.CalledProcessError):  # somebody else was first
                _run("ip", "netns", "del", space.name)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
