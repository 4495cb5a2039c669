-- Reads.

-- Reads jobs, and those results that are wanted. `number` is the time until which a worker has the
-- job.
CREATE OR REPLACE FUNCTION {schema}.read_jobs(p_id uuid[], p_with_result boolean[])
RETURNS SETOF {schema}.record LANGUAGE plpgsql STABLE {settings} AS $$
#variable_conflict use_column
DECLARE
    moment bigint := {schema}.job_now();
BEGIN
    RETURN QUERY
    SELECT (w.position - 1)::integer, moment, j.refusal, j.id, j.handle, j.shown, j.state, j.epoch,
        j.reports, j.attempt, j.created, j.started, j.ended, j.protocol, j.pending_status, j.route,
        j.owner_kind, j.owner, j.body_len, j.chunks, j.reason,
        r.progress, r.partial, r.metadata,
        CASE WHEN w.with_result THEN (SELECT data FROM {schema}.results WHERE job = j.id) END,
        j.notify_state, j.notify_attempts, j.notify_due IS NOT NULL, NULL::integer,
        CASE WHEN j.leased THEN j.lease_until END
    FROM unnest(p_id, p_with_result) WITH ORDINALITY AS w (id, with_result, position)
    CROSS JOIN LATERAL (
        SELECT *, {schema}.refusal(j) AS refusal, {schema}.shown(j, moment) AS shown
        FROM {schema}.jobs AS j WHERE j.id = w.id OFFSET 0
    ) AS j
    LEFT JOIN LATERAL (
        SELECT * FROM {schema}.reports WHERE j.reported AND job = j.id OFFSET 0) AS r ON true;
END
$$;
