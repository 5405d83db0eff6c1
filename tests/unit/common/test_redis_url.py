"""How Redis may be named: what each form means, and what is said of one that means nothing."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import UsageError
from common.redis_url import RedisAddress
from common.settings import load_settings

HIDDEN = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "for_kombu"),
    [
        ("redis://nas", "redis://nas:6379/0"),
        ("redis://nas:6380/3", "redis://nas:6380/3"),
        ("valkey://nas", "redis://nas:6379/0"),
        ("redis://:a%2Fb@nas", "redis://:a%2Fb@nas:6379/0"),
        ("redis://anna:a;b@nas", "redis://anna:a%3Bb@nas:6379/0"),
        ("redis://[2001:db8::1]:6380/0", "redis://[2001:db8::1]:6380/0"),
        ("redis://[::1]", "redis://[::1]:6379/0"),
        ("redis://nas/0\n", "redis://nas:6379/0"),
        ("rediss://nas", "rediss://nas:6379/0"),
        ("valkeys://nas", "rediss://nas:6379/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("unix://anna:b@/run/redis.sock?db=2", "redis+socket://anna:b@/run/redis.sock?virtual_host=2"),
        ("redis+socket:///run/redis.sock?virtual_host=1", "redis+socket:///run/redis.sock?virtual_host=1"),
        ("sentinel://a,b:1/2?master_name=m", "sentinel://a:26379/2"),
    ],
)
def test_a_url_is_given_to_kombu_in_its_own_form(url: str, for_kombu: str) -> None:
    broker_url = load_settings(broker_url=url).broker_url
    assert broker_url
    assert RedisAddress.parse(broker_url).url == for_kombu


def test_a_certificate_is_verified_unless_it_is_said_otherwise() -> None:
    assert RedisAddress.parse("rediss://nas").tls == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


def test_kombus_way_of_naming_several_sentinels_is_one_way() -> None:
    url = "sentinel://:x@a:1;sentinel://b:2;sentinel://c/0?master_name=m"
    assert RedisAddress.parse(url).hosts == (("a", 1), ("b", 2), ("c", 26379))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+cluster://nas:6379", "cluster"),
        ("rediss+cluster://nas:6379", "cluster"),
        ("rediss+socket:///run/redis.sock", "use redis://"),
        ("redis+sentinel://nas", "sentinel://"),
        ("amqp://nas", "use redis://"),
        ("nas:6379", "use redis://"),
        ("redis:/nas", "use redis://"),
        ("redis://nas/photos", "number of a database"),
        ("redis://nas/-1", "number of a database"),
        ("redis://nas/0/1", "number of a database"),
        ("redis://nas:0/0", "port"),
        ("redis://nas:65536/0", "port"),
        ("redis://::1:6379/0", "brackets"),
        ("redis://a,b/0", "several hosts"),
        ("redis://nas/0?ssl_cert_reqs=none", "not known"),
        ("redis://nas/0?socket_timeout=5", "not known"),
        ("rediss://nas/0?ssl_cert_reqs=perhaps", "ssl_cert_reqs"),
        ("rediss://nas/0?ssl_check_hostname=perhaps", "ssl_check_hostname"),
        ("unix://run/redis.sock", "whole path"),
        ("unix://", "whole path"),
        ("unix:///run/redis.sock?db=x", "number of a database"),
        ("sentinel://nas/0", "master_name"),
        ("redis://nas/0?master_name=m", "not known"),
        (f"redis://{HIDDEN}@nas/0", "redis://:PASSWORD@HOST"),
        (f"redis://:{HIDDEN}/x@nas/0", "%2F"),
        (f"redis://:{HIDDEN}#x@nas/0", "%23"),
        (f"redis://:x/{HIDDEN}:y@nas:6379/0", "%2F"),
        (f"redis://:[{HIDDEN}@nas/0", "%5B"),
        (f"redis://nas:{HIDDEN}/0", "port"),
        (f"redis://:x%zz{HIDDEN}@nas/0", "%25"),
        (f"sentinel://:{HIDDEN}/x@a,b/0?master_name=m", "%2F"),
        (f"unix://:{HIDDEN}/x@/run/redis.sock", "%2F"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_what_to_write(url: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(broker_url=url)
    said = str(caught.value)
    assert "NIGHTLABEL_BROKER_URL" in said
    assert words in said
    assert HIDDEN not in said


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_user_and_any_password_survive(user: str, password: str) -> None:
    try:
        info = f"{quote(user, safe='')}:{quote(password, safe='')}"
    except UnicodeEncodeError:  # half a surrogate pair, which nobody can type
        return
    for url in (f"redis://{info}@nas:6379/0", f"unix://{info}@/run/redis.sock", f"sentinel://{info}@a,b?master_name=m"):
        address = RedisAddress.parse(url)
        assert (address.user, address.password) == (user, password)
        again = RedisAddress.parse(address.url + ("?master_name=m" if address.master_name else ""))
        assert (again.user, again.password) == (user, password)


@given(st.text())
def test_whatever_is_typed_is_taken_or_refused(text: str) -> None:
    for scheme in ("redis", "rediss", "unix", "sentinel"):
        try:
            RedisAddress.parse(f"{scheme}://{text}")
        except ValueError:
            continue


def test_a_password_is_not_shown_with_an_address() -> None:
    assert HIDDEN not in repr(RedisAddress.parse(f"redis://anna:{HIDDEN}@nas"))
