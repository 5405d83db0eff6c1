"""Settings: where they come from, and what is said of one that makes no sense."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from common.errors import UsageError
from common.settings import as_environment, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Stands for any password: it must not be in any message.
HIDDEN = "s3cr3t"


def refusal(**given: object) -> str:
    """Return what is said of settings that make no sense."""
    with pytest.raises(UsageError) as caught:
        load_settings(**given)
    return str(caught.value)


def test_a_setting_comes_from_its_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLABEL_CHUNK_SIZE", "7")
    assert load_settings().chunk_size == 7


def test_a_folder_that_is_set_to_nothing_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As compose files leave it; the current folder would fill with models."""
    usual = load_settings()
    monkeypatch.setenv("NIGHTLABEL_CACHE_DIR", "")
    monkeypatch.setenv("NIGHTLABEL_WEIGHTS_DIR", "")
    assert load_settings().cache_dir == usual.cache_dir
    assert load_settings().weights_dir is None


def test_an_option_overrides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLABEL_MODEL", "resnet50")
    assert load_settings(model="mobilenet_v2").model == "mobilenet_v2"


def test_an_option_that_was_not_typed_leaves_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLABEL_MODEL", "resnet50")
    assert load_settings(model=None).model == "resnet50"


def test_the_database_is_a_file_in_the_current_folder_unless_named() -> None:
    assert load_settings().database_url == "sqlite:///nightlabel.db"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("night.db", "sqlite:///night.db"),
        ("/mnt/nas/night.db", "sqlite:////mnt/nas/night.db"),
        ("~/night.db", f"sqlite:///{Path.home()}/night.db"),
        ("Who is this?/night.db", "sqlite:///Who%20is%20this%3F/night.db"),
        ("night%41.db", "sqlite:///night%2541.db"),
        (" postgres://anna@nas/photos\n", "postgresql+psycopg://anna@nas/photos"),
        ("sqlite:///night.db", "sqlite:///night.db"),
        ("postgres://anna@nas/photos", "postgresql+psycopg://anna@nas/photos"),
        ("postgresql://anna@nas/photos", "postgresql+psycopg://anna@nas/photos"),
        ("postgresql+psycopg://anna@nas/photos", "postgresql+psycopg://anna@nas/photos"),
    ],
)
def test_a_database_may_be_named_in_every_usual_way(given: str, url: str) -> None:
    assert load_settings(database_url=given).database_url == url


def test_a_setting_is_read_once_and_never_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().model = "resnet50"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "mysql://localhost/photos"),
        ("database_url", "a://b"),
        ("database_url", ""),
        ("database_url", ":memory:"),
        ("database_url", "sqlite://"),
        ("database_url", "sqlite://nas/night.db"),
        ("database_url", "/"),
        ("database_url", "night.db/"),
        ("broker_url", "amqp://localhost"),
        ("workers", "many"),
        ("workers", "-1"),
        ("chunk_size", "65"),
        ("batch_size", "0"),
        ("log_level", "loud"),
        ("relabel", "perhaps"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    variable = f"NIGHTLABEL_{name.upper()}"
    monkeypatch.setenv(variable, value)
    assert f"{variable} = {value!r}: " in refusal()


def test_every_setting_that_makes_no_sense_is_named_at_once() -> None:
    message = refusal(workers=-1, log_level="loud")
    assert "NIGHTLABEL_WORKERS" in message
    assert "NIGHTLABEL_LOG_LEVEL" in message


def test_a_home_that_does_not_exist_is_refused_by_the_name_of_its_setting() -> None:
    assert "NIGHTLABEL_DATABASE_URL" in refusal(database_url="~nobody-has-this-name/night.db")


@pytest.mark.parametrize(
    "given",
    [
        {"database_url": f"mysql://anna:{HIDDEN}@nas/photos"},
        {"database_url": f"mysql://anna:{HIDDEN}@[::1/photos"},
        {"database_url": f"mysql://anna:pa/{HIDDEN}@nas/photos"},
        {"database_url": f"mysql://nas/photos?user=anna&password={HIDDEN}"},
        {"broker_url": f"amqp://anna:{HIDDEN}@nas"},
        {"broker_url": f"amqp://:{HIDDEN}@nas"},
        {"broker_url": f"amqp://:#{HIDDEN}@nas"},
    ],
    ids=lambda given: str(given).replace(HIDDEN, "x"),
)
def test_no_refusal_shows_a_password(given: Mapping[str, str]) -> None:
    assert HIDDEN not in refusal(**given)


def test_globs_in_the_environment_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLABEL_INCLUDE", "*.jpg,2020/*")
    monkeypatch.setenv("NIGHTLABEL_EXCLUDE", "*.png,")
    settings = load_settings()
    assert (settings.include, settings.exclude) == (("*.jpg", "2020/*"), ("*.png",))


def test_globs_from_the_command_line_come_one_by_one() -> None:
    assert load_settings(include=["*.jpg", "2020/*"]).include == ("*.jpg", "2020/*")


@pytest.mark.parametrize("megabytes", [1, 299])
def test_a_memory_limit_under_which_nothing_works_is_refused(megabytes: int) -> None:
    with pytest.raises(UsageError, match="a process needs 300 at least; 0 sets no limit"):
        load_settings(memory_limit_mb=megabytes)


def test_no_memory_limit_reaches_other_processes_as_none() -> None:
    assert as_environment(load_settings(memory_limit_mb=0))["NIGHTLABEL_MEMORY_LIMIT_MB"] == "0"


def test_a_chunk_is_asked_to_end_before_it_is_killed() -> None:
    assert load_settings(time_limit_s=2).soft_time_limit_s == 1


#: What arguments and environment variables can hold: bytes that are not UTF-8, too, but no zero.
_WORDS = st.binary(min_size=1, max_size=12).map(lambda word: os.fsdecode(word.replace(b"\0", b"0")))
_SETTINGS = st.fixed_dictionaries(
    {
        "database_url": st.sampled_from(["night.db", "postgres://anna:a%40b@nas/photos?sslmode=require"])
        | _WORDS.map(lambda word: f"./{word}.db"),
        "broker_url": st.none() | st.just("rediss://:a%40b@nas:6379/1"),
        "workers": st.none() | st.integers(0, 1024),
        "weights": st.none() | _WORDS,
        "weights_dir": st.none() | _WORDS.map(lambda word: Path("weights") / word),
        "chunk_size": st.integers(1, 64),
        "relabel": st.booleans(),
        "engine": st.sampled_from(["auto", "torch", "openvino"]),
        "include": st.lists(_WORDS, max_size=3),
    }
)


@given(_SETTINGS)
@hypothesis_settings(max_examples=50, deadline=None)
def test_another_process_gets_the_same_settings_from_its_environment(given: dict[str, object]) -> None:
    settings = load_settings(**given)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in as_environment(settings).items():
            patch.setenv(name, value)
        assert load_settings() == settings
