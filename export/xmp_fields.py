"""The properties of XMP that hold keywords, and what they get."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The tag above all of ours.
ROOT = "nightlabel"


class Field(NamedTuple):
    """A property that holds keywords."""

    prefix: str
    namespace: str
    name: str
    kind: str  #: of list, where there is none yet
    separator: str  #: between the parts of a hierarchical keyword; empty: the field is flat
    also: str = ""  #: the namespace as others write it

    @property
    def shown(self) -> str:
        return f"{self.prefix}:{self.name}"

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(f"{{{namespace}}}{self.name}" for namespace in (self.namespace, self.also) if namespace)


SUBJECT = Field("dc", "http://purl.org/dc/elements/1.1/", "subject", "Bag", "")
#: Sources: https://exiftool.org/TagNames/XMP.html, https://exiv2.org/tags.html. Both programs read Microsoft's with the
#: slash at its end that exiv2 and digiKam write, and without.
FIELDS = (
    SUBJECT,
    Field("lr", "http://ns.adobe.com/lightroom/1.0/", "hierarchicalSubject", "Bag", "|"),
    Field("digiKam", "http://www.digikam.org/ns/1.0/", "TagsList", "Seq", "/"),
    Field(
        "MicrosoftPhoto",
        "http://ns.microsoft.com/photo/1.0",
        "LastKeywordXMP",
        "Bag",
        "/",
        also="http://ns.microsoft.com/photo/1.0/",
    ),
)


class Keywords(NamedTuple):
    """What a picture shows, in words: none with a separator in it, or with what XML cannot hold."""

    paths: tuple[tuple[str, ...], ...]  #: from the widest word to the narrowest one; none begins another
    words: tuple[str, ...]  #: all that are in paths, each once

    @classmethod
    def from_paths(cls, paths: Sequence[tuple[str, ...]]) -> Self:
        """Return keywords in order, without paths that others go on."""
        begun = {path[:length] for path in paths for length in range(len(path))}
        left = tuple(sorted({path for path in paths if path and path not in begun}))
        return cls(left, tuple(dict.fromkeys(word for path in left for word in path)))

    def of(self, field: Field) -> tuple[str, ...]:
        """Return the items that a field gets."""
        if not field.separator:
            return self.words
        return tuple(field.separator.join((ROOT, *path)) for path in self.paths)
