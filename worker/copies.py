"""The same bytes are labelled once: a copy, or a file that was moved, takes the labels that its bytes have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

from storage.known_contents import known_contents, labels_of
from storage.records import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from archive.reading import ImageFile
    from storage.chunk_claims import Claim
    from storage.database import Database
    from storage.records import ChunkImage


class Copies:
    """The images of a chunk whose bytes have labels, or get them: of an earlier image, or of another one of the chunk.

    Args:
        known: contents that have labels, each with the image that has them.

    """

    def __init__(self, known: Mapping[str, int]) -> None:
        self._known = known
        self._decoded: dict[str, int] = {}
        #: What is known of the copies themselves, each with the image whose labels it takes.
        self._taken: list[tuple[Outcome, int]] = []

    @classmethod
    def of_chunk(cls, database: Database, claimed: Claim) -> Self:
        """Return the copies of a chunk that is going to be read: what has labels by now is asked here."""
        return cls(known_contents(database, claimed))

    def take(self, image: ChunkImage, file: ImageFile) -> bool:
        """Note that an image takes the labels of its bytes, and return True; False, if it must be decoded."""
        source = self._known.get(file.content) or self._decoded.get(file.content)
        if source is None:
            return False
        own = Outcome(
            image_id=image.image_id,
            size=file.size,
            mtime_ns=file.mtime_ns,
            content=file.content,
            read_ms=file.read_ms,
        )
        self._taken.append((own, source))
        return True

    def add_decoded(self, image: ChunkImage, file: ImageFile) -> None:
        """Note that an image could be decoded: it gets labels, unless the whole chunk does not."""
        self._decoded[file.content] = image.image_id

    def outcomes(self, labelled: Sequence[Outcome], database: Database, claimed: Claim) -> Iterator[Outcome]:
        """Yield the outcomes of those that took labels; whose source has changed since it was asked for is left out.

        Args:
            labelled: what became of the others of the chunk.
            database: that has the labels of earlier ones.
            claimed: the chunk.

        """
        sources = {outcome.image_id: outcome for outcome in labelled}
        earlier = {source: own.content for own, source in self._taken if source not in sources and own.content}
        if earlier:
            sources |= labels_of(database, claimed, earlier)
        for own, source in self._taken:
            found = sources.get(source)
            # One of the chunk may have been known by the bytes that it had before.
            if found and found.labels and found.content == own.content:
                yield _with_labels(own, found)


def _with_labels(own: Outcome, source: Outcome) -> Outcome:
    """Return a copy's outcome. An image whose bytes are those that it had before keeps its own labels."""
    return replace(
        source,
        image_id=own.image_id,
        size=own.size,
        mtime_ns=own.mtime_ns,
        content=own.content,
        read_ms=own.read_ms,
        decode_ms=None,
        infer_ms=None,
        copied_from=None if own.image_id == source.image_id else source.image_id,
    )
