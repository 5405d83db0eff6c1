"""Derive what each of ImageNet's classes is called and which kind it has, from WordNet and the table of decisions.

`python -m vocabulary.derive [data.noun]` writes `classes.tsv`. WordNet 3.0's nouns are in Debian's `wordnet-base`;
ImageNet's ids are their offsets. A class has the kind of the nearest synset above it, or of its own, that
`decisions.tsv` names.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from vocabulary.tables import FOLDER, read_table

WORDNET = Path("/usr/share/wordnet/data.noun")
CLASSES = "classes.tsv"
_HEADER = "class_index\twnid\tlabel\tkind\talso\n"


class Synset(NamedTuple):
    """A meaning, as WordNet has it."""

    words: tuple[str, ...]
    above: tuple[str, ...]  #: the ids of its hypernyms


def read_wordnet(file: Path) -> dict[str, Synset]:
    """Return WordNet's nouns by id, `n02084071`. Source: wndb(5WN), the format of `data.noun`."""
    synsets = {}
    for line in file.read_text("latin-1").splitlines():
        if line.startswith("  "):  # the licence
            continue
        fields = line.partition("|")[0].split()
        count = int(fields[3], 16)
        words = tuple(word.replace("_", " ") for word in fields[4 : 4 + 2 * count : 2])
        pointers = fields[5 + 2 * count :]
        every = range(0, 4 * int(fields[4 + 2 * count]), 4)
        above = tuple(f"n{pointers[at + 1]}" for at in every if pointers[at] in ("@", "@i"))
        synsets[f"n{fields[0]}"] = Synset(words, above)
    return synsets


def decisions() -> dict[str, str]:
    """Return the kind of each synset that the table names.

    Raises:
        ValueError: a synset stands there twice, or a kind has a parent that is none.

    """
    rows = read_table("decisions.tsv")
    kinds = {row["kind"] for row in rows}
    found: dict[str, str] = {}
    for row in rows:
        if row["parent"] and row["parent"] not in kinds:
            raise ValueError(f"decisions.tsv: {row['kind']} has the parent {row['parent']}, which is no kind")
        for synset in filter(None, row["synsets"].split(", ")):
            wnid = synset.split(" ")[0]
            if wnid in found:
                raise ValueError(f"decisions.tsv: {wnid} is {found[wnid]} and {row['kind']}")
            found[wnid] = row["kind"]
    return found


def nearest_kind(wnid: str, synsets: dict[str, Synset], of_synset: dict[str, str]) -> str:
    """Return the kind of the nearest decision at or above a synset.

    Raises:
        ValueError: there is none, or two at one distance are of different kinds.

    """
    level = [wnid]
    while level:
        found = {of_synset[one] for one in level if one in of_synset}
        if len(found) == 1:
            return found.pop()
        if found:
            raise ValueError(f"{wnid} ({synsets[wnid].words[0]}) lies as near to {' as to '.join(sorted(found))}")
        level = [above for one in level for above in synsets[one].above]
    raise ValueError(f"{wnid} ({synsets[wnid].words[0]}) lies below no decision")


def derive(wordnet: Path) -> str:
    """Return the text of `classes.tsv`."""
    synsets = read_wordnet(wordnet)
    of_synset = decisions()
    lines = []
    for row in read_table("imagenet.tsv"):
        kind = nearest_kind(row["wnid"], synsets, of_synset)
        also = [word for word in synsets[row["wnid"]].words if word != row["label"]]
        lines.append("\t".join((row["class_index"], row["wnid"], row["label"], kind, "; ".join(also))) + "\n")
    return _HEADER + "".join(lines)


if __name__ == "__main__":
    (FOLDER / CLASSES).write_text(derive(Path(sys.argv[1]) if sys.argv[1:] else WORDNET))
