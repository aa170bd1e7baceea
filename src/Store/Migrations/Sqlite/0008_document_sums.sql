-- How many documents of a kind each tenant has and how large they are, so that a bound on them costs a look at one row.
CREATE TABLE document_sums (
  kind      TEXT NOT NULL,
  tenant    BLOB NOT NULL,
  documents INTEGER NOT NULL,
  bytes     INTEGER NOT NULL,
  PRIMARY KEY (kind, tenant)
) STRICT, WITHOUT ROWID;
INSERT INTO document_sums SELECT kind, tenant, count(*), sum(length(content)) FROM documents GROUP BY kind, tenant;

CREATE TRIGGER documents_added AFTER INSERT ON documents BEGIN
  INSERT INTO document_sums (kind, tenant, documents, bytes) VALUES (new.kind, new.tenant, 1, length(new.content))
  ON CONFLICT (kind, tenant) DO UPDATE SET documents = documents + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER documents_deleted AFTER DELETE ON documents BEGIN
  UPDATE document_sums SET documents = documents - 1, bytes = bytes - length(old.content) WHERE kind = old.kind AND tenant = old.tenant;
  DELETE FROM document_sums WHERE kind = old.kind AND tenant = old.tenant AND documents = 0;
END;
