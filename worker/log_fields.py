"""What every log record of a chunk carries for other programs, beside the sentence for people (`docs/logging.md`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from broker.message import ChunkMessage
    from storage.chunk_claims import Claim


def chunk_fields(chunk: Claim | ChunkMessage) -> dict[str, int | None]:
    """Return `run_id` (None where only the message is known), `chunk_id` and `attempt`, for a log call's `extra`."""
    run = getattr(chunk, "run", None)
    run_id = run.id if run else getattr(chunk, "run_id", None)
    return {"run_id": run_id, "chunk_id": chunk.chunk_id, "attempt": chunk.attempt}
