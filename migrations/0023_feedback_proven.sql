-- Whether an issuer had signed in whoever voted on a run (docs/scenarios.md). What a key's holder says in somebody's name
-- does not replace what they said themselves. Votes from before were never proven.
ALTER TABLE feedback ADD COLUMN proven boolean NOT NULL DEFAULT false;
