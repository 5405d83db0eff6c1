"""Models at work on a few images, measured, and prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightlabel.library.arguments import loaded, names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from common.settings import Settings
    from models.listing import Listing
    from nightlabel.library.arguments import AnyPath
    from report.comparison.figures import Comparison
    from runner.bench import Bench, BenchDisplay
    from worker.classify import Answer
    from worker.measure import Assignment


def classify(files: AnyPath | Iterable[AnyPath], settings: Settings | None = None) -> list[Answer]:
    """Label a few files here and now: no queue, no database.

    Example:
        (answer,) = nightlabel.classify("photos/goldfinch.jpg")
        print(answer.labels[0])

    Returns:
        An answer a file, in the order given; one that could not be labelled has an `error_kind`.

    Raises:
        ModelError: no such model, or its weights are missing or damaged.

    """
    from worker.classify import classify_files

    return classify_files(names_of(files), loaded(settings))


def compare(
    paths: AnyPath | Iterable[AnyPath],
    models: Sequence[str],
    settings: Settings | None = None,
    *,
    truth: Path | None = None,
    assignment: Assignment | None = None,
    note: Callable[[str], None] | None = None,
) -> Comparison:
    """Measure models side by side on a sample of these images, each alone in a process of its own.

    Example:
        comparison = nightlabel.compare("photos", ["resnet18", "mobilenet_v2"], settings)
        print(comparison.recommendation)

    Args:
        paths: folders, or image files.
        models: their names.
        settings: what can be set.
        truth: a CSV file with the right labels: columns `file`, and `label` or `class_index`.
        assignment: for how long, and how many requests (`worker.measure.Assignment`).
        note: is told what goes on, a sentence at a time; None: nobody.

    Raises:
        ArchiveError: a path is missing or unreadable, or there is no image that can be labelled.
        ModelError: no such model, or none of them can be measured.
        UsageError: the truth names a label that no model has, or what is asked for makes no sense.
        KeyboardInterrupt: Ctrl-C, before anything was measured.

    """
    from runner.compare import USUAL
    from runner.compare import compare as measure
    from runner.truth_file import Truth

    known = Truth(truth) if truth else None
    told = note or (lambda _sentence: None)
    return measure(loaded(settings), names_of(paths), list(models), told, truth=known, assignment=assignment or USUAL)


def bench(paths: AnyPath | Iterable[AnyPath], display: BenchDisplay, settings: Settings | None = None) -> Bench:
    """Measure, in about a minute, how fast this machine labels these images, and how long all of them will take.

    Example:
        measured = nightlabel.bench("photos", display, settings)
        print(measured.best.images_per_second, measured.forecast_s)

    Args:
        paths: folders, or image files.
        display: who is told each figure as soon as it is there (`runner.bench.BenchDisplay`).
        settings: what can be set.

    Raises:
        ArchiveError: a path is missing or unreadable, or there is no image.
        ModelError: no such model, or its weights are missing or damaged.

    """
    from runner.bench import bench as measure

    return measure(loaded(settings), names_of(paths), display)


def list_models(settings: Settings | None = None, *, every: bool = False) -> Listing:
    """Return the models that the field compares, or every one of torchvision's classifiers.

    Example:
        print([one.name for one in nightlabel.list_models().models])

    Raises:
        ModelError: the catalogue cannot be written.

    """
    from models.listing import list_models as listed

    return listed(loaded(settings), every=every)


def prepare_model(name: str, settings: Settings | None = None, int8_paths: AnyPath | Iterable[AnyPath] = ()) -> str:
    """Convert a model once, so that workers start in a moment; return what came of it, in a sentence.

    Example:
        print(nightlabel.prepare_model("mobilenet_v2"))

    Args:
        name: of the model.
        settings: what can be set.
        int8_paths: calibrate it too, for int8 and for the cascade, anew, on images under these paths.

    Raises:
        ModelError: no such model, or its weights are missing or damaged, or its labels then differ too often from fp32.
        ArchiveError: a path is missing or unreadable.

    """
    from models.resolve import resolve

    chosen = loaded(settings).model_copy(update={"model": name, "engine": "openvino"})
    if paths := names_of(int8_paths):
        from models.precisions import CASCADE, INT8
        from runner.calibration import calibrate_on

        cascade = calibrate_on(chosen.model_copy(update={"precision": CASCADE}), paths, anew=True)
        int8 = calibrate_on(chosen.model_copy(update={"precision": INT8}), paths)  # made with it
        return f"{name}: {int8}.\n{name}: {cascade}."
    ready = resolve(chosen)
    return f"{ready.model.architecture} is prepared in {ready.prepared}."
