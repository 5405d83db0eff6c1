"""A page as HTML: the templates, in the reader's language and colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any

from babel import Locale, dates, numbers
from babel.core import UnknownLocaleError
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from report.markup import breakable, with_code
from storage.records import shown
from vocabulary.languages import LANGUAGES, chosen_language
from vocabulary.names import kind_name, label_name
from web.languages import texts, wanted_language
from web.static_files import static_url
from web.thumbnails.address import thumbnail_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from starlette.requests import Request

THEMES = ("auto", "light", "dark")
#: Seconds that a browser keeps what a reader chose: a year.
_CHOICE_S = 365 * 24 * 3600


@dataclass(frozen=True)
class Page:
    """How a reader wants pages: the language and the colours, by the address, a cookie, or the browser."""

    request: Request

    @cached_property
    def language(self) -> str:
        """The language, by ISO 639-1."""
        chosen = self._chosen("lang", LANGUAGES) or wanted_language(self.request.headers.get("accept-language", ""))
        return chosen or chosen_language(self.request.app.state.nightlabel.settings.language)

    @cached_property
    def theme(self) -> str:
        """One of `THEMES`."""
        return self._chosen("theme", THEMES) or THEMES[0]

    def translate(self, text: str) -> str:
        """Return a text of the interface in the reader's language."""
        return texts(self.language).ugettext(text)

    def with_query(self, **values: object) -> str:
        """Return this page's address with other values in its query; None takes one out."""
        url = self.request.url.remove_query_params([name for name, value in values.items() if value is None])
        url = url.include_query_params(**{name: value for name, value in values.items() if value is not None})
        return f"{url.path}?{url.query}" if url.query else url.path

    def render(
        self,
        template: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,  # noqa: ANN401 - whatever the template asks
    ) -> HTMLResponse:
        """Return a template as an answer, with the reader's choices kept."""
        html = _environment(self.language).get_template(template).render(page=self, **values)
        # Names of files may hold what UTF-8 does not.
        answer = HTMLResponse(html.encode(errors="backslashreplace"), status, headers)
        for name in ("lang", "theme"):
            if name in self.request.query_params:
                chosen = self.language if name == "lang" else self.theme
                answer.set_cookie(name, chosen, max_age=_CHOICE_S, httponly=True, samesite="lax")
        return answer

    def _chosen(self, name: str, known: Mapping[str, str] | tuple[str, ...]) -> str | None:
        given = (self.request.query_params.get(name), self.request.cookies.get(name))
        return next((value for value in given if value in known), None)


def page_of(request: Request) -> Page:
    """Return how the one who sent a request wants pages."""
    return Page(request)


@lru_cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.install_gettext_translations(texts(language), newstyle=True)  # type: ignore[attr-defined]  # the extension's
    locale = locale_of(language)
    environment.globals |= {
        "static": static_url,
        "thumbnail_url": thumbnail_url,
        "languages": LANGUAGES,
        "themes": THEMES,
    }
    environment.filters |= {
        "count": partial(numbers.format_decimal, locale=locale),
        "percent": partial(numbers.format_percent, format=_percents_with_tenths(locale), locale=locale),
        "ms": partial(_milliseconds, locale=locale),
        "moment": partial(_moment, locale=locale),
        "span": partial(dates.format_timedelta, threshold=1.5, locale=locale),
        "day": partial(dates.format_date, format="medium", locale=locale),
        "label_name": partial(_named, label_name, language=language),
        "kind_name": partial(_named, kind_name, language=language),
        "shown": shown,
        "breakable": breakable,
        "with_code": with_code,
    }
    return environment


def locale_of(language: str) -> Locale:
    """Return how numbers and dates are written in a language."""
    try:
        return Locale.parse(language)
    except UnknownLocaleError:
        return Locale.parse("en")


def _percents_with_tenths(locale: Locale) -> str:
    """Return the language's pattern for per cent, with one decimal place."""
    return locale.percent_formats[None].pattern.replace("#,##0", "#,##0.0", 1)  # type: ignore[no-any-return]


def _milliseconds(ms: float, locale: Locale) -> str:
    """Return a time to the tenth of a millisecond, which no line breaks."""
    return f"{numbers.format_decimal(round(ms, 1), locale=locale)}\N{NO-BREAK SPACE}ms"


def _moment(at: datetime, locale: Locale) -> str:
    """Return a time in the machine's own time zone, to the second."""
    return dates.format_datetime(at.astimezone(), "medium", locale=locale)


def _named(name: Any, key: str | None, language: str) -> str | None:  # noqa: ANN401 - of labels, or of kinds
    return None if key is None else name(key, language)
