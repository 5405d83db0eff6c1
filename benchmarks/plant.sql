-- What a night leaves in the tables, for the images of a range of numbers. On SQLite and Postgres,
-- each with its own {content} in no order.

WITH RECURSIVE n(i) AS (SELECT CAST(:first AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < :last)
INSERT INTO images (id, path, path_hex, size, mtime_ns)
SELECT i, '/volume1/photos/' || (100000 + i / 1000) || '/IMG_' || (100000000 + i) || '.jpg', '', 3000000, i FROM n;

WITH RECURSIVE n(i) AS (SELECT CAST(:first AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < :last)
INSERT INTO chunks (id, run_id, images, attempt, starts, published_at, started_at, done_at, worker, ok, failed,
                    suspect_starts)
SELECT i / 64, :run, 64, 1, 1, :at, :at, :at, 'planted', 64, 0, 0 FROM n WHERE i % 64 = 0;

WITH RECURSIVE n(i) AS (SELECT CAST(:first AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < :last)
INSERT INTO manifest (run_id, image_id, chunk_id) SELECT :run, i, i / 64 FROM n;

WITH RECURSIVE n(i) AS (SELECT CAST(:first AS bigint) UNION ALL SELECT i + 1 FROM n WHERE i < :last)
INSERT INTO outcomes (image_id, model_id, run_id, chunk_id, status, label_1, score_1, label_2, score_2, label_3, score_3,
                      width, height, size, mtime_ns, content, queue_ms, read_ms, decode_ms, infer_ms, total_ms, worker, labelled_at)
SELECT i, :model, :run, i / 64, 'ok', 'label ' || (i * 7919 % 1000), (i * 31 % 997) / 997.0,
       'label ' || (i * 7919 % 1000 + 1), 0.1, 'label ' || (i * 7919 % 1000 + 2), 0.05,
       4000, 3000, 3000000, i, {content}, 1000.0, 1.0, 3.0, 5.0, 9.0, 'planted', :at FROM n;
