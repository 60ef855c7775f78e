CREATE TABLE words (id INTEGER PRIMARY KEY, key TEXT, value INTEGER);
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 12000)
    INSERT INTO words SELECT n, 'w' || (n * 7919 % 997), n * 104729 % 1000 FROM numbers;
CREATE INDEX by_key ON words (key);
SELECT key, sum(value), count(*) FROM words GROUP BY key ORDER BY 2 DESC LIMIT 3;
UPDATE words SET value = value + 1 WHERE key LIKE 'w1%';
SELECT count(*) FROM words a JOIN words b ON a.key = b.key AND a.value < b.value;
SELECT sum(value) FROM words WHERE key BETWEEN 'w2' AND 'w5' AND value % 3 = 1;
