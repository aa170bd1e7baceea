-- From here on usage_of_tenants may hold rows beyond the mark in summed_through: those of the next stretch, which are written in steps and count when the mark has gone over them.
-- A program from before this would write them a second time, and must not open these books.
UPDATE summed_through SET record = record;
