"""What the files under `deploy/` say, as processes of this machine: programs, arguments, environment, probes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
KUBERNETES = DEPLOY / "kubernetes"
SYSTEMD = DEPLOY / "systemd"
#: `${NAME}`, `${NAME:-default}` and `${NAME:?what to say where it is missing}`, as Compose fills them in.
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
#: `$(NAME)`, as Kubernetes does.
_REFERENCE = re.compile(r"\$\((\w+)\)")


def documents(file: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container of a file: what is started in it."""

    arguments: Sequence[str]  #: of `nightlabel`, or the program of another image and its arguments
    environment: Mapping[str, str]
    probes: Mapping[str, Sequence[str]]  #: commands, by what Kubernetes or Compose calls them
    grace_s: float  #: between SIGTERM and SIGKILL

    def at(self, places: Mapping[str, str]) -> Container:
        """Return the same where hosts and folders are others: each of these texts is replaced wherever it stands."""

        def moved(text: str) -> str:
            for place, other in places.items():
                text = text.replace(place, other)
            return text

        return Container(
            arguments=[moved(one) for one in self.arguments],
            environment={name: moved(value) for name, value in self.environment.items()},
            probes=self.probes,
            grace_s=self.grace_s,
        )


class Processes:
    """Starts what containers start, with their environment and no other setting, and ends it at the close."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with (self._folder / "log").open("a") as log:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={"PATH": path, "HOME": str(self._folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )
        self._started.append(process)
        return process

    def log(self) -> str:
        return (self._folder / "log").read_text()

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait()


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def compose_services(variables: Mapping[str, str], *names: str) -> dict[str, Container]:
    """Return the services of Compose files, of which later ones change earlier ones."""
    services: dict[str, dict[str, Any]] = {}
    for name in names:
        for service, said in yaml.safe_load((COMPOSE / name).read_text())["services"].items():
            earlier = services.setdefault(service, {})
            environment = {**earlier.get("environment", {}), **said.get("environment", {})}
            services[service] = {**earlier, **said, "environment": environment}
    return {name: _compose_container(service, variables) for name, service in services.items()}


def _compose_container(service: Mapping[str, Any], variables: Mapping[str, str]) -> Container:
    def filled(text: object) -> str:
        return _VARIABLE.sub(lambda found: _value(found, variables), str(text))

    probe = service.get("healthcheck", {}).get("test", ["NONE"])
    command = ["sh", "-c", probe[1]] if probe[0] == "CMD-SHELL" else probe[1:]
    return Container(
        arguments=shlex.split(filled(service["command"])),
        environment={name: filled(value) for name, value in service["environment"].items()},
        probes={"healthcheck": command} if command else {},
        grace_s=_seconds(service.get("stop_grace_period", "10s")),
    )


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, kind, text = found[1], found[2], found[3]
    if name in variables:
        return variables[name]
    assert kind == "-", f"{name} is not set: {text}"
    return text


def pods(folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each pod of a folder of manifests, with the name of what makes it."""
    for file in sorted((KUBERNETES / folder).glob("*.yaml")):
        for document in documents(file):
            spec = document.get("spec", {})
            spec = spec.get("jobTemplate", {}).get("spec", spec)
            if "template" in spec:
                yield document["metadata"]["name"], spec["template"]["spec"]


def kubernetes_container(folder: str, name: str, secrets: Mapping[str, str]) -> Container:
    """Return the container of a pod, with what the ConfigMap and this Secret say."""
    pod = dict(pods(folder))[name]
    (container,) = pod["containers"]
    environment: dict[str, str] = {}
    if "envFrom" in container:
        (settings,) = documents(KUBERNETES / "base" / "settings.yaml")
        environment |= settings["data"]
    for variable in container.get("env", []):
        secret = variable.get("valueFrom", {}).get("secretKeyRef")
        value = secrets[secret["key"]] if secret else _referred(variable["value"], environment)
        environment[variable["name"]] = value
    probes = {
        kind: [_referred(part, environment) for part in container[f"{kind}Probe"]["exec"]["command"]]
        for kind in ("startup", "readiness", "liveness")
        if "exec" in container.get(f"{kind}Probe", {})
    }
    return Container(
        arguments=[_referred(part, environment) for part in container["args"]],
        environment=environment,
        probes=probes,
        grace_s=pod.get("terminationGracePeriodSeconds", 30),
    )


def _referred(text: str, environment: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: environment[found[1]], text)
