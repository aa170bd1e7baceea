-- The books of one Qanat installation.
--
-- Time is nanoseconds since 1970-01-01 UTC. Request, tenant and other ids are UUIDs, 16 bytes, big-endian.
-- An amount is two integers and a currency: X_milli whole thousandths of a currency unit (rounded down) and X_pico the
-- rest, 0 to 999,999,999 picos. Each column can be summed exactly over nine billion rows (docs/adr/0003-money-in-sqlite.md).
-- Rows that other rows point at have an integer "no" that is never used twice, not even after a delete: readers cache it.

-- Names of models, deployments, pools, accounts and templates, kept once.
CREATE TABLE names (
  no   INTEGER PRIMARY KEY AUTOINCREMENT,
  text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE tenants (
  no              INTEGER PRIMARY KEY AUTOINCREMENT,
  id              BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  name            TEXT NOT NULL,
  created_at      INTEGER NOT NULL,
  budget_milli    INTEGER,
  budget_pico     INTEGER CHECK (budget_pico BETWEEN 0 AND 999999999),
  budget_currency TEXT,
  is_demo         INTEGER NOT NULL CHECK (is_demo IN (0, 1))
) STRICT;

CREATE TABLE projects (
  no              INTEGER PRIMARY KEY AUTOINCREMENT,
  id              BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  tenant          INTEGER NOT NULL REFERENCES tenants,
  name            TEXT NOT NULL,
  created_at      INTEGER NOT NULL,
  budget_milli    INTEGER,
  budget_pico     INTEGER CHECK (budget_pico BETWEEN 0 AND 999999999),
  budget_currency TEXT
) STRICT;
CREATE INDEX projects_of_tenant ON projects (tenant);

CREATE TABLE keys (
  no              INTEGER PRIMARY KEY AUTOINCREMENT,
  id              BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  tenant          INTEGER NOT NULL REFERENCES tenants,
  project         INTEGER NOT NULL REFERENCES projects,
  name            TEXT NOT NULL,
  prefix          TEXT NOT NULL,
  hash            BLOB NOT NULL UNIQUE,
  role            INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  revoked_at      INTEGER,
  budget_milli    INTEGER,
  budget_pico     INTEGER CHECK (budget_pico BETWEEN 0 AND 999999999),
  budget_currency TEXT
) STRICT;
CREATE INDEX keys_of_tenant ON keys (tenant);
CREATE INDEX keys_of_project ON keys (project);

-- Rates per million tokens as the price file writes them (exact decimals): nothing is summed over them.
CREATE TABLE price_versions (
  no                   INTEGER PRIMARY KEY AUTOINCREMENT,
  id                   BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  effective_from       INTEGER NOT NULL,
  model                INTEGER REFERENCES names,
  tenant               INTEGER REFERENCES tenants,
  rates                TEXT NOT NULL,
  currency             TEXT NOT NULL,
  is_assumption        INTEGER NOT NULL CHECK (is_assumption IN (0, 1)),
  source               TEXT NOT NULL,
  added_at             INTEGER NOT NULL,
  terms                TEXT
) STRICT;
CREATE INDEX price_versions_of_tenant ON price_versions (tenant) WHERE tenant IS NOT NULL;

CREATE TABLE pool_rates (
  no              INTEGER PRIMARY KEY AUTOINCREMENT,
  id              BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  pool            INTEGER NOT NULL REFERENCES names,
  effective_from  INTEGER NOT NULL,
  hourly_milli    INTEGER NOT NULL,
  hourly_pico     INTEGER NOT NULL CHECK (hourly_pico BETWEEN 0 AND 999999999),
  hourly_currency TEXT NOT NULL,
  practical_capacity_permille INTEGER NOT NULL,
  is_assumption   INTEGER NOT NULL CHECK (is_assumption IN (0, 1)),
  source          TEXT NOT NULL,
  added_at        INTEGER NOT NULL
) STRICT;

-- Contracts, assets, bills and whatever else people declare: one statement of text each, kept as it is.
CREATE TABLE declarations (
  no   INTEGER PRIMARY KEY AUTOINCREMENT,
  id   BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  at   INTEGER NOT NULL,
  text TEXT NOT NULL
) STRICT;

-- Open holds only, each with its last durable progress. A settled hold lives on as its usage record, a released one in "releases".
CREATE TABLE holds (
  id              BLOB PRIMARY KEY CHECK (length(id) = 16),
  placed_at       INTEGER NOT NULL,
  tenant          INTEGER NOT NULL REFERENCES tenants,
  project         INTEGER NOT NULL REFERENCES projects,
  key             INTEGER NOT NULL REFERENCES keys,
  user_tag        TEXT,
  model           INTEGER NOT NULL REFERENCES names,
  deployment      INTEGER NOT NULL REFERENCES names,
  pool            INTEGER REFERENCES names,
  operation       INTEGER NOT NULL,
  price           INTEGER REFERENCES price_versions,
  amount_milli    INTEGER NOT NULL,
  amount_pico     INTEGER NOT NULL CHECK (amount_pico BETWEEN 0 AND 999999999),
  amount_currency TEXT NOT NULL,
  input           INTEGER NOT NULL DEFAULT 0,
  cache_read      INTEGER NOT NULL DEFAULT 0,
  cache_write     INTEGER NOT NULL DEFAULT 0,
  output          INTEGER NOT NULL DEFAULT 0,
  reasoning       INTEGER NOT NULL DEFAULT 0,
  prefill_ns      INTEGER NOT NULL DEFAULT 0,
  decode_ns       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
  id     BLOB PRIMARY KEY CHECK (length(id) = 16),
  tenant INTEGER NOT NULL REFERENCES tenants,
  at     INTEGER NOT NULL,
  reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE transactions (
  no       INTEGER PRIMARY KEY AUTOINCREMENT,
  id       BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  at       INTEGER NOT NULL CHECK (at >= 0),
  template INTEGER NOT NULL REFERENCES names,
  memo     TEXT NOT NULL
) STRICT;
CREATE INDEX transactions_by_time ON transactions (at, id);

-- "at" repeats the transaction's, so that sums over a period need no join.
CREATE TABLE entries (
  txn             INTEGER NOT NULL REFERENCES transactions,
  line            INTEGER NOT NULL,
  at              INTEGER NOT NULL,
  account         INTEGER NOT NULL REFERENCES names,
  amount_milli    INTEGER NOT NULL,
  amount_pico     INTEGER NOT NULL CHECK (amount_pico BETWEEN 0 AND 999999999),
  amount_currency TEXT NOT NULL,
  tenant          INTEGER REFERENCES tenants,
  project         INTEGER REFERENCES projects,
  model           INTEGER REFERENCES names,
  deployment      INTEGER REFERENCES names,
  pool            INTEGER REFERENCES names,
  PRIMARY KEY (txn, line)
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_by_time ON entries (at);
CREATE INDEX entries_by_account ON entries (account, tenant, at);

-- Sums of entries by day, and over all time. A dimension that an entry is not about is 0.
CREATE TABLE entry_days (
  start        INTEGER NOT NULL,
  account      INTEGER NOT NULL,
  tenant       INTEGER NOT NULL,
  project      INTEGER NOT NULL,
  model        INTEGER NOT NULL,
  pool         INTEGER NOT NULL,
  currency     TEXT NOT NULL,
  entries      INTEGER NOT NULL,
  amount_milli INTEGER NOT NULL,
  amount_pico  INTEGER NOT NULL CHECK (amount_pico BETWEEN 0 AND 999999999),
  PRIMARY KEY (start, account, tenant, project, model, pool, currency)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry_totals (
  account      INTEGER NOT NULL,
  tenant       INTEGER NOT NULL,
  project      INTEGER NOT NULL,
  model        INTEGER NOT NULL,
  pool         INTEGER NOT NULL,
  currency     TEXT NOT NULL,
  entries      INTEGER NOT NULL,
  amount_milli INTEGER NOT NULL,
  amount_pico  INTEGER NOT NULL CHECK (amount_pico BETWEEN 0 AND 999999999),
  PRIMARY KEY (account, tenant, project, model, pool, currency)
) STRICT, WITHOUT ROWID;

-- What each entry adds to the sums.
CREATE VIEW entry_lines AS
SELECT at AS start, account, coalesce(tenant, 0) AS tenant, coalesce(project, 0) AS project, coalesce(model, 0) AS model, coalesce(pool, 0) AS pool,
       amount_currency AS currency, 1 AS entries, amount_milli, amount_pico
FROM entries;

-- One finished request each. It belongs to the period of its completed_at. "in_order" is 1 when the time in its id (a UUIDv7 made at placing) is at most a day before
-- completion and not after it, as it is for all but some usage reported from outside: pages, which go by id, then need not look at the whole period.
CREATE TABLE usage (
  no              INTEGER PRIMARY KEY,
  id              BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  placed_at       INTEGER NOT NULL,
  first_token_at  INTEGER NOT NULL,
  completed_at    INTEGER NOT NULL CHECK (completed_at >= 0),
  tenant          INTEGER NOT NULL REFERENCES tenants,
  project         INTEGER NOT NULL REFERENCES projects,
  key             INTEGER NOT NULL REFERENCES keys,
  user_tag        TEXT,
  model           INTEGER NOT NULL REFERENCES names,
  deployment      INTEGER NOT NULL REFERENCES names,
  pool            INTEGER NOT NULL REFERENCES names,
  operation       INTEGER NOT NULL,
  outcome         INTEGER NOT NULL,
  input           INTEGER NOT NULL,
  cache_read      INTEGER NOT NULL,
  cache_write     INTEGER NOT NULL,
  output          INTEGER NOT NULL,
  reasoning       INTEGER NOT NULL,
  prefill_ns      INTEGER NOT NULL,
  decode_ns       INTEGER NOT NULL,
  price           INTEGER REFERENCES price_versions,
  charge_milli    INTEGER,
  charge_pico     INTEGER CHECK (charge_pico BETWEEN 0 AND 999999999),
  charge_currency TEXT,
  pool_rate       INTEGER REFERENCES pool_rates,
  cost_milli      INTEGER,
  cost_pico       INTEGER CHECK (cost_pico BETWEEN 0 AND 999999999),
  cost_currency   TEXT,
  basis           TEXT,
  in_order        INTEGER NOT NULL CHECK (in_order IN (0, 1)),
  txn             INTEGER REFERENCES transactions
) STRICT;
CREATE INDEX usage_by_time ON usage (completed_at, id);
CREATE INDEX usage_out_of_order ON usage (completed_at, id) WHERE in_order = 0;
CREATE INDEX usage_by_tenant ON usage (tenant, completed_at, id);
CREATE INDEX usage_unposted ON usage (completed_at, id) WHERE txn IS NULL;
CREATE INDEX usage_posted ON usage (txn, id) WHERE txn IS NOT NULL;

-- Device time of usage that was removed with the demo: its capacity stays, so this keeps the two in step.
CREATE TABLE cleared_usage (
  pool      INTEGER PRIMARY KEY REFERENCES names,
  device_ns INTEGER NOT NULL,
  requests  INTEGER NOT NULL
) STRICT;

-- A stretch of a pool's time in one state, begun within one minute; stretches follow each other without gap or overlap. The tail is the
-- last record that the stretch took in, by which the same record coming again is known.
CREATE TABLE capacity (
  pool    INTEGER NOT NULL REFERENCES names,
  from_at INTEGER NOT NULL,
  to_at   INTEGER NOT NULL CHECK (to_at > from_at),
  state   INTEGER NOT NULL,
  busy_ns INTEGER NOT NULL CHECK (busy_ns BETWEEN 0 AND to_at - from_at),
  tail_from_at INTEGER NOT NULL,
  tail_busy_ns INTEGER NOT NULL,
  PRIMARY KEY (pool, from_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  no      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  who     TEXT NOT NULL,
  action  TEXT NOT NULL,
  subject TEXT NOT NULL,
  before  TEXT,
  after   TEXT
) STRICT;
CREATE INDEX audit_by_time ON audit (at);

-- Sums of usage by hour and by day of completion. "currency" is the charge's, or the cost's when there is no charge, or XXX (ISO 4217: no
-- currency) when there is neither; a cost in another currency than its charge is a line of its own that counts no request.
CREATE TABLE usage_hours (
  start        INTEGER NOT NULL,
  tenant       INTEGER NOT NULL,
  project      INTEGER NOT NULL,
  key          INTEGER NOT NULL,
  model        INTEGER NOT NULL,
  pool         INTEGER NOT NULL,
  currency     TEXT NOT NULL,
  requests     INTEGER NOT NULL,
  unpriced     INTEGER NOT NULL,
  uncosted     INTEGER NOT NULL,
  input        INTEGER NOT NULL,
  cache_read   INTEGER NOT NULL,
  cache_write  INTEGER NOT NULL,
  output       INTEGER NOT NULL,
  reasoning    INTEGER NOT NULL,
  prefill_ns   INTEGER NOT NULL,
  decode_ns    INTEGER NOT NULL,
  charge_milli INTEGER NOT NULL,
  charge_pico  INTEGER NOT NULL CHECK (charge_pico BETWEEN 0 AND 999999999),
  cost_milli   INTEGER NOT NULL,
  cost_pico    INTEGER NOT NULL CHECK (cost_pico BETWEEN 0 AND 999999999),
  PRIMARY KEY (start, tenant, project, key, model, pool, currency)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_days (
  start        INTEGER NOT NULL,
  tenant       INTEGER NOT NULL,
  project      INTEGER NOT NULL,
  key          INTEGER NOT NULL,
  model        INTEGER NOT NULL,
  pool         INTEGER NOT NULL,
  currency     TEXT NOT NULL,
  requests     INTEGER NOT NULL,
  unpriced     INTEGER NOT NULL,
  uncosted     INTEGER NOT NULL,
  input        INTEGER NOT NULL,
  cache_read   INTEGER NOT NULL,
  cache_write  INTEGER NOT NULL,
  output       INTEGER NOT NULL,
  reasoning    INTEGER NOT NULL,
  prefill_ns   INTEGER NOT NULL,
  decode_ns    INTEGER NOT NULL,
  charge_milli INTEGER NOT NULL,
  charge_pico  INTEGER NOT NULL CHECK (charge_pico BETWEEN 0 AND 999999999),
  cost_milli   INTEGER NOT NULL,
  cost_pico    INTEGER NOT NULL CHECK (cost_pico BETWEEN 0 AND 999999999),
  PRIMARY KEY (start, tenant, project, key, model, pool, currency)
) STRICT, WITHOUT ROWID;

-- What each usage record adds to the sums: the definition that usage_hours and usage_days must agree with.
CREATE VIEW usage_lines AS
SELECT completed_at AS start, tenant, project, key, model, pool, coalesce(charge_currency, cost_currency, 'XXX') AS currency,
       1 AS requests, charge_currency IS NULL AS unpriced, cost_currency IS NULL AS uncosted,
       input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns,
       coalesce(charge_milli, 0) AS charge_milli, coalesce(charge_pico, 0) AS charge_pico,
       CASE WHEN cost_currency = coalesce(charge_currency, cost_currency) THEN cost_milli ELSE 0 END AS cost_milli,
       CASE WHEN cost_currency = coalesce(charge_currency, cost_currency) THEN cost_pico ELSE 0 END AS cost_pico
FROM usage
UNION ALL
SELECT completed_at, tenant, project, key, model, pool, cost_currency, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, cost_milli, cost_pico
FROM usage WHERE cost_currency <> charge_currency;
