-- Two who erase the last vectors of one automatic scenario at once, or one beside a learner that adds another: the second
-- waits for the first here, and its next statement sees what the first has done. Before, each saw the other's vector and
-- left the scenario without any.
CREATE OR REPLACE FUNCTION scenario_without_samples_goes() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- What was left so.
DELETE FROM scenarios c
WHERE c.kind = 'automatic' AND NOT EXISTS (SELECT FROM scenario_samples s WHERE s.scenario_id = c.id);
