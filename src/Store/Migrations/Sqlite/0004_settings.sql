-- What the front door agrees with a tenant, a project or a key beyond its budget (limits, scopes, reach): JSON that only it reads.
ALTER TABLE tenants  ADD COLUMN settings TEXT;
ALTER TABLE projects ADD COLUMN settings TEXT;
ALTER TABLE keys     ADD COLUMN settings TEXT;
