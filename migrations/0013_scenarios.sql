-- Scenarios, what runs taught them, feedback, and how much tools are used (docs/scenarios.md).

-- A query pattern and its tools: made by people (manual), or learned from a run that went well (automatic).
-- `bytea` columns hold envelopes.
CREATE TABLE scenarios (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    project_id  uuid REFERENCES projects ON DELETE CASCADE,     -- NULL: the whole organisation
    kind        text NOT NULL CHECK (kind IN ('manual', 'automatic')),
    priority    smallint NOT NULL,
    name        text NOT NULL DEFAULT '',
    enabled     boolean NOT NULL DEFAULT true,
    tool_ids    uuid[] NOT NULL CHECK (cardinality(tool_ids) BETWEEN 1 AND 200),  -- a set: sorted, each once
    samples     bytea,                                          -- encrypted JSON: what people wrote as examples
    instruction bytea,                                          -- encrypted: template for the planner
    created_by  bytea,                                          -- encrypted
    successes   double precision NOT NULL DEFAULT 0,            -- decayed, as of counted_at
    failures    double precision NOT NULL DEFAULT 0,
    counted_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CHECK (CASE kind WHEN 'manual' THEN priority BETWEEN 2 AND 100 AND samples IS NOT NULL AND name <> ''
                     ELSE priority = 1 AND samples IS NULL AND instruction IS NULL AND project_id IS NULL END)
);
CREATE INDEX scenarios_by_org ON scenarios (org_id, kind, id DESC);
CREATE INDEX scenarios_by_tool ON scenarios USING gin (tool_ids);
-- For the pruning of what nobody has had for a year.
CREATE INDEX scenarios_by_age ON scenarios (counted_at) WHERE kind = 'automatic';

-- Vectors of the samples; a manual scenario's belong to its text, an automatic one's is all that is left of a prompt.
-- Such a vector leaks text: it names run, session and person (keyed hash), and goes when one of them is erased.
CREATE TABLE scenario_samples (
    id              uuid PRIMARY KEY,
    org_id          uuid NOT NULL,
    project_id      uuid,                                       -- of the scenario, so that one scan is scoped by itself
    scenario_id     uuid NOT NULL REFERENCES scenarios ON DELETE CASCADE,
    automatic       boolean NOT NULL,
    embedding       vector(384) NOT NULL,                       -- L2-normalised
    embedding_model text NOT NULL,
    run_id          uuid REFERENCES runs ON DELETE CASCADE,
    session_id      uuid REFERENCES sessions ON DELETE CASCADE,
    subject         bytea,                                      -- sessions.external_user_hmac
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (automatic = (run_id IS NOT NULL) AND automatic = (session_id IS NOT NULL))
);
CREATE INDEX scenario_samples_by_org ON scenario_samples (org_id, embedding_model);
CREATE INDEX scenario_samples_by_scenario ON scenario_samples (scenario_id);
CREATE INDEX scenario_samples_by_run ON scenario_samples (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX scenario_samples_by_session ON scenario_samples (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX scenario_samples_by_subject ON scenario_samples (org_id, subject) WHERE subject IS NOT NULL;

-- Distinct people whose runs support an automatic scenario. Sessions without an external user are one: the empty hash.
CREATE TABLE scenario_users (
    scenario_id uuid NOT NULL REFERENCES scenarios ON DELETE CASCADE,
    org_id      uuid NOT NULL,
    subject     bytea NOT NULL,
    PRIMARY KEY (scenario_id, subject)
);
CREATE INDEX scenario_users_by_subject ON scenario_users (org_id, subject);

-- An automatic scenario lives by its vectors: with the last of them erased, nothing of it is kept. Of two who erase the
-- last ones at once, or one beside a learner that adds another, the second waits for the first here, and its next
-- statement sees what the first has done.
CREATE FUNCTION scenario_without_samples_goes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM scenarios c
    WHERE c.kind = 'automatic' AND c.id IN (SELECT scenario_id FROM gone WHERE automatic)
    ORDER BY c.id FOR UPDATE;
    DELETE FROM scenarios c
    USING (SELECT DISTINCT scenario_id FROM gone WHERE automatic) AS touched
    WHERE c.id = touched.scenario_id AND c.kind = 'automatic'
      AND NOT EXISTS (SELECT FROM scenario_samples s WHERE s.scenario_id = c.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER scenario_without_samples_goes AFTER DELETE ON scenario_samples
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION scenario_without_samples_goes();

-- Which scenarios a run had a part in, so that feedback on the run reaches the same. `share`: how much, 0 … 1.
CREATE TABLE scenario_lessons (
    run_id      uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    scenario_id uuid NOT NULL REFERENCES scenarios ON DELETE CASCADE,
    org_id      uuid NOT NULL,
    share       real NOT NULL CHECK (share BETWEEN 0 AND 1),
    PRIMARY KEY (run_id, scenario_id)
);
CREATE INDEX scenario_lessons_by_scenario ON scenario_lessons (scenario_id);

-- How often a project's runs have used a tool well: decayed, as of counted_at.
CREATE TABLE tool_usage (
    org_id     uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
    project_id uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    tool_id    uuid NOT NULL,
    uses       double precision NOT NULL,
    counted_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, tool_id)
);
CREATE INDEX tool_usage_by_tool ON tool_usage (org_id, tool_id);

-- One vote a run and person; another replaces it. `taught` is the vote that the scenarios hold already.
CREATE TABLE feedback (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL,
    project_id uuid NOT NULL,
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    run_id     uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    voter      bytea NOT NULL,                                  -- keyed hash of who voted
    value      text NOT NULL CHECK (value IN ('like', 'dislike')),
    comment    bytea,                                           -- encrypted
    learned    boolean NOT NULL DEFAULT false,
    taught     text CHECK (taught IN ('like', 'dislike')),
    taught_at  timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((taught IS NULL) = (taught_at IS NULL)),
    UNIQUE (run_id, voter)
);
CREATE INDEX feedback_by_session ON feedback (session_id);
CREATE INDEX feedback_to_learn ON feedback (updated_at) WHERE NOT learned;

-- Whether an ended run was learned from. What ended before there were scenarios teaches nothing.
ALTER TABLE runs ADD COLUMN learned boolean NOT NULL DEFAULT true;
ALTER TABLE runs ALTER COLUMN learned SET DEFAULT false;
UPDATE runs SET learned = false WHERE is_open;
CREATE INDEX runs_to_learn ON runs (updated_at) WHERE NOT is_open AND NOT learned;
