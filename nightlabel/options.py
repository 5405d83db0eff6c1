"""The options that commands share, each declared once: its name, its help, and the setting that it is."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from models.engines import engine_names, precision_names
from nightlabel.library.arguments import loaded
from vocabulary.languages import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.settings import Settings

#: The parameter of a command that is filled with the settings.
_SETTINGS = "settings"

Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Folders, or image files.")]


@dataclass(frozen=True, kw_only=True)
class SettingOption:
    """An option that overrides a setting for one command."""

    setting: str  #: of `common.settings.Settings`
    annotation: Any  #: as Typer has it
    default: Any = None  #: what stands for «not given»

    def given(self, value: Any) -> Any:  # noqa: ANN401 - of any type
        """Return what was given; None: nothing, so that the environment's setting counts."""
        return None if value == self.default else value


def _option(setting: str, kind: Any, *declarations: str, **details: Any) -> SettingOption:  # noqa: ANN401 - Typer's
    shape: Any = kind if kind is bool else kind | None
    option = typer.Option(*declarations, **details)
    return SettingOption(setting=setting, annotation=Annotated[shape, option], default=False if kind is bool else None)


#: By the parameter's name, of which Typer makes the option's where no other is given.
_OPTIONS = {
    "db": _option(
        "database_url",
        str,
        "--db",
        metavar="URL",
        help="SQLite file or database URL. [NIGHTLABEL_DATABASE_URL; ./nightlabel.db]",
    ),
    "broker": _option("broker_url", str, "--broker", metavar="URL", help="Redis URL. [NIGHTLABEL_BROKER_URL]"),
    "workers": _option(
        "workers",
        int,
        metavar="N",
        help="Worker processes. [NIGHTLABEL_WORKERS; as many as CPUs and memory allow]",
    ),
    "concurrency": _option(
        "workers",
        int,
        metavar="N",
        min=1,
        help="Worker processes. [NIGHTLABEL_WORKERS; as many as CPUs and memory allow]",
    ),
    "model": _option(
        "model", str, metavar="NAME", help="A name that `nightlabel models` lists. [NIGHTLABEL_MODEL; resnet18]"
    ),
    "precision": _option(
        "precision",
        str,
        metavar="|".join(precision_names()),
        help="auto: bf16 where this CPU is faster with it, else fp32. [NIGHTLABEL_PRECISION]",
    ),
    "engine": _option(
        "engine",
        str,
        "--engine",
        metavar="|".join(engine_names()),
        help="auto: OpenVINO on CPUs. [NIGHTLABEL_ENGINE]",
    ),
    "weights": _option(
        "weights",
        str,
        metavar="FILE",
        help="A state_dict; or `random`, to try things out. [NIGHTLABEL_WEIGHTS]",
    ),
    "language": _option(
        "language",
        str,
        metavar="|".join(LANGUAGES),
        help="Of the names that are shown. [NIGHTLABEL_LANGUAGE; the locale's]",
    ),
    "include": _option(
        "include", list[str], metavar="GLOB", help="Only these files, as in '*.jpg'. [NIGHTLABEL_INCLUDE]"
    ),
    "exclude": _option("exclude", list[str], metavar="GLOB", help="Not these files or folders. [NIGHTLABEL_EXCLUDE]"),
    "no_skip": _option(
        "no_skip",
        bool,
        "--no-skip",
        help="Also folders that other programs keep, like `@eaDir`. [NIGHTLABEL_NO_SKIP]",
    ),
    "relabel": _option(
        "relabel", bool, "--relabel", help="Label again what already has its labels. [NIGHTLABEL_RELABEL]"
    ),
    "until": _option(
        "until",
        str,
        metavar="HH:MM",
        help="Stop in good order at this time of the day; the same command goes on. [NIGHTLABEL_UNTIL]",
    ),
    "max_duration": _option(
        "max_duration", str, metavar="TIME", help="Stop so after a time, as in 8h. [NIGHTLABEL_MAX_DURATION]"
    ),
    "max_images": _option(
        "max_images", int, metavar="N", help="Stop so once N images are labelled. [NIGHTLABEL_MAX_IMAGES]"
    ),
    "nice": _option("nice", int, metavar="N", help="Niceness of the worker processes, 0 to 19. [NIGHTLABEL_NICE]"),
    "host": _option(
        "web_host",
        str,
        "--host",
        metavar="ADDRESS",
        help="Where the page is served; beyond this machine it asks for a token. [NIGHTLABEL_WEB_HOST; 127.0.0.1]",
    ),
    "port": _option("web_port", int, "--port", metavar="N", help="0: any that is free. [NIGHTLABEL_WEB_PORT; 8420]"),
    "allowed_host": _option(
        "web_allowed_hosts",
        list[str],
        "--allowed-host",
        metavar="NAME",
        help="A name by which the page may be asked besides. [NIGHTLABEL_WEB_ALLOWED_HOSTS]",
    ),
    "memory_limit": _option(
        "memory_limit_mb",
        int,
        "--memory-limit",
        metavar="MB",
        help="Memory limit of each worker process, 300 or more; 0: none."
        " [NIGHTLABEL_MEMORY_LIMIT_MB; an equal share of the memory]",
    ),
}
#: Which model, and how it is executed.
MODEL = ("model", "precision", "engine", "weights")
#: How much of the archive a command labels.
WINDOW = ("until", "max_duration", "max_images")
#: Which files of the archive.
FILES = ("include", "exclude", "no_skip")


def takes_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of these names, and hand what they make to its parameter `settings`.

    They come, in this order, before the command's own options in its help.
    """
    options = {name: _OPTIONS[name] for name in names}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_settings(**given: Any) -> None:  # noqa: ANN401 - options of any type
            values = {option.setting: option.given(given.pop(name)) for name, option in options.items()}
            command(**given, settings=_load(values))

        signature = inspect.signature(command)
        hints = get_type_hints(command, localns={"Settings": object}, include_extras=True)
        own = [one.replace(annotation=hints[name]) for name, one in signature.parameters.items() if name != _SETTINGS]
        arguments = [one for one in own if one.default is inspect.Parameter.empty]
        shared = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.annotation
            )
            for name, option in options.items()
        ]
        rest = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own if one not in arguments]
        first = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in arguments]
        parameters = [*first, *shared, *rest]
        with_settings.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # PEP 362
        with_settings.__annotations__ = {one.name: one.annotation for one in parameters}
        return with_settings

    return decorate


def _load(values: dict[str, Any]) -> Settings:
    from common.settings import load_settings

    return loaded(load_settings(**values))
