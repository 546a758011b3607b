-- outside a transaction
-- What references to a session that name its organisation meet. Built while sessions are made and closed; a build that
-- was broken off leaves an index that is not valid, and is begun anew.
DROP INDEX CONCURRENTLY IF EXISTS sessions_own;
CREATE UNIQUE INDEX CONCURRENTLY sessions_own ON sessions (org_id, id);
