-- What is kept beside the books and may change: files, batches, stored responses, sessions, secrets. "no" is the version: a change deletes the row and
-- inserts another, and AUTOINCREMENT never uses a number twice. Documents of no tenant stand under sixteen zero bytes.
CREATE TABLE documents (
  no         INTEGER PRIMARY KEY AUTOINCREMENT,
  kind       TEXT NOT NULL,
  tenant     BLOB NOT NULL CHECK (length(tenant) = 16),
  id         TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  content    BLOB NOT NULL,
  UNIQUE (kind, tenant, id)
) STRICT;
CREATE INDEX documents_of_tenant ON documents (kind, tenant, created_at, id);
CREATE INDEX documents_of_kind ON documents (kind, created_at, id, tenant);
CREATE INDEX documents_expiring ON documents (expires_at) WHERE expires_at IS NOT NULL;
