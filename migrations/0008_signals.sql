-- What a plan waits for from outside (`wait_for_signal`), from when its token was first given away or the wait began.
-- The row decides whether a signal came before its time was over, before its run ended, and whether it came twice.
CREATE TABLE signals (
    token_id    uuid PRIMARY KEY,                   -- derived from run and name; public
    org_id      uuid NOT NULL,
    project_id  uuid NOT NULL,
    session_id  uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    run_id      uuid NOT NULL,
    name        bytea NOT NULL,                     -- encrypted: a plan may compute it
    status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'delivered', 'expired')),
    expires_at  timestamptz,                        -- NULL: the wait has not begun
    payload_mac bytea,                              -- of what was delivered, under the token's own secret
    created_at  timestamptz NOT NULL DEFAULT now(),
    settled_at  timestamptz
);
CREATE INDEX signals_by_session ON signals (session_id, created_at);

-- Who waits for a credential: looked up when one is changed for a whole project or organisation.
CREATE INDEX runs_kept_out ON runs (org_id) WHERE is_open AND status = 'awaiting_reauth';
