-- Results that are too large for an event. Chunks are sealed one by one, each bound to its blob, its position and
-- whether it is the last (docs/large-results.md). `kept` is set by the append whose event references the blob.
CREATE TABLE blobs (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL,
    project_id uuid NOT NULL,
    session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
    run_id     uuid NOT NULL,
    purpose    text NOT NULL CHECK (purpose IN ('result', 'fragment')),
    size       bigint,                              -- bytes of plaintext; NULL while it is written
    chunks     integer,
    detail     bytea,                               -- encrypted {sha256, mediaType}
    kept       boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX blobs_by_session ON blobs (session_id, run_id);
CREATE INDEX blobs_unkept ON blobs (created_at) WHERE NOT kept;
CREATE INDEX blobs_fragments ON blobs (created_at) WHERE purpose = 'fragment';

CREATE TABLE blob_chunks (
    blob_id  uuid NOT NULL REFERENCES blobs ON DELETE CASCADE,
    position integer NOT NULL,
    payload  bytea NOT NULL,                        -- encrypted
    PRIMARY KEY (blob_id, position)
);
-- Ciphertext does not compress.
ALTER TABLE blob_chunks ALTER COLUMN payload SET STORAGE EXTERNAL;
