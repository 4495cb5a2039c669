-- Reads.

-- Reads jobs, and those results that are wanted.
CREATE FUNCTION {schema}.read_jobs(p_id uuid[], p_with_result boolean[])
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
        j.notify_state, j.notify_attempts, j.notify_due IS NOT NULL, NULL::integer, NULL::bigint
    FROM unnest(p_id, p_with_result) WITH ORDINALITY AS w (id, with_result, position)
    CROSS JOIN LATERAL (
        SELECT *, {schema}.refusal(j) AS refusal, {schema}.shown(j, moment) AS shown
        FROM {schema}.jobs AS j WHERE j.id = w.id OFFSET 0
    ) AS j
    LEFT JOIN LATERAL (
        SELECT * FROM {schema}.reports WHERE j.reported AND job = j.id OFFSET 0) AS r ON true;
END
$$;

-- Reads the job of a key. Its `verdict` is that of `find_key`.
CREATE FUNCTION {schema}.look_up(p_digest bytea, p_fingerprint bytea)
RETURNS SETOF {schema}.record LANGUAGE plpgsql STABLE {settings} AS $$
DECLARE
    r {schema}.record;
    verdict integer;
    holder uuid;
    newer integer;
BEGIN
    SELECT f.verdict, f.holder, f.holder_format INTO verdict, holder, newer
    FROM {schema}.find_key(p_digest, p_fingerprint, {schema}.job_now()) AS f;
    IF verdict = 2 THEN
        SELECT * INTO r FROM {schema}.read_jobs(ARRAY[holder], ARRAY[false]);
    END IF;
    r.verdict := verdict;
    r.refusal := coalesce(newer, r.refusal);
    RETURN NEXT r;
END
$$;

-- Returns those of the jobs that are not pending.
CREATE FUNCTION {schema}.ended_jobs(p_id uuid[]) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE {settings} AS $$
BEGIN
    RETURN QUERY
    SELECT w.id FROM unnest(p_id) AS w (id)
    WHERE (SELECT j.state < 2 FROM {schema}.jobs AS j WHERE j.id = w.id) IS NOT TRUE;
END
$$;

-- Returns whether a task can be claimed.
CREATE FUNCTION {schema}.has_work() RETURNS boolean LANGUAGE plpgsql STABLE {settings} AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM {schema}.jobs WHERE turn IS NOT NULL)
        OR EXISTS (SELECT 1 FROM {schema}.jobs WHERE notify_due <= {schema}.job_now());
END
$$;

-- Reads a chunk. One without a job is kept for longer from then on, which is noted once a second.
CREATE FUNCTION {schema}.read_chunk(p_id uuid, p_epoch bigint, p_number integer) RETURNS bytea
LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    wanted bigint := {schema}.job_now() + 600000000;
    content bytea;
BEGIN
    SELECT data INTO content FROM {schema}.chunks
    WHERE job = p_id AND epoch = p_epoch AND number = p_number;
    IF FOUND THEN
        UPDATE {schema}.bodies SET linger = wanted
        WHERE job = p_id AND epoch = p_epoch AND linger < wanted - 1000000;
    END IF;
    RETURN content;
END
$$;

CREATE FUNCTION {schema}.find(p_handle bigint) RETURNS TABLE (id uuid, refusal integer)
LANGUAGE plpgsql STABLE {settings} AS $$
#variable_conflict use_column
DECLARE
    moment bigint := {schema}.job_now();
BEGIN
    RETURN QUERY
    SELECT j.id, {schema}.refusal(j) FROM {schema}.jobs AS j
    WHERE j.handle = p_handle
        AND ({schema}.refusal(j) IS NOT NULL OR {schema}.shown(j, moment) IS NOT NULL);
END
$$;

-- Scans some jobs from a place on, newest first, and returns those that match or cannot be read,
-- and a last row without an id, with the place up to which the scan came, if there is more.
CREATE FUNCTION {schema}.list(
    p_created bigint, p_handle bigint, p_state smallint, p_route bytea, p_owner_hash bigint,
    p_owner bytea, p_scan integer, p_limit integer
) RETURNS SETOF {schema}.record LANGUAGE plpgsql STABLE {settings} AS $$
#variable_conflict use_column
DECLARE
    moment bigint := {schema}.job_now();
    j {schema}.jobs;
    places refcursor;
    r {schema}.record;
    scanned integer := 0;
    listed uuid[] := '{}';
    refusal integer;
BEGIN
    IF p_owner IS NULL THEN
        OPEN places FOR
            SELECT * FROM {schema}.jobs WHERE (created, handle) < (p_created, p_handle)
            ORDER BY created DESC, handle DESC LIMIT p_scan;
    ELSE
        OPEN places FOR
            SELECT * FROM {schema}.jobs
            WHERE owner_hash = p_owner_hash AND owner_hash <> 0
                AND (created, handle) < (p_created, p_handle)
            ORDER BY created DESC, handle DESC LIMIT p_scan;
    END IF;
    LOOP
        FETCH places INTO j;
        EXIT WHEN NOT FOUND;
        scanned := scanned + 1;
        r.created := j.created;
        r.handle := j.handle;
        refusal := {schema}.refusal(j);
        IF refusal IS NOT NULL OR (
            {schema}.shown(j, moment) IS NOT NULL
            AND (p_state IS NULL OR {schema}.shown(j, moment) = p_state)
            AND (p_route IS NULL OR j.route = p_route)
            AND (p_owner IS NULL
                OR j.owner = CASE j.owner_kind WHEN 2 THEN sha256(p_owner) ELSE p_owner END)
        ) THEN
            listed := array_append(listed, j.id);
            EXIT WHEN cardinality(listed) >= p_limit;
        END IF;
    END LOOP;
    CLOSE places;
    RETURN QUERY SELECT * FROM {schema}.read_jobs(
        listed, array_fill(false, ARRAY[cardinality(listed)])) AS l
    ORDER BY l.created DESC, l.handle DESC;
    IF cardinality(listed) >= p_limit OR scanned >= p_scan THEN
        r.moment := moment;
        RETURN NEXT r;
    END IF;
END
$$;
