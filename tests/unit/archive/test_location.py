"""Whether a location lies below a root is told in one place, by whole names and not by how a text begins."""

from __future__ import annotations

import pytest

from archive.location import lies_below, lies_in, name_below, scheme_of

#: Location, root, and what the location is called below the root; None: it does not lie below it.
CASES = [
    ("/photos/x.jpg", "/photos", "x.jpg"),
    ("/photos/2024/x.jpg", "/photos", "2024/x.jpg"),
    ("/photos/x.jpg", "/photos/", "x.jpg"),
    ("/photos2/x.jpg", "/photos", None),
    ("/photos", "/photos", None),
    ("/photos/x.jpg", "/photos/x.jpg", None),
    ("/photos/x.jpg.jpg", "/photos/x.jpg", None),
    ("/photos/x.jpg", "/", "photos/x.jpg"),
    ("/x.jpg", "/", "x.jpg"),
    ("/x.jpg", "", None),
    ("/photos/a.zip!/2024/x.jpg", "/photos/a.zip!", "2024/x.jpg"),
    ("/photos/a.zip!/2024/x.jpg", "/photos", "a.zip!/2024/x.jpg"),
    ("s3://bucket/2024/x.jpg", "s3://bucket", "2024/x.jpg"),
    ("s3://bucket2/x.jpg", "s3://bucket", None),
    ("s3://bucket/x.jpg", "/", None),
]


@pytest.mark.parametrize(("location", "root", "name"), CASES)
def test_a_location_lies_below_a_root_by_whole_names(location: str, root: str, name: str | None) -> None:
    assert lies_below(location, root) is (name is not None)


@pytest.mark.parametrize(("location", "root", "name"), CASES)
def test_a_name_below_a_root_is_what_follows_it_and_elsewhere_the_whole_location(
    location: str, root: str, name: str | None
) -> None:
    assert name_below(location, root) == (location if name is None else name)


@pytest.mark.parametrize(
    ("location", "is_in"),
    [
        ("/photos/x.jpg", True),
        ("/photos", True),
        ("/photos2/x.jpg", False),
        ("/photos/../photos2/x.jpg", False),
        ("/elsewhere/../photos/./x.jpg", True),
        ("s3://bucket/2024/x.jpg", True),
        ("s3://bucket/2024/../2023/x.jpg", False),
        ("s3://bucket/2023/x.jpg", False),
    ],
)
def test_a_location_lies_in_the_archive_at_or_below_one_of_its_roots_wherever_its_dots_lead(
    location: str, *, is_in: bool
) -> None:
    assert lies_in(location, ["/other", "/photos", "s3://bucket/2024"]) is is_in


def test_nothing_lies_in_an_archive_without_roots() -> None:
    assert not lies_in("/photos/x.jpg", [])


@pytest.mark.parametrize(
    ("location", "scheme"),
    [("/photos/x.jpg", None), ("photos", None), ("s3://bucket", "s3"), ("S3://b", "s3"), ("/a/s3://b", None)],
)
def test_a_scheme_is_what_stands_before_the_first_slashes(location: str, scheme: str | None) -> None:
    assert scheme_of(location) == scheme
