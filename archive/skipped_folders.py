"""Folders that programs keep for themselves: copies, previews, snapshots and rubbish, not a person's photos.

`docs/formats.md` lists the same for users. A name that a person might give a folder is no reason to leave it out: for
such a one, what lies around it or in it has to say that a program made it.
"""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass
from functools import cached_property

#: What the file begins with that marks a cache. Source: https://bford.info/cachedir/
_CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55"
CACHE_TAG_NAME = "CACHEDIR.TAG"


@dataclass(frozen=True)
class KeptFolder:
    """One kind of folder; every name is a glob, and none minds the case of letters."""

    name: str
    whose: str
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

KEPT_FOLDERS = (
    KeptFolder("@eaDir", "Synology: thumbnails"),
    KeptFolder("#recycle", "Synology: recycle bin"),
    KeptFolder("#snapshot", "Synology: snapshots"),
    KeptFolder("@tmp", "Synology: scratch files"),
    KeptFolder("@Recycle", "QNAP: recycle bin"),
    KeptFolder("@Recently-Snapshot", "QNAP: snapshots"),
    KeptFolder("@__thumb", "QNAP: thumbnails"),
    KeptFolder("Network Recycle Bin*", "QNAP, older: recycle bin"),
    KeptFolder("~snapshot", "NetApp: snapshots"),
    KeptFolder("@GMT-[0-9][0-9][0-9][0-9].*", "Samba: snapshots"),
    KeptFolder("_NAS_Recycle_*", "Thecus: recycle bin"),
    KeptFolder("Recycle Bin - Volume_*", "Western Digital: recycle bin"),
    KeptFolder("trashbox", "Buffalo: recycle bin"),
    KeptFolder("$RECYCLE.BIN", "Windows: recycle bin"),
    KeptFolder("RECYCLER", "Windows, older: recycle bin"),
    KeptFolder("RECYCLED", "Windows, older: recycle bin", holds=("info2",)),
    KeptFolder("System Volume Information", "Windows: restore points"),
    KeptFolder("lost+found", "Linux: what a check of the disk found"),
    KeptFolder("__MACOSX", "macOS: what it adds to a zip"),
    KeptFolder("Network Trash Folder", "macOS: recycle bin of a share"),
    KeptFolder("Backups.backupdb", "Time Machine: snapshots"),
    *(KeptFolder(name, "Apple Photos: previews", inside="*.photoslibrary") for name in _APPLE_COPIES),
    *(KeptFolder(name, "iPhoto: previews", inside="*.photolibrary") for name in _IPHOTO_COPIES),
    *(KeptFolder(name, "iPhoto: previews", inside="*.migratedphotolibrary") for name in _IPHOTO_COPIES),
    *(KeptFolder(name, "iPhoto: previews", beside=("AlbumData.xml",)) for name in _IPHOTO_COPIES),
    *(KeptFolder(name, "Aperture: previews", inside="*.aplibrary") for name in _APERTURE_COPIES),
    KeptFolder("*.lrdata", "Lightroom: previews"),
    KeptFolder("*.lrcat-data", "Lightroom: its catalogue"),
    KeptFolder("Previews", "Lightroom: previews", inside="*.lrlibrary"),
    KeptFolder("Cache", "Capture One: previews", inside="CaptureOne"),
    KeptFolder("Cache", "Capture One: previews", inside="*.cocatalog"),
    KeptFolder("appdata_*", "Nextcloud: previews"),
    KeptFolder("files_trashbin", "Nextcloud, ownCloud: recycle bin"),
    KeptFolder("files_versions", "Nextcloud, ownCloud: older versions"),
    KeptFolder("thumbs", "Immich: thumbnails", holds=(".immich",)),
    KeptFolder("thumbs", "Immich: thumbnails", beside=("encoded-video", "profile")),
    KeptFolder("profile", "Immich: pictures of its users", holds=(".immich",)),
    KeptFolder("thumbnails", "PhotoPrism: thumbnails", inside="cache"),
    KeptFolder("sidecar", "PhotoPrism: what it converted", beside=("cache", "config")),
    KeptFolder("*", "PhotoPrism: its storage", holds=(".ppstorage",)),
    KeptFolder("protected_media", "LibrePhotos: thumbnails", holds=("thumbnails_big",)),
    KeptFolder("PhotoTranscoder", "Plex: pictures for its clients"),
    KeptFolder("Thumbnails", "Kodi: thumbnails", inside="userdata"),
)


def is_kept(name: str, parent: str, siblings: set[str]) -> bool:
    """Tell, by what lies around a folder, whether a program keeps it; `siblings` in lower case."""
    return any(
        kind.is_called(name, parent) and siblings.issuperset(map(str.lower, kind.beside))
        for kind in KEPT_FOLDERS
        if not kind.holds
    )


def holds_copies(name: str, parent: str, content: set[str]) -> bool:
    """Tell, by what lies in a folder, whether a program keeps it; `content` in lower case."""
    return any(kind.holds and content.issuperset(kind.holds) and kind.is_called(name, parent) for kind in KEPT_FOLDERS)


def has_cache_tag(folder: str) -> bool:
    """Tell whether a program says of a folder that all in it can be made again.

    Raises:
        OSError: the tag cannot be read.

    """
    descriptor = os.open(os.path.join(folder, CACHE_TAG_NAME), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, len(_CACHE_TAG)) == _CACHE_TAG
    finally:
        os.close(descriptor)
