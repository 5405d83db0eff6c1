"""What is said of a Redis that cannot be used: on a real server, at once, and whether waiting would help."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from broker.app import make_app
from broker.message import ChunkMessage, publish
from broker.queue import check_broker, depth
from common.errors import BrokerBusyError, BrokerError, UsageError
from common.settings import load_settings
from tests.redis_servers import Authority, answering, behind_tls, client, free_port, says, server

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN = "s3cr3t"
DATABASE = "0d5f3a52-8a4c-4e05-9e8b-3b1a8a8a7f10"


def check(url: str, **given: object) -> str | None:
    app = make_app(load_settings(broker_url=url, **given), DATABASE)
    app.conf.broker_transport_options |= {"socket_timeout": 2}  # of 10: what says nothing here will never
    return check_broker(app)


def refusal(url: str, **given: object) -> str:
    """Return what is said of a Redis for which no waiting helps."""
    with pytest.raises(BrokerError) as caught:
        check(url, **given)
    assert not isinstance(caught.value, BrokerBusyError)
    assert HIDDEN not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis that any user may use."""
    with server(tmp_path_factory.mktemp("redis")) as port:
        yield port


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "own")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{}/0", "valkey://localhost:{}", "redis://[::1]:{}/15"])
def test_a_server_is_used_by_every_usual_url(port: int, url: str) -> None:
    assert check(url.format(port)) is None


@pytest.mark.parametrize("scheme", ["unix://{}", "unix://{}?db=3", "redis+socket://{}", "redis+unix://:@{}"])
def test_a_socket_is_used_by_every_usual_url(short_folder: Path, tmp_path: Path, scheme: str) -> None:
    path = short_folder / f"a b {free_port()}"
    with server(tmp_path, f'unixsocket "{path}"'):
        assert check(scheme.format(quote(str(path)))) is None


def test_the_database_of_a_socket_is_the_one_named(short_folder: Path, tmp_path: Path) -> None:
    path = short_folder / f"s{free_port()}"
    with server(tmp_path, f"unixsocket {path}") as port, client(port) as raw:
        raw.execute_command("SELECT", 0)
        raw.set(f"nightlabel:chunks-{DATABASE}", "of database 0")
        assert check(f"unix://{path}?db=1") is None
        assert "WRONGTYPE" in refusal(f"unix://{path}?db=0")


@pytest.mark.parametrize("password", [f"{HIDDEN};x", f"{HIDDEN}:@/?#%[]", f"{HIDDEN} ü"])
def test_a_password_may_hold_any_character_that_is_written_as_urls_have_it(tmp_path: Path, password: str) -> None:
    with server(tmp_path) as port, client(port) as raw:
        raw.config_set("requirepass", password)
        assert check(f"redis://:{quote(password, safe='')}@127.0.0.1:{port}/0") is None


@pytest.mark.parametrize(
    ("user_info", "words"),
    [("", "Authentication required"), (f":{HIDDEN}@", "invalid"), (f"anna:{HIDDEN}@", "invalid")],
    ids=["none", "a wrong one", "an unknown user"],
)
def test_a_password_that_is_asked_for_or_wrong_is_said(tmp_path: Path, user_info: str, words: str) -> None:
    with server(tmp_path, "requirepass right") as port:
        said = refusal(f"redis://{user_info}127.0.0.1:{port}/0")
    assert words in said
    assert "user and password" in said


def test_a_database_that_is_out_of_range_is_said(port: int) -> None:
    assert "index is out of range" in refusal(f"redis://127.0.0.1:{port}/99")


def test_a_replica_is_said_to_take_no_messages(port: int, tmp_path: Path) -> None:
    with server(tmp_path, f"replicaof 127.0.0.1 {port}", "replica-serve-stale-data yes") as replica:
        assert "name its primary" in refusal(f"redis://127.0.0.1:{replica}/0")


