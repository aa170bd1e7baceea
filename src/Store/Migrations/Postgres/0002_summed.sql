-- Sums of usage go over the records up to this number; the newest few are added up when they are asked for. One row.
CREATE TABLE summed_through (
  record bigint NOT NULL
);
INSERT INTO summed_through (record) SELECT coalesce(max(no), 0) FROM usage;

-- As before, with each record's number.
DROP VIEW usage_lines;
CREATE VIEW usage_lines AS
SELECT completed_at AS start, tenant, project, key, model, pool, coalesce(charge_currency, cost_currency, 'XXX') AS currency,
       1 AS requests, CASE WHEN charge_currency IS NULL THEN 1 ELSE 0 END AS unpriced, CASE WHEN cost_currency IS NULL THEN 1 ELSE 0 END AS uncosted,
       input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns,
       coalesce(charge_milli, 0) AS charge_milli, coalesce(charge_pico, 0) AS charge_pico,
       CASE WHEN cost_currency = coalesce(charge_currency, cost_currency) THEN cost_milli ELSE 0 END AS cost_milli,
       CASE WHEN cost_currency = coalesce(charge_currency, cost_currency) THEN cost_pico ELSE 0 END AS cost_pico,
       no
FROM usage
UNION ALL
SELECT completed_at, tenant, project, key, model, pool, cost_currency, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, cost_milli, cost_pico, no
FROM usage WHERE cost_currency <> charge_currency;

-- The writer looks up what a row refers to before it writes the row, and the store's check looks at all references again: done once more for every row by the database, it took longer than the rows.
ALTER TABLE usage
  DROP CONSTRAINT usage_tenant_fkey, DROP CONSTRAINT usage_project_fkey, DROP CONSTRAINT usage_key_fkey, DROP CONSTRAINT usage_model_fkey, DROP CONSTRAINT usage_deployment_fkey,
  DROP CONSTRAINT usage_pool_fkey, DROP CONSTRAINT usage_price_fkey, DROP CONSTRAINT usage_pool_rate_fkey;
ALTER TABLE holds
  DROP CONSTRAINT holds_tenant_fkey, DROP CONSTRAINT holds_project_fkey, DROP CONSTRAINT holds_key_fkey, DROP CONSTRAINT holds_model_fkey, DROP CONSTRAINT holds_deployment_fkey,
  DROP CONSTRAINT holds_pool_fkey, DROP CONSTRAINT holds_price_fkey;
ALTER TABLE entries
  DROP CONSTRAINT entries_txn_fkey, DROP CONSTRAINT entries_account_fkey, DROP CONSTRAINT entries_tenant_fkey, DROP CONSTRAINT entries_project_fkey, DROP CONSTRAINT entries_model_fkey,
  DROP CONSTRAINT entries_deployment_fkey, DROP CONSTRAINT entries_pool_fkey;
