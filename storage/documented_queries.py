"""The queries that the documentation shows, for whoever wants to ask one: `docs/sql.md` and the README have each."""

from __future__ import annotations

from dataclasses import dataclass

from vocabulary.languages import translatable


@dataclass(frozen=True)
class DocumentedQuery:
    """A query that works on SQLite and on Postgres."""

    title: str  #: in English
    sql: str


#: By topic, in the order in which the documentation has them.
DOCUMENTED_QUERIES: dict[str, tuple[DocumentedQuery, ...]] = {
    translatable("To begin with"): (
        DocumentedQuery(
            translatable("Every golden retriever, best score first"),
            """\
select path, score_1 from results where label_1 = 'golden retriever' order by score_1 desc;""",
        ),
        DocumentedQuery(
            translatable("What is in the archive"),
            """\
select label_1, count(distinct path) as images from results where status = 'ok'
group by label_1 order by images desc limit 20;""",
        ),
        DocumentedQuery(
            translatable("Every cat, of whatever breed"),
            """\
select path, score from things where thing = 'cat' and score >= 0.5 order by score desc;""",
        ),
        DocumentedQuery(
            translatable("What there is, in German"),
            """\
select name, count(*) as images from results join names on names.label = label_1 and language = 'de'
group by name order by images desc limit 20;""",
        ),
    ),
    translatable("What is in the images"): (
        DocumentedQuery(
            translatable("All dogs with a score of at least 80 %"),
            """\
select path, score, model from things
where thing = 'dog' and score >= 0.8
order by score desc
limit 50;""",
        ),
        DocumentedQuery(
            translatable("How many images show an animal, a dog, a vehicle"),
            """\
select thing, count(distinct image_id) as images from things
where thing in ('animal', 'dog', 'vehicle') and score >= 0.5
group by thing
order by images desc;""",
        ),
        DocumentedQuery(
            translatable("Number of images per kind and model"),
            """\
select model_id, kind, count(*) as images, avg(kind_score) as mean_score from outcomes
where kind is not null
group by kind, model_id
order by images desc, kind, model_id
limit 20;""",
        ),
        DocumentedQuery(
            translatable("A dog and a cat in one image"),
            """\
select distinct path from things
where thing = 'dog' and score >= 0.05
  and image_id in (select image_id from things where thing = 'cat' and score >= 0.05)
order by path
limit 20;""",
        ),
        DocumentedQuery(
            translatable("The most frequent labels, in German"),
            """\
select name, images from (
  select label_1, count(*) as images from outcomes where label_1 is not null group by label_1
) as counted
join names on names.label = counted.label_1 and names.language = 'de'
order by images desc, name
limit 20;""",
        ),
        DocumentedQuery(
            translatable("What people have corrected"),
            """\
select path, model, precision, label_1, score_1, label from results
where content in (select content from corrections where ended_at is null) and label_source = 'person'
order by path
limit 50;""",
        ),
        DocumentedQuery(
            translatable("Number of images per label and model"),
            """\
select model_id, label_1, count(*) as images, avg(score_1) as mean_score from outcomes
where label_1 is not null
group by label_1, model_id
order by images desc, label_1
limit 20;""",
        ),
        DocumentedQuery(
            translatable("Images with a given label among their best three, and its score"),
            """\
select path, min(rank) as best_rank, max(score) as best_score from labels
where label = 'tabby'
group by path
order by best_score desc, path
limit 20;""",
        ),
        DocumentedQuery(
            translatable("Two things in one image"),
            """\
select distinct path from results
where 'tabby' in (label_1, label_2, label_3) and 'tiger cat' in (label_1, label_2, label_3)
order by path
limit 20;""",
        ),
        DocumentedQuery(
            translatable("Images with a low score, for review"),
            """\
select path, model, precision, label_1, score_1, label_2, score_2 from results
where score_1 < 0.3
order by score_1
limit 50;""",
        ),
    ),
    translatable("What has changed"): (
        DocumentedQuery(
            translatable("What was labelled since a given day, for the first time or again (put in your own date)"),
            """\
select path, model, precision, label_1, score_1, labelled_at from results
where status = 'ok' and labelled_at >= '2026-11-23'
order by labelled_at desc, path
limit 50;""",
        ),
        DocumentedQuery(
            translatable("Labels by the year of the file, here for dogs"),
            """\
select substr(cast(modified_at as text), 1, 4) as year, label_1, count(distinct image_id) as images from results
where kind = 'dog'
group by year, label_1
order by year desc, images desc
limit 50;""",
        ),
        DocumentedQuery(
            translatable("Where two models, or two precisions of one, disagree although both have a high score"),
            """\
select a.path, a.model as model_a, a.precision as precision_a, a.label_1 as label_a,
  b.model as model_b, b.precision as precision_b, b.label_1 as label_b from results a
join results b on b.image_id = a.image_id and b.run_id > a.run_id
where a.label_1 <> b.label_1 and a.score_1 >= 0.5 and b.score_1 >= 0.5
order by a.score_1 + b.score_1 desc
limit 50;""",
        ),
    ),
    translatable("What went wrong"): (
        DocumentedQuery(
            translatable("Failures by folder"),
            """\
select rtrim(path, replace(path, '/', '')) as folder, error_kind, count(distinct path) as images from results
where error_kind is not null
group by folder, error_kind
order by images desc
limit 20;""",
        ),
        DocumentedQuery(
            translatable("What failed, and why"),
            """\
select distinct path, error_kind, error from results
where error_kind is not null
order by path
limit 50;""",
        ),
        DocumentedQuery(
            translatable("Partly damaged images that have labels, with the damage in `warning`"),
            """\
select path, label_1, max(score_1) as score, warning from results
where warning is not null
group by path, label_1, warning
order by path
limit 50;""",
        ),
        DocumentedQuery(
            translatable("The slowest of the images that took over a tenth of a second"),
            """\
select path, model, precision, total_ms, decode_ms, width, height, size_bytes from results
where total_ms > 100
order by total_ms desc
limit 20;""",
        ),
        DocumentedQuery(
            translatable("Images of the newest run that have no outcome yet"),
            """\
select images.path from manifest
join images on images.id = manifest.image_id
join runs on runs.id = manifest.run_id
left join outcomes on outcomes.image_id = manifest.image_id and outcomes.model_id = runs.model_id
  and outcomes.chunk_id = manifest.chunk_id
where manifest.run_id = (select max(run_id) from manifest) and outcomes.image_id is null
limit 50;""",
        ),
    ),
    translatable("Files and speed"): (
        DocumentedQuery(
            translatable("Duplicates, byte for byte, and the space that the copies take"),
            """\
select path as one_of_them, files, bytes_of_copies from (
  select min(image_id) as image_id, count(distinct image_id) as files,
    (count(distinct image_id) - 1) * max(size) as bytes_of_copies from outcomes
  where content in (
    select content from outcomes where content is not null group by content having min(image_id) < max(image_id)
  )
  group by content
  order by bytes_of_copies desc
  limit 20
) as same
join images on images.id = same.image_id
order by bytes_of_copies desc, path;""",
        ),
        DocumentedQuery(
            translatable("Files that took the labels of another file with the same bytes"),
            """\
select path, copied_from, label_1, score_1 from results
where copied_from is not null
order by path
limit 50;""",
        ),
        DocumentedQuery(
            translatable("Large images in portrait format"),
            """\
select path, pixels from (
  select image_id, max(width * height) as pixels from outcomes
  where height > width and width * height >= 12000000
  group by image_id
  order by pixels desc
  limit 20
) as large
join images on images.id = large.image_id
order by pixels desc, path;""",
        ),
        DocumentedQuery(
            translatable("Images and mean times per worker, in the newest run that labelled anything"),
            """\
select worker, count(*) as images, avg(decode_ms) as decode_ms, avg(infer_ms) as infer_ms from results
where run_id = (select max(run_id) from results)
group by worker
order by worker;""",
        ),
        DocumentedQuery(
            translatable("Images per hour in that run"),
            """\
select substr(cast(labelled_at as text), 1, 13) as hour, count(*) as images from results
where run_id = (select max(run_id) from results)
group by hour
order by hour;""",
        ),
    ),
}
