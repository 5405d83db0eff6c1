"""Folders that a scan skips, since programs manage them: previews, snapshots and rubbish, not a person's photos.

`docs/formats.md` lists the same for users. A name that a person might give a folder is no reason to skip it: for such a
one, what lies around it or in it has to say that a program made it.
"""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass
from functools import cached_property

from archive.places.local_file import read_head

#: What the file begins with that marks a cache. Source: https://bford.info/cachedir/
_CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55"
CACHE_TAG_NAME = "CACHEDIR.TAG"


@dataclass(frozen=True)
class SkippedFolder:
    """One kind of folder; every name is a glob, in any case of letters."""

    name: str
    owner: str  #: the program, and what it keeps there
    inside: str = "*"  #: the name of the folder that it lies in
    beside: tuple[str, ...] = ()  #: names that all lie in that folder, too
    holds: tuple[str, ...] = ()  #: names that all lie in it

    def is_called(self, name: str, parent: str) -> bool:
        return bool(self._names[0].match(name.lower()) and self._names[1].match(parent.lower()))

    @cached_property
    def _names(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        return re.compile(fnmatch.translate(self.name.lower())), re.compile(fnmatch.translate(self.inside.lower()))


_APPLE_COPIES = "resources", "database", "private", "scopes", "external"
_IPHOTO_COPIES = "Thumbnails", "Previews", "Data", "Data.noindex"
_APERTURE_COPIES = "Thumbnails", "Previews"

SKIPPED_FOLDERS = (
    SkippedFolder("@eaDir", "Synology: thumbnails"),
    SkippedFolder("#recycle", "Synology: recycle bin"),
    SkippedFolder("#snapshot", "Synology: snapshots"),
    SkippedFolder("@tmp", "Synology: scratch files"),
    SkippedFolder("@Recycle", "QNAP: recycle bin"),
    SkippedFolder("@Recently-Snapshot", "QNAP: snapshots"),
    SkippedFolder("@__thumb", "QNAP: thumbnails"),
    SkippedFolder("Network Recycle Bin*", "QNAP, older: recycle bin"),
    SkippedFolder("~snapshot", "NetApp: snapshots"),
    SkippedFolder("@GMT-[0-9][0-9][0-9][0-9].*", "Samba: snapshots"),
    SkippedFolder("_NAS_Recycle_*", "Thecus: recycle bin"),
    SkippedFolder("Recycle Bin - Volume_*", "Western Digital: recycle bin"),
    SkippedFolder("trashbox", "Buffalo: recycle bin"),
    SkippedFolder("$RECYCLE.BIN", "Windows: recycle bin"),
    SkippedFolder("RECYCLER", "Windows, older: recycle bin"),
    SkippedFolder("RECYCLED", "Windows, older: recycle bin", holds=("info2",)),
    SkippedFolder("System Volume Information", "Windows: restore points"),
    SkippedFolder("lost+found", "Linux: what a check of the disk found"),
    SkippedFolder("__MACOSX", "macOS: what it adds to a zip"),
    SkippedFolder("Network Trash Folder", "macOS: recycle bin of a share"),
    SkippedFolder("Backups.backupdb", "Time Machine: snapshots"),
    *(SkippedFolder(name, "Apple Photos: previews", inside="*.photoslibrary") for name in _APPLE_COPIES),
    *(SkippedFolder(name, "iPhoto: previews", inside="*.photolibrary") for name in _IPHOTO_COPIES),
    *(SkippedFolder(name, "iPhoto: previews", inside="*.migratedphotolibrary") for name in _IPHOTO_COPIES),
    *(SkippedFolder(name, "iPhoto: previews", beside=("AlbumData.xml",)) for name in _IPHOTO_COPIES),
    *(SkippedFolder(name, "Aperture: previews", inside="*.aplibrary") for name in _APERTURE_COPIES),
    SkippedFolder("*.lrdata", "Lightroom: previews"),
    SkippedFolder("*.lrcat-data", "Lightroom: its catalogue"),
    SkippedFolder("Previews", "Lightroom: previews", inside="*.lrlibrary"),
    SkippedFolder("Cache", "Capture One: previews", inside="CaptureOne"),
    SkippedFolder("Cache", "Capture One: previews", inside="*.cocatalog"),
    SkippedFolder("appdata_*", "Nextcloud: previews"),
    SkippedFolder("files_trashbin", "Nextcloud, ownCloud: recycle bin"),
    SkippedFolder("files_versions", "Nextcloud, ownCloud: older versions"),
    SkippedFolder("thumbs", "Immich: thumbnails", holds=(".immich",)),
    SkippedFolder("thumbs", "Immich: thumbnails", beside=("encoded-video", "profile")),
    SkippedFolder("profile", "Immich: pictures of its users", holds=(".immich",)),
    SkippedFolder("thumbnails", "PhotoPrism: thumbnails", inside="cache"),
    SkippedFolder("sidecar", "PhotoPrism: what it converted", beside=("cache", "config")),
    SkippedFolder("*", "PhotoPrism: its storage", holds=(".ppstorage",)),
    SkippedFolder("protected_media", "LibrePhotos: thumbnails", holds=("thumbnails_big",)),
    SkippedFolder("PhotoTranscoder", "Plex: pictures for its clients"),
    SkippedFolder("Thumbnails", "Kodi: thumbnails", inside="userdata"),
)


def is_skipped_by_name(name: str, parent: str, siblings: set[str]) -> bool:
    """Tell by a folder's name, and by what lies beside it, whether a program manages it; `siblings` in lower case."""
    return any(
        kind.is_called(name, parent) and siblings.issuperset(map(str.lower, kind.beside))
        for kind in SKIPPED_FOLDERS
        if not kind.holds
    )


def is_skipped_by_content(name: str, parent: str, content: set[str]) -> bool:
    """Tell by what lies in a folder whether a program manages it; `content` in lower case."""
    return any(
        kind.holds and content.issuperset(kind.holds) and kind.is_called(name, parent) for kind in SKIPPED_FOLDERS
    )


def has_cache_tag(folder: str) -> bool:
    """Tell whether a program says of a folder that all in it can be made again.

    Raises:
        OSError: the tag cannot be read.

    """
    return read_head(os.path.join(folder, CACHE_TAG_NAME), len(_CACHE_TAG)) == _CACHE_TAG