def test_a_cluster_is_said_to_hold_no_queue(tmp_path: Path) -> None:
    with server(tmp_path, "cluster-enabled yes") as node, client(node) as raw:
        assert "part of a cluster" in refusal(f"redis://127.0.0.1:{node}/0")
        raw.execute_command("CLUSTER", "ADDSLOTS", *range(8000))
        assert "part of a cluster" in refusal(f"redis://127.0.0.1:{node}/0")
        raw.execute_command("CLUSTER", "ADDSLOTS", *range(8000, 16384))
        assert "part of a cluster" in refusal(f"redis://127.0.0.1:{node}/0")


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_what_is_no_redis_is_said_to_be_none(words: bytes) -> None:
    with answering(says(words)) as port:
        assert "is no Redis, or wants TLS" in refusal(f"redis://127.0.0.1:{port}/0")


@pytest.mark.parametrize(
    ("key", "kind"),
    [(f"chunks-{DATABASE}", "string"), ("unacked", "list"), ("unacked_index", "string"), ("unacked_mutex", "hash")],
)
def test_a_key_of_another_program_is_said_to_be_in_the_way(port: int, key: str, kind: str) -> None:
    with client(port) as raw:
        name = f"other:{key}"
        put = {"string": raw.set, "list": raw.rpush, "hash": lambda name, x: raw.hset(name, x, x)}[kind]
        put(name, "x")
        assert "NIGHTLABEL_KEY_PREFIX" in refusal(f"redis://127.0.0.1:{port}/0", key_prefix="other:")
        raw.delete(name)


def test_a_command_that_the_server_does_not_have_is_said(tmp_path: Path) -> None:
    with server(tmp_path, 'rename-command EVALSHA ""') as port:
        assert "does not know EVALSHA" in refusal(f"redis://127.0.0.1:{port}/0")


def test_a_server_that_drops_keys_when_it_is_full_is_warned_of(tmp_path: Path) -> None:
    with server(tmp_path, "maxmemory 100mb", "maxmemory-policy allkeys-lru") as port:
        assert "maxmemory-policy allkeys-lru" in str(check(f"redis://127.0.0.1:{port}/0"))


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    with server(tmp_path) as port, client(port) as raw:
        check(f"redis://127.0.0.1:{port}/0")
        assert raw.keys() == []


def test_a_server_that_is_full_is_worth_waiting_for(tmp_path: Path) -> None:
    with server(tmp_path, "maxmemory 1") as port:
        assert check(f"redis://127.0.0.1:{port}/0") is None


@pytest.mark.parametrize(
    ("setting", "code"), [({"min-replicas-to-write": 1}, "NOREPLICAS"), ({"maxmemory": 1}, "maxmemory")]
)
def test_a_refusal_that_passes_is_worth_waiting_for_also_in_a_batch(
    tmp_path: Path, setting: dict[str, int], code: str
) -> None:
    with server(tmp_path) as port, client(port) as raw:
        app = make_app(load_settings(broker_url=f"redis://127.0.0.1:{port}/0"), DATABASE)
        for name, value in setting.items():
            raw.config_set(name, value)
        message = ChunkMessage(database=DATABASE, chunk_id=1, attempt=1, run_id=1, images=1)
        with pytest.raises(BrokerBusyError, match=code) as caught:
            publish(app, [message])
    assert "LPUSH" not in str(caught.value)


@pytest.mark.parametrize("words", [b"-LOADING Redis is loading\r\n", b"-BUSY a script\r\n", b"-MASTERDOWN x\r\n", b""])
def test_an_outage_is_worth_waiting_for(words: bytes) -> None:
    with answering(says(words)) as port, pytest.raises(BrokerBusyError):
        depth(make_app(load_settings(broker_url=f"redis://127.0.0.1:{port}/0"), DATABASE))


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "unix:///nowhere/redis.sock", "redis://nowhere.invalid/0"])
def test_a_server_that_is_not_there_is_worth_waiting_for(url: str) -> None:
    with pytest.raises(BrokerBusyError):
        check(url)


def test_protected_mode_is_said() -> None:
    with answering(says(b"-DENIED Redis is running in protected mode because x\r\n")) as port:
        assert "Give the server a password" in refusal(f"redis://127.0.0.1:{port}/0")


