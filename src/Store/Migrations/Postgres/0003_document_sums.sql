-- How many documents of a kind each tenant has and how large they are, so that a bound on them costs a look at one row.
CREATE TABLE document_sums (
  kind      text COLLATE "C" NOT NULL,
  tenant    uuid NOT NULL,
  documents bigint NOT NULL,
  bytes     bigint NOT NULL,
  PRIMARY KEY (kind, tenant)
);
INSERT INTO document_sums SELECT kind, tenant, count(*), sum(octet_length(content)) FROM documents GROUP BY kind, tenant;

-- Once for a statement, however many rows it has: a row that one commit changes again and again is found ever more slowly.
CREATE FUNCTION sum_documents_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO document_sums (kind, tenant, documents, bytes) SELECT kind, tenant, count(*), sum(octet_length(content)) FROM changed GROUP BY kind, tenant
  ON CONFLICT (kind, tenant) DO UPDATE SET documents = document_sums.documents + excluded.documents, bytes = document_sums.bytes + excluded.bytes;
  RETURN NULL;
END $$;
CREATE FUNCTION sum_documents_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE document_sums SET documents = document_sums.documents - gone.documents, bytes = document_sums.bytes - gone.bytes
  FROM (SELECT kind, tenant, count(*) AS documents, sum(octet_length(content)) AS bytes FROM changed GROUP BY kind, tenant) AS gone
  WHERE document_sums.kind = gone.kind AND document_sums.tenant = gone.tenant;
  DELETE FROM document_sums WHERE documents = 0 AND (kind, tenant) IN (SELECT kind, tenant FROM changed);
  RETURN NULL;
END $$;
CREATE TRIGGER documents_added AFTER INSERT ON documents REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION sum_documents_added();
CREATE TRIGGER documents_deleted AFTER DELETE ON documents REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION sum_documents_deleted();
