"""A benchmark on the terminal: each figure as soon as it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightlabel.screen import say
from report.words import counted, duration
from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.bench import Bench, SystemSpeed


class BenchLines:
    """Says each figure on standard output; on standard error where the output is JSON (`is_aside`)."""

    def __init__(self, *, is_aside: bool) -> None:
        self._is_aside = is_aside
        self._said = set[str]()

    def archive(self, measured: Bench, roots: Sequence[str]) -> None:
        where = ", ".join(map(shown, roots))
        self.note(f"{where}: {_more(measured)}{measured.images:,} images, scanned in {duration(measured.scan_s)}")

    def decoding(self, measured: Bench) -> None:
        failed = f"; {measured.unlabelled} could not be decoded" if measured.unlabelled else ""
        self.note(
            f"\nOne image at a time, on one core ({measured.sampled:,} of {measured.mean_megapixels:.1f} megapixels and"
            f" {measured.mean_megabytes:.2f} MB on average{failed})\n"
            f"  read      {measured.read_ms:8.2f} ms\n"
            f"  decode    {measured.decode_ms:8.2f} ms  {1000 / measured.decode_ms:8,.1f} images/s"
        )

    def inference(self, precision: str, speed: float | str) -> None:
        self._head("\nInference, on one core")
        figures = speed if isinstance(speed, str) else f"{1000 / speed:8.2f} ms  {speed:8,.1f} images/s"
        self.note(f"  {precision:<10}{figures}")

    def system(self, speed: SystemSpeed) -> None:
        self._head("\nThe whole system")
        how = f"{speed.precision}, {counted(speed.workers, 'worker')}"
        self.note(f"  {how:<21}{speed.images_per_second:8,.1f} images/s  {speed.worker_rss_mb:5.0f} MB each")

    def conclusion(self, measured: Bench) -> None:
        """Say where a worker's time goes, how long all images will take, and which precision to take."""
        best = measured.best
        rest = 1 - best.decode_share - best.infer_share
        self.note(
            f"  a worker's time: decode {best.decode_share:.0%}, inference {best.infer_share:.0%}, all else {rest:.0%}"
            f"\n\n{measured.images:,} images: {_more(measured)}{duration(measured.forecast_s)} with"
            f" {counted(best.workers, 'worker')}; a million: {duration(1e6 / best.images_per_second)}"
        )
        if measured.advice:
            self.note(str(measured.advice))

    def note(self, sentence: str) -> None:
        say(sentence, err=self._is_aside)

    def _head(self, line: str) -> None:
        """Say a heading once."""
        if line not in self._said:
            self._said.add(line)
            self.note(line)


def _more(measured: Bench) -> str:
    return "" if measured.is_whole else "more than "
