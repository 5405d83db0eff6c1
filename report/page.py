"""The report as one HTML file: it needs no network, prints, and follows the reader's choice of light or dark."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup, escape
from PIL import Image
from plotly.offline import get_plotlyjs

from archive.failures import ImageError
from archive.reading import Reader
from common.errors import ArchiveError
from common.whole_file import whole_file
from pictures.decoding import decode
from report.charts import charts, charts_of_models, charts_of_several
from report.findings import findings, for_people, memory_verdict
from report.night import STAGE_NAMES
from report.words import counted, duration, percent, signed, size
from storage.figures import paths_with_content, surest_images
from storage.records import ChunkImage, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from archive.reading import ImageFile
    from common.settings import Settings
    from report.charts import Chart
    from report.comparison import Comparison
    from report.night import NightFigures
    from report.side_by_side import SideBySide
    from storage.database import Database
    from storage.records import LabelledImage, Run

#: Pictures of the most certain images, and as many of the least certain ones.
THUMBNAILS = 12
_THUMBNAIL_PIXELS = 160
_COPIES_SHOWN = 4
#: Seconds that a disk which does not answer may keep the page waiting for a few pictures.
_SILENT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A small picture of what the model saw: the centre crop."""

    path: str
    name: str  #: the path below the run's folder, if it has one alone
    label: str
    score: float
    data_url: str | None  #: None: the picture that was labelled is not there now
    why_none: str = ""


def night_page(night: NightFigures, database: Database, settings: Settings) -> str:
    """Return the report as HTML. It reads the images that it shows from the archive."""
    run = night.run
    surest = surest_images(database, run, THUMBNAILS)
    least_sure = [one for one in surest_images(database, run, THUMBNAILS, least=True) if one not in surest]
    return _render(
        "night.html.j2",
        charts(night),
        night=night,
        findings=for_people(findings(night)),
        memory=memory_verdict(night),
        surest=_thumbnails(surest, run, settings),
        least_sure=_thumbnails(least_sure, run, settings),
        copies=[
            (count, paths_with_content(database, run, content, _COPIES_SHOWN))
            for content, count in night.outcomes.duplicates.largest
        ],
        processes={process.name: process for process in night.stability.processes},
        stage_names=STAGE_NAMES,
        database=database.shown,
    )


def nights_page(compared: SideBySide) -> str:
    """Return the comparison of several runs as HTML."""
    told = [(night.run.id, finding) for night in compared.nights for finding in for_people(findings(night))]
    return _render("nights.html.j2", charts_of_several(compared.nights), compared=compared, findings=told)


def comparison_page(compared: Comparison) -> str:
    """Return the comparison of models as HTML."""
    long_times = [one for one in compared.candidates if one.long_time]
    return _render("comparison.html.j2", charts_of_models(compared), compared=compared, long_times=long_times)


def _render(template: str, drawn: Iterable[Chart], **values: Any) -> str:  # noqa: ANN401 - whatever the template asks
    return (
        _environment()
        .get_template(template)
        .render(
            charts=[(chart, _as_script(chart)) for chart in drawn],
            plotly=Markup(get_plotlyjs()),  # noqa: S704 - plotly's own
            **values,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["counted"] = counted
    environment.filters |= {
        "duration": _unbroken(duration),
        "percent": _unbroken(percent),
        "signed": signed,
        "size": _unbroken(size),
        "shown": shown,
        "breakable": _breakable,
        "with_code": _with_code,
        "count": "{:,}".format,
        "ms": "{:,.1f}".format,
    }
    return environment


def _unbroken(say: Callable[[float], str]) -> Callable[[float], str]:
    """Return the same words, which no line ends between: a unit stays with its figure."""
    return lambda value: say(value).replace(" ", "\u00a0")


def _breakable(path: str) -> Markup:
    """Return a path that a line may end in, best between its words."""
    return Markup("<wbr>").join(re.split("(?<=[/_-])", path))


def _with_code(sentence: str) -> Markup:
    """Return a sentence in which what stands between backticks is set as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))  # noqa: S704 - escaped


def _as_script(chart: Chart) -> Markup:
    """Return a chart as JSON that no label or path can end the script element with."""
    return Markup(chart.figure.to_json().replace("<", "\\u003c"))  # noqa: S704 - as said


def _thumbnails(images: Sequence[LabelledImage], run: Run, settings: Settings) -> list[Thumbnail]:
    reader = Reader(settings.max_file_bytes, _SILENT_S)
    reading = reader.ahead([ChunkImage(number, image.path) for number, image in enumerate(images)], run.roots)
    return [_thumbnail(image, result, run, settings) for image, (_, result) in zip(images, reading, strict=True)]


def _thumbnail(image: LabelledImage, read: Callable[[], ImageFile], run: Run, settings: Settings) -> Thumbnail:
    """Show a picture, unless its file is another one now than the one that has the label."""
    data_url, why_none = None, ""
    try:
        file = read()
        if _is_the_one(file, image):
            data_url = _data_url(decode(file.data, run.model.preprocessing, settings.max_pixels).pixels)
        else:
            why_none = "changed since"
    except (ArchiveError, ImageError):
        why_none = "not readable now"
    name = image.path.removeprefix(f"{run.roots[0]}/") if len(run.roots) == 1 else image.path
    return Thumbnail(
        path=shown(image.path),
        name=shown(name),
        label=image.label,
        score=image.score,
        data_url=data_url,
        why_none=why_none,
    )


def _is_the_one(file: ImageFile, image: LabelledImage) -> bool:
    """Tell whether these are the bytes that got the label: another picture may have the same size and time."""
    if image.content is None:  # labelled before contents were noted
        return (file.size, file.mtime_ns) == (image.size, image.mtime_ns)
    return file.content == image.content


def _data_url(pixels: NDArray[np.uint8]) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}"


def write_page(page: str, path: Path) -> None:
    """Write the page to a file, whole or not at all.

    Raises:
        UsageError: it cannot be written there.

    """
    with whole_file(path) as file:
        file.write(page.encode(errors="backslashreplace"))  # a name may hold what UTF-8 does not
