-- Signs of life of the whole platform; no tenant's rows are read here.

-- name: live_hosts
-- SessionHosts heard from within $1 seconds of database time, draining ones left out.
SELECT count(*) FROM hosts WHERE NOT draining AND heartbeat_at > now() - make_interval(secs => $1);
