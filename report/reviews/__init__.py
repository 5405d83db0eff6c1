"""Reviews: a person is asked of pictures, one at a time, whether a model's label is right; in a terminal and on a page.

Nothing here waits for the answer, or knows who was asked: a question is read, an answer stored, each by itself.
"""

#: By which other rooms may enter; all else is this room's own.
__all__ = [
    "answers",
    "questions",
]
