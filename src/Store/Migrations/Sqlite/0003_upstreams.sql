-- What a request bought from upstreams: every attempt with its tokens and rates, and how the upstream's usage stands to our own count (Books, UpstreamUse). Null: the built-in engine serves it.
ALTER TABLE holds ADD COLUMN upstream TEXT;
ALTER TABLE usage ADD COLUMN upstream TEXT;
