-- Which transaction sums up which usage record, as pairs beside the records: these are then written once and never again, and posting ten million of them writes ten million small rows at the
-- end of two tables instead of rewriting the large ones. The store's check looks after both ends: foreign keys would cost as much as the rows.
CREATE TABLE posted (
  record INTEGER PRIMARY KEY,
  txn    INTEGER NOT NULL
) STRICT;
INSERT INTO posted (record, txn) SELECT no, txn FROM usage WHERE txn IS NOT NULL ORDER BY no;
CREATE INDEX posted_by_transaction ON posted (txn);

-- No record up to this number is unposted. One row.
CREATE TABLE posted_through (
  record INTEGER NOT NULL
) STRICT;
INSERT INTO posted_through (record) SELECT coalesce((SELECT min(no) - 1 FROM usage WHERE txn IS NULL), (SELECT max(no) FROM usage), 0);

DROP INDEX usage_unposted;
DROP INDEX usage_posted;
ALTER TABLE usage DROP COLUMN txn;
