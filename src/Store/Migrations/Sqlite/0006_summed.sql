-- Sums of usage, and the records by tenant below, go over the records up to this number; the newest few are looked through when something is asked. One row.
CREATE TABLE summed_through (
  record INTEGER NOT NULL
) STRICT;
INSERT INTO summed_through (record) SELECT coalesce(max(no), 0) FROM usage;

-- Which records are a tenant's. An index would be written at as many places as tenants are busy in each commit, and was three quarters of all that was written; this is written in bulk, with the sums.
CREATE TABLE usage_of_tenants (
  tenant       INTEGER NOT NULL,
  completed_at INTEGER NOT NULL,
  id           BLOB NOT NULL,
  no           INTEGER NOT NULL,
  PRIMARY KEY (tenant, completed_at, id)
) STRICT, WITHOUT ROWID;
INSERT INTO usage_of_tenants SELECT tenant, completed_at, id, no FROM usage ORDER BY tenant, completed_at, id;
DROP INDEX usage_by_tenant;

-- As before, with each record's number.
DROP VIEW usage_lines;
CREATE VIEW usage_lines AS
SELECT completed_at AS start, tenant, project, key, model, pool, coalesce(charge_currency, cost_currency, 'XXX') AS currency,
       1 AS requests, charge_currency IS NULL AS unpriced, cost_currency IS NULL AS uncosted,
       input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns,
       coalesce(charge_milli, 0) AS charge_milli, coalesce(charge_pico, 0) AS charge_pico,
       CASE WHEN cost_currency = coalesce(charge_currency, cost_currency) THEN cost_milli ELSE 0 END AS cost_milli,
       CASE WHEN cost_currency = coalesce(charge_currency, cost_currency) THEN cost_pico ELSE 0 END AS cost_pico,
       no
FROM usage
UNION ALL
SELECT completed_at, tenant, project, key, model, pool, cost_currency, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, cost_milli, cost_pico, no
FROM usage WHERE cost_currency <> charge_currency;
