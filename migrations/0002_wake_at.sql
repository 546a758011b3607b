-- When an open run needs its host again: a timer is due, a deadline passes, a question expires. NULL: it goes on by
-- itself, or waits for somebody without a deadline. Written by the append, in the hosts' clock, which also judges it.
ALTER TABLE runs ADD COLUMN wake_at timestamptz;

-- One look a second a host: it must touch what is due and nothing else, however many runs wait.
CREATE INDEX runs_due ON runs (wake_at) WHERE is_open AND wake_at IS NOT NULL;
