"""The files under `deploy/` are valid, by validators of those who read them, and say what the documentation demands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import psycopg
import pytest

from common.settings import Settings, load_settings
from runner.cancel import cancel
from storage.chunk_claims import claim
from storage.database import Database
from storage.identity import database_identity
from storage.manifest import add_images, mark_published
from storage.outcomes import store
from storage.records import ImageRef, Outcome
from storage.runs import open_run
from storage.schema_version import ensure_schema
from tests.conftest import ROOT, missing
from tests.deployment import (
    COMPOSE,
    DEPLOY,
    KUBERNETES,
    SYSTEMD,
    compose_services,
    documents,
    kubernetes_container,
    pods,
)
from tests.unit.storage.nights import MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Nightlabel

COMPOSE_FILES = [ROOT / "docker-compose.yml", *sorted(COMPOSE.glob("*.yaml"))]
MANIFESTS = sorted(file for file in KUBERNETES.rglob("*.yaml") if file.name != "kustomization.yaml")
KUSTOMIZATIONS = sorted(KUBERNETES.rglob("kustomization.yaml"))
UNITS = sorted([*SYSTEMD.glob("*.service"), *SYSTEMD.glob("*.timer")])
#: The oldest Kubernetes that knows all that is used, with `podFailurePolicy` for good, and the newest that is known.
VERSIONS = ("1.31", kubernetes_validate.latest_version())
#: Of a deployment's own.
VARIABLES = {"PHOTOS": "/mnt/photos", "REDIS_PASSWORD": "r", "POSTGRES_PASSWORD": "p", "HUB": "nas"}
SECRETS = {"REDIS_PASSWORD": "r", "POSTGRES_PASSWORD": "p", "WEB_TOKEN": "t" * 16}
TIME_LIMIT_S = load_settings().time_limit_s


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", COMPOSE_FILES, ids=name_of)
def test_every_compose_file_keeps_the_specification(file: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", MANIFESTS, ids=name_of)
def test_every_manifest_is_one_of_kubernetes(file: Path, version: str) -> None:
    for document in documents(file):
        if not document["apiVersion"].startswith("keda.sh/"):  # which Kubernetes knows nothing of
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("file", KUSTOMIZATIONS, ids=name_of)
def test_every_kustomization_names_the_files_beside_it(file: Path) -> None:
    (kustomization,) = documents(file)
    beside = {other.name for other in file.parent.glob("*.yaml")} - {file.name}
    assert set(kustomization["resources"]) == beside
    assert kustomization["namespace"] == "nightlabel"


def fields(value: object, path: str = "") -> set[str]:
    """Return the paths of all fields of a document."""
    if isinstance(value, dict):
        return {found for name, inner in value.items() for found in {f"{path}{name}"} | fields(inner, f"{path}{name}.")}
    return {found for inner in value for found in fields(inner, path)} if isinstance(value, list) else set()


#: As https://keda.sh/docs/latest/reference/scaledobject-spec/ and …/scalers/postgresql/ have them.
KEDA_SPEC = {
    "scaleTargetRef.name",
    "minReplicaCount",
    "maxReplicaCount",
    "pollingInterval",
    "cooldownPeriod",
    "advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds",
    "triggers.type",
    "triggers.authenticationRef.name",
    *(f"triggers.metadata.{name}" for name in ("host", "port", "userName", "dbName", "sslmode")),
    *(f"triggers.metadata.{name}" for name in ("query", "targetQueryValue")),
}


def scaled_object() -> dict[str, Any]:
    authentication, scaled = documents(KUBERNETES / "keda" / "scaling.yaml")
    assert authentication["kind"] == "TriggerAuthentication"
    assert scaled["kind"] == "ScaledObject"
    return scaled


def test_the_scaling_has_the_fields_that_keda_documents() -> None:
    scaled = scaled_object()
    found = fields(scaled["spec"])
    assert {path for path in found if not any(other.startswith(f"{path}.") for other in found)} == KEDA_SPEC
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["type"] == "postgresql"
    assert all(isinstance(value, str) for value in trigger["metadata"].values())  # KEDA refuses numbers
    assert scaled["spec"]["scaleTargetRef"]["name"] in dict(pods("base"))
    authentication, _ = documents(KUBERNETES / "keda" / "scaling.yaml")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert [one["parameter"] for one in authentication["spec"]["secretTargetRef"]] == ["password"]
    (settings,) = documents(KUBERNETES / "base" / "settings.yaml")
    named = "postgresql://{userName}@{host}/{dbName}".format(**trigger["metadata"])
    assert settings["data"]["NIGHTLABEL_DATABASE_URL"] == named.replace(".nightlabel.svc.cluster.local", "")


def asked(url: str) -> int:
    """Return what KEDA would find in the database."""
    (trigger,) = scaled_object()["spec"]["triggers"]
    with psycopg.connect(url) as connection:
        rows = connection.execute(trigger["metadata"]["query"].encode()).fetchall()
    ((number,),) = rows
    return int(number)


def test_there_are_as_many_workers_as_there_are_chunks_for_them(postgres_url: str) -> None:
    with closing(Database(load_settings(database_url=postgres_url).database_url)) as database:
        ensure_schema(database)
        assert asked(postgres_url) == 0

        run, _ = open_run(database, MODEL, engine="openvino", roots=["/photos"], filters={})
        refs = [ImageRef(f"/photos/{number}.jpg", 1, 1) for number in range(300)]
        add_images(database, run, refs, chunk_size=64, relabel=False)
        assert asked(postgres_url) == 0  # nobody could take one

        chunk, *_ = mark_published(database, run.id, 3)
        assert asked(postgres_url) == 3
        claimed = claim(database, database_identity(database), chunk.id, chunk.attempt, "host-1/1")
        assert claimed
        assert asked(postgres_url) == 3  # a worker has it, and is needed until it is done
        failures = [Outcome(image_id=one.image_id, error_kind="vanished", error="gone") for one in claimed.images]
        store(database, claimed, failures, "host-1/1")
        assert asked(postgres_url) == 2

        cancel(load_settings(database_url=postgres_url), run.id)
        assert asked(postgres_url) == 0


@pytest.mark.parametrize("file", UNITS, ids=name_of)
def test_systemd_finds_nothing_wrong_with_a_unit(file: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        missing("no systemd-analyze on PATH")
    program = tmp_path / "nightlabel"
    program.touch(mode=0o755)
    for unit in UNITS:
        text = re.sub(r"(?m)^ExecStart=\S+/nightlabel ", f"ExecStart={program} ", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", tmp_path / file.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def of_unit(file: Path, name: str) -> list[str]:
    return re.findall(rf"(?m)^{name}=(.*)$", file.read_text())


def test_whoever_stops_a_worker_waits_for_longer_than_a_chunk_may_take() -> None:
    for service in ("compose.yaml", "worker.yaml"):
        assert compose_services(VARIABLES, service)["worker"].grace_s > TIME_LIMIT_S
    assert kubernetes_container("base", "worker", SECRETS).grace_s > TIME_LIMIT_S
    for unit in (SYSTEMD / "nightlabel-worker.service", SYSTEMD / "nightlabel-night.service"):
        assert int(of_unit(unit, "TimeoutStopSec")[0]) > TIME_LIMIT_S
        assert of_unit(unit, "KillMode") == ["mixed"]  # the processes that label would not survive a SIGTERM


def test_every_redis_is_set_up_as_the_documentation_demands() -> None:
    demanded = re.search(r"with\n +```\n(.*?)```", (ROOT / "docs" / "several-hosts.md").read_text(), re.DOTALL)
    assert demanded
    wanted = [f"--{line.strip()}" for line in demanded[1].strip().splitlines()]
    assert len(wanted) == 3
    for redis in (
        compose_services(VARIABLES, "compose.yaml")["redis"],
        compose_services(VARIABLES, "compose.yaml", "reachable.yaml")["redis"],
        kubernetes_container("base", "redis", SECRETS),
    ):
        assert all(option in " ".join(redis.arguments) for option in wanted)


def test_every_setting_that_is_set_exists() -> None:
    for file in [file for file in DEPLOY.rglob("*") if file.is_file()]:
        for name in re.findall(r"NIGHTLABEL_([A-Z_]+)\b", file.read_text()):
            assert name.lower() in Settings.model_fields, f"{name} in {name_of(file)}"


def test_no_pod_gets_a_setting_from_a_service_or_may_do_more_than_it_must() -> None:
    folders = [file.parent.name for file in KUSTOMIZATIONS]
    found = [pod for folder in folders for _, pod in pods(folder)]
    assert len(found) == 6
    for pod in found:
        assert pod["enableServiceLinks"] is False  # a Service `nightlabel-web` would set NIGHTLABEL_WEB_PORT
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        for mount in container["volumeMounts"]:
            assert mount.get("readOnly", False) == (mount["name"] in {"photos", "weights"})


@pytest.mark.parametrize("folder", ["once", "nightly"])
def test_a_cancelled_run_is_not_begun_anew_by_its_job(folder: str) -> None:
    (document,) = documents(next((KUBERNETES / folder).glob("*job.yaml")))
    spec = document["spec"]
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    ended, ignored = spec["podFailurePolicy"]["rules"]
    assert ended["action"] == "FailJob"
    assert 9 in ended["onExitCodes"]["values"]
    assert 8 not in ended["onExitCodes"]["values"]  # another one follows it: until that one is known to be gone
    assert ignored["action"] == "Ignore"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # else no policy is heeded


def test_a_probe_of_the_worker_asks_about_nothing_else(nightlabel: Nightlabel) -> None:
    for other in ("--watch", "--check", "--json"):
        refused = nightlabel("status", "--check-worker", other)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "use it alone" in refused.stderr