def test_tls_with_a_ca_of_ones_own_works(port: int, authority: Authority) -> None:
    with behind_tls(port, authority) as tls:
        assert check(f"rediss://127.0.0.1:{tls}/0?ssl_ca_certs={authority.certificate}") is None


def test_a_certificate_that_nobody_known_has_signed_is_refused(port: int, authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    with behind_tls(port, authority) as tls:
        assert "ssl_ca_certs" in refusal(f"rediss://127.0.0.1:{tls}/0")
        assert "CERTIFICATE_VERIFY_FAILED" in refusal(f"rediss://127.0.0.1:{tls}/0?ssl_ca_certs={other.certificate}")


def test_a_certificate_for_another_host_is_refused(port: int, authority: Authority) -> None:
    url = "rediss://localhost:{}/0?ssl_ca_certs={}"
    with behind_tls(port, authority) as tls:
        assert "certificate" in refusal(url.format(tls, authority.certificate))
        assert check(f"{url.format(tls, authority.certificate)}&ssl_check_hostname=false") is None


def test_any_certificate_is_taken_only_where_that_is_said(port: int, authority: Authority) -> None:
    with behind_tls(port, authority) as tls:
        assert check(f"rediss://127.0.0.1:{tls}/0?ssl_cert_reqs=none") is None


def test_a_server_that_asks_for_a_certificate_gets_ours(port: int, authority: Authority) -> None:
    certificate, key = authority.sign("anna")
    with behind_tls(port, authority, asks=True) as tls:
        url = f"valkeys://127.0.0.1:{tls}/0?ssl_ca_certs={authority.certificate}"
        assert check(f"{url}&ssl_certfile={certificate}&ssl_keyfile={key}") is None
        with pytest.raises(BrokerError, match="ssl_certfile=FILE"):
            check(url)


def test_tls_to_a_port_without_it_is_said(port: int) -> None:
    with pytest.raises(BrokerBusyError, match="If it has no TLS, write redis://"):
        check(f"rediss://127.0.0.1:{port}/0")
    with answering(says(b"-ERR unknown command\r\n")) as other:
        assert "does not speak TLS" in refusal(f"rediss://127.0.0.1:{other}/0")


def test_a_port_with_tls_that_is_not_spoken_is_said(port: int, authority: Authority) -> None:
    with behind_tls(port, authority) as tls, pytest.raises(BrokerBusyError, match="If it wants TLS, write rediss://"):
        check(f"redis://127.0.0.1:{tls}/0")


def test_a_file_that_is_not_there_is_named(port: int) -> None:
    with pytest.raises(UsageError, match="ssl_ca_certs=/nowhere"):
        check(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs=/nowhere/ca.pem")


def test_a_file_that_is_no_certificate_is_said(port: int) -> None:
    assert "ssl_ca_certs" in refusal(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={Path(__file__)}")


@contextmanager
def sentinels(folder: Path, primary: int) -> Iterator[int]:
    options = [f"sentinel monitor night 127.0.0.1 {primary} 1"]
    with server(folder, *options, program="redis-sentinel") as port:
        yield port


def test_sentinels_say_where_the_server_is(port: int, tmp_path: Path) -> None:
    with sentinels(tmp_path, port) as sentinel:
        hosts = f"127.0.0.1:{free_port()},127.0.0.1:{sentinel}"
        assert check(f"sentinel://{hosts}/0?master_name=night") is None
        kombus = f"127.0.0.1:{sentinel};sentinel://127.0.0.1:{free_port()}"  # one that is gone is asked for seconds
        assert check(f"sentinel://{kombus}/0?master_name=night") is None


def test_sentinels_that_know_no_such_server_are_worth_waiting_for(port: int, tmp_path: Path) -> None:
    with sentinels(tmp_path, port) as sentinel, pytest.raises(BrokerBusyError, match="master_name"):
        check(f"sentinel://127.0.0.1:{sentinel}/0?master_name=day")
