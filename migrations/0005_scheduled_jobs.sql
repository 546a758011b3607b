-- Prompts that are sent later: once, or again and again by a rule (docs/scheduling.md).

CREATE TABLE scheduled_jobs (
    id                 uuid PRIMARY KEY,
    org_id             uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    project_id         uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    target             text NOT NULL CHECK (target IN ('new_session_prompt', 'resume_session')),
    session_id         uuid,                            -- resume_session: no reference, such a job outlives its session
    payload            bytea NOT NULL,                  -- encrypted models.schedules.JobPayload
    secret_names       text[] NOT NULL DEFAULT '{}',
    tags               text[] NOT NULL DEFAULT '{}',    -- of the session to open, as are the next two
    settings           jsonb NOT NULL DEFAULT '{}',
    external_user_hmac bytea,
    rule               jsonb,                           -- models.schedules.Recurrence; NULL: once
    state              text NOT NULL DEFAULT 'scheduled'
                       CHECK (state IN ('scheduled', 'dispatched', 'failed', 'cancelled')),
    run_at             timestamptz NOT NULL,            -- the next occurrence; of an ended job the last one
    wake_at            timestamptz NOT NULL,            -- when a scheduler looks: then, or later after a failed attempt
    attempts           integer NOT NULL DEFAULT 0,      -- failed ones of the occurrence at run_at
    last_error         text,
    idempotency_key    text,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    CHECK ((target = 'resume_session') = (session_id IS NOT NULL)),
    UNIQUE (project_id, idempotency_key)
);
CREATE INDEX scheduled_jobs_due ON scheduled_jobs (wake_at) WHERE state = 'scheduled';
CREATE INDEX scheduled_jobs_by_project ON scheduled_jobs (project_id, id DESC);

-- What became of each occurrence. The key is the last line of defence: no occurrence is sent twice.
CREATE TABLE scheduled_occurrences (
    job_id     uuid NOT NULL REFERENCES scheduled_jobs ON DELETE CASCADE,
    due_at     timestamptz NOT NULL,
    org_id     uuid NOT NULL,
    project_id uuid NOT NULL,
    session_id uuid,                                    -- where it was sent, and as which message
    message_id uuid,
    error      text,                                    -- why it was given up
    at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, due_at),
    CHECK ((error IS NULL) = (message_id IS NOT NULL) AND (session_id IS NULL) = (message_id IS NULL))
);

-- Which message a run answers, so that whoever sent a message can tell how it went.
ALTER TABLE runs ADD COLUMN message_id uuid;
CREATE INDEX runs_by_message ON runs (message_id) WHERE message_id IS NOT NULL;
