-- References between rows of organisations name the organisation: a row cannot refer to another one's (docs/tenancy.md).
-- Not valid yet: that looks at no row, so the tables are held for a moment. 0022_4 looks at them, and holds nobody up.

CREATE UNIQUE INDEX projects_own ON projects (org_id, id);
CREATE UNIQUE INDEX integrations_own ON integrations (org_id, id);
CREATE UNIQUE INDEX scenarios_own ON scenarios (org_id, id);
CREATE UNIQUE INDEX scheduled_jobs_own ON scheduled_jobs (org_id, id);
CREATE UNIQUE INDEX bulk_imports_own ON bulk_imports (org_id, id);
CREATE UNIQUE INDEX privacy_requests_own ON privacy_requests (org_id, id);
CREATE UNIQUE INDEX service_tokens_own ON service_tokens (org_id, id);
DROP INDEX service_tokens_by_org;       -- the same, and not unique

DO $$
DECLARE
    child text;
    reference text;
    parent text;
BEGIN
    FOR child, reference, parent IN VALUES
        ('api_keys', 'project_id', 'projects'), ('project_integrations', 'project_id', 'projects'),
        ('scenarios', 'project_id', 'projects'), ('scheduled_jobs', 'project_id', 'projects'),
        ('secrets', 'project_id', 'projects'), ('sessions', 'project_id', 'projects'),
        ('tool_usage', 'project_id', 'projects'),
        ('blobs', 'session_id', 'sessions'), ('commands', 'session_id', 'sessions'),
        ('event_heads', 'session_id', 'sessions'), ('event_segments', 'session_id', 'sessions'),
        ('feedback', 'session_id', 'sessions'), ('pruned_journals', 'session_id', 'sessions'),
        ('runs', 'session_id', 'sessions'), ('scenario_samples', 'session_id', 'sessions'),
        ('secrets', 'session_id', 'sessions'), ('signals', 'session_id', 'sessions'),
        ('imports', 'integration_id', 'integrations'), ('integration_revision', 'integration_id', 'integrations'),
        ('project_integrations', 'integration_id', 'integrations'),
        ('tool_group_centroids', 'integration_id', 'integrations'),
        ('tool_group_progress', 'integration_id', 'integrations'), ('tool_index', 'integration_id', 'integrations'),
        ('tools', 'integration_id', 'integrations'),
        ('scenario_lessons', 'scenario_id', 'scenarios'), ('scenario_samples', 'scenario_id', 'scenarios'),
        ('scenario_users', 'scenario_id', 'scenarios'),
        ('bulk_import_documents', 'import_id', 'bulk_imports'),
        ('privacy_export_chunks', 'request_id', 'privacy_requests'),
        ('scheduled_occurrences', 'job_id', 'scheduled_jobs')
    LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (org_id, %I) REFERENCES %I (org_id, id) '
                       'ON DELETE CASCADE NOT VALID', child, child || '_' || reference || '_own', reference, parent);
    END LOOP;
END
$$;
ALTER TABLE api_keys
    ADD CONSTRAINT api_keys_maker_token_own FOREIGN KEY (org_id, maker_token)
        REFERENCES service_tokens (org_id, id) ON DELETE SET NULL (maker_token),
    ADD CONSTRAINT api_keys_retiring_token_own FOREIGN KEY (org_id, retiring_token)
        REFERENCES service_tokens (org_id, id) ON DELETE SET NULL (retiring_token);
