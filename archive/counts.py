"""What a scan skips on its way, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.records import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Names of skipped folders that are listed in a sentence.
_NAMES_LISTED = 4


@dataclass
class ScanCounts:
    """What a scan came across and skipped."""

    ignored: int = 0  #: files that are no images, by their content
    links: int = 0  #: links out of the archive, and linked folders
    unreadable: int = 0  #: folders and files that could not be opened, or did not answer; the log names them
    skipped_folders: Counter[str] = field(default_factory=Counter)  #: folders that programs manage, by their names

    def add(self, other: ScanCounts) -> None:
        """Add what was counted elsewhere."""
        self.ignored += other.ignored
        self.links += other.links
        self.unreadable += other.unreadable
        self.skipped_folders.update(other.skipped_folders)

    def sentences(self) -> Iterator[str]:
        """Yield what a person should know of what was skipped."""
        if self.unreadable:
            yield f"Skipped {_counted(self.unreadable, 'file or folder', 'files or folders')} that could not be read."
        if self.links:
            yield f"Skipped {_counted(self.links, 'link', 'links')} to folders or out of the archive."
        if self.skipped_folders:
            names = [shown(name) for name, _ in self.skipped_folders.most_common(_NAMES_LISTED)]
            more = " …" if len(self.skipped_folders) > _NAMES_LISTED else ""
            folders = _counted(self.skipped_folders.total(), "folder", "folders")
            yield (
                f"Skipped {folders} with copies that other programs manage ({', '.join(names)}{more});"
                " use --no-skip to include them."
            )


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
