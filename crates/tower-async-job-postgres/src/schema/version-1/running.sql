-- Changes in the name of a lease. Verdicts: 0 if the lease is lost, 1 if it is done, -1 if the
-- record cannot be read, with its newer format in `newer`. In batches, those that are done have no
-- row, unless it says more.

-- Locks rows in the order of their ids, so that two batches never wait for each other in turn.
-- Returns the addresses of those that can be read and, if epochs are given, are held by these
-- leases; nulls for the others. Changes by address, and lookups in lateral queries, are planned in
-- the same way however many rows there are.
CREATE FUNCTION {schema}.lock_jobs(p_id uuid[], p_epoch bigint[]) RETURNS tid[]
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN (
        SELECT array_agg(l.place ORDER BY l.position) FROM (
            SELECT w.position, j.place FROM (
                SELECT * FROM unnest(p_id, p_epoch) WITH ORDINALITY AS u (id, epoch, position)
                ORDER BY u.id
            ) AS w
            LEFT JOIN LATERAL (
                SELECT CASE WHEN {schema}.refusal(j) IS NULL
                    AND (p_epoch IS NULL OR j.leased AND j.epoch = w.epoch) THEN j.ctid END AS place
                FROM {schema}.jobs AS j WHERE j.id = w.id FOR NO KEY UPDATE
            ) AS j ON true
        ) AS l);
END
$$;

-- Returns the verdicts on leases that are not held.
CREATE FUNCTION {schema}.lost_leases(p_id uuid[], p_held tid[])
RETURNS TABLE (place integer, verdict integer, newer integer) LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    IF array_position(p_held, NULL) IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT (w.position - 1)::integer, CASE WHEN j.refusal IS NULL THEN 0 ELSE -1 END, j.refusal
    FROM unnest(p_id, p_held) WITH ORDINALITY AS w (id, held, position)
    LEFT JOIN LATERAL (
        SELECT {schema}.refusal(j) AS refusal FROM {schema}.jobs AS j WHERE j.id = w.id OFFSET 0
    ) AS j ON true
    WHERE w.held IS NULL;
END
$$;

-- Begins first runs.
CREATE FUNCTION {schema}.start_jobs(p_id uuid[], p_epoch bigint[])
RETURNS TABLE (place integer, verdict integer, newer integer)
LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    moment bigint := {schema}.job_now();
    held tid[] := {schema}.lock_jobs(p_id, p_epoch);
BEGIN
    -- A repeat changes nothing.
    UPDATE {schema}.jobs AS j SET state = 1,
        started = CASE j.state WHEN 0 THEN moment ELSE j.started END,
        attempt = j.attempt + (j.state = 0)::integer
    FROM unnest(held) AS w (held) WHERE j.ctid = w.held;
    RETURN QUERY SELECT * FROM {schema}.lost_leases(p_id, held);
END
$$;

-- Prolongs leases. The verdict of each that is not: 0 if it is lost, 2 if the job was cancelled, 3
-- if there is no record.
CREATE FUNCTION {schema}.renew(p_lease bigint, p_id uuid[], p_epoch bigint[])
RETURNS TABLE (place integer, verdict integer) LANGUAGE plpgsql VOLATILE {settings} AS $$
#variable_conflict use_column
DECLARE
    moment bigint := {schema}.job_now();
    held tid[] := {schema}.lock_jobs(p_id, p_epoch);
BEGIN
    UPDATE {schema}.jobs AS j SET lease_until = moment + p_lease
    FROM unnest(held) AS w (held) WHERE j.ctid = w.held;
    RETURN QUERY
    SELECT (w.position - 1)::integer, coalesce(j.fate, 3)
    FROM unnest(p_id, held) WITH ORDINALITY AS w (id, held, position)
    LEFT JOIN LATERAL (
        SELECT CASE WHEN {schema}.refusal(j) IS NULL THEN {schema}.fate(j, moment) ELSE 0 END
            AS fate
        FROM {schema}.jobs AS j WHERE j.id = w.id OFFSET 0
    ) AS j ON true
    WHERE w.held IS NULL;
END
$$;

-- The fate of a lease that is not held.
CREATE FUNCTION {schema}.fate(j {schema}.jobs, p_now bigint) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN j.id IS NULL OR j.state = 9 AND j.due <= p_now THEN 3
        WHEN j.state = 6 THEN 2
        ELSE 0
    END
$$;

-- Stores the reports of jobs. Fields that are null leave the stored ones.
CREATE FUNCTION {schema}.store_reports(
    p_id uuid[], p_progress bytea[], p_partial bytea[], p_metadata bytea[], p_checkpoint bytea[],
    p_done uuid[]
) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO {schema}.reports AS r (job, progress, partial, metadata, checkpoint)
    SELECT w.id, w.progress, w.partial, w.metadata, w.checkpoint
    FROM unnest(p_id, p_progress, p_partial, p_metadata, p_checkpoint)
        AS w (id, progress, partial, metadata, checkpoint)
    WHERE w.id = ANY (p_done)
        AND coalesce(w.progress, w.partial, w.metadata, w.checkpoint) IS NOT NULL
    ON CONFLICT (job) DO UPDATE SET
        progress = coalesce(excluded.progress, r.progress),
        partial = coalesce(excluded.partial, r.partial),
        metadata = coalesce(excluded.metadata, r.metadata),
        checkpoint = coalesce(excluded.checkpoint, r.checkpoint);
END
$$;

CREATE FUNCTION {schema}.report_jobs(
    p_id uuid[], p_epoch bigint[], p_progress bytea[], p_partial bytea[], p_metadata bytea[],
    p_checkpoint bytea[]
) RETURNS TABLE (place integer, verdict integer, newer integer)
LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    held tid[] := {schema}.lock_jobs(p_id, p_epoch);
    done uuid[];
BEGIN
    WITH changed AS (
        UPDATE {schema}.jobs AS j SET reported = true,
            reports = j.reports
                + (coalesce(w.progress, w.partial, w.metadata) IS NOT NULL)::integer
        FROM unnest(held, p_progress, p_partial, p_metadata)
            AS w (held, progress, partial, metadata)
        WHERE j.ctid = w.held
        RETURNING j.id
    )
    SELECT array_agg(id) INTO done FROM changed;
    PERFORM {schema}.store_reports(p_id, p_progress, p_partial, p_metadata, p_checkpoint, done);
    RETURN QUERY SELECT * FROM {schema}.lost_leases(p_id, held);
END
$$;

-- Ends jobs with their outcomes and last reports. Those that are ended have no row, unless a
-- notification has become due.
CREATE FUNCTION {schema}.finish_jobs(
    p_id uuid[], p_epoch bigint[], p_state smallint[], p_data bytea[], p_body_len bigint[],
    p_chunks integer[], p_progress bytea[], p_partial bytea[], p_metadata bytea[]
) RETURNS TABLE (place integer, verdict integer, newer integer, is_due boolean)
LANGUAGE plpgsql VOLATILE {settings} AS $$
#variable_conflict use_column
DECLARE
    moment bigint := {schema}.job_now();
    held tid[] := {schema}.lock_jobs(p_id, p_epoch);
    done uuid[];
    with_report uuid[];
    stale uuid[];
    due uuid[];
BEGIN
    WITH changed AS (
        UPDATE {schema}.jobs AS j SET
            state = w.state, leased = false, ended = moment, due = moment + j.keep,
            body_len = w.body_len, chunks = w.chunks,
            party = NULL, party_until = NULL, resumed = false,
            lease_until = CASE WHEN j.has_notify THEN moment ELSE j.lease_until END,
            notify_due = CASE WHEN j.has_notify THEN moment END,
            notify_state = CASE WHEN j.has_notify THEN w.state END,
            reported = j.reported OR w.visible, reports = j.reports + w.visible::integer
        FROM (
            SELECT held, state, data, body_len, chunks,
                coalesce(progress, partial, metadata) IS NOT NULL AS visible
            FROM unnest(held, p_state, p_data, p_body_len, p_chunks, p_progress, p_partial,
                p_metadata)
                AS u (held, state, data, body_len, chunks, progress, partial, metadata)
        ) AS w
        WHERE j.ctid = w.held
        RETURNING j.id, w.data, j.request_len, j.reported, j.has_notify,
            j.chunked AND j.chunks IS NULL AS is_stale
    ), with_result AS (
        INSERT INTO {schema}.results SELECT id, data FROM changed
    ), without_request AS (
        DELETE FROM {schema}.requests
        WHERE job IN (SELECT id FROM changed WHERE request_len IS NOT NULL)
    )
    SELECT array_agg(id), array_agg(id) FILTER (WHERE reported),
        array_agg(id) FILTER (WHERE is_stale), array_agg(id) FILTER (WHERE has_notify)
    INTO done, with_report, stale, due FROM changed;

    IF with_report IS NOT NULL THEN
        PERFORM {schema}.store_reports(
            p_id, p_progress, p_partial, p_metadata, array_fill(NULL::bytea, ARRAY[1]), done);
        UPDATE {schema}.reports SET checkpoint = NULL
        WHERE job = ANY (with_report) AND checkpoint IS NOT NULL;
    END IF;
    IF stale IS NOT NULL THEN
        UPDATE {schema}.bodies SET linger = moment + 600000000
        WHERE job = ANY (stale) AND linger IS NULL;
        UPDATE {schema}.jobs SET chunked = false WHERE id = ANY (stale);
    END IF;
    IF due IS NULL AND array_position(held, NULL) IS NULL THEN
        RETURN;
    END IF;
    -- A repeat is known by the epoch and the state of the end; contents are not compared.
    RETURN QUERY
    SELECT (w.position - 1)::integer,
        CASE WHEN w.held IS NOT NULL OR j.refusal IS NULL AND j.epoch = w.epoch
                AND j.state = w.state THEN 1
            WHEN j.refusal IS NOT NULL THEN -1 ELSE 0 END,
        j.refusal,
        w.held IS NOT NULL
    FROM unnest(p_id, p_epoch, p_state, held) WITH ORDINALITY
        AS w (id, epoch, state, held, position)
    LEFT JOIN LATERAL (
        SELECT j.epoch, j.state, {schema}.refusal(j) AS refusal
        FROM {schema}.jobs AS j WHERE j.id = w.id OFFSET 0
    ) AS j ON true
    WHERE w.held IS NULL OR w.id = ANY (due);
END
$$;

-- Writes a chunk. It is durable, since a run may outlive a crash of the server, and end its job after it.
CREATE FUNCTION {schema}.write_chunk(
    p_id uuid, p_epoch bigint, p_number integer, p_data bytea,
    OUT verdict integer, OUT newer integer
) LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    j {schema}.jobs;
BEGIN
    verdict := 0;
    SELECT * INTO j FROM {schema}.jobs WHERE id = p_id FOR NO KEY UPDATE;
    newer := {schema}.refusal(j);
    IF newer IS NOT NULL AND j.id IS NOT NULL THEN
        verdict := -1;
    ELSIF j.leased AND j.epoch = p_epoch THEN
        verdict := 1;
        IF NOT j.chunked THEN
            INSERT INTO {schema}.bodies (job, epoch) VALUES (p_id, p_epoch) ON CONFLICT DO NOTHING;
            UPDATE {schema}.jobs SET chunked = true WHERE id = p_id;
        END IF;
        INSERT INTO {schema}.chunks (job, epoch, number, data)
        VALUES (p_id, p_epoch, p_number, p_data)
        ON CONFLICT (job, epoch, number) DO UPDATE SET data = excluded.data;
    END IF;
END
$$;

-- Releases leases. The verdict of each: 0 if it is lost, 1 if the job is queued again, 2 if it
-- continues outside, or 10 more than the state in which it has ended.
CREATE FUNCTION {schema}.release_jobs(
    p_id uuid[], p_epoch bigint[], p_after bigint, p_counts boolean, p_party bytea, p_until bigint
) RETURNS TABLE (place integer, verdict integer, is_due boolean)
LANGUAGE plpgsql VOLATILE {settings} AS $$
#variable_conflict use_column
DECLARE
    moment bigint := {schema}.job_now();
    w record;
    j {schema}.jobs;
BEGIN
    FOR w IN
        SELECT * FROM unnest(p_id, p_epoch) WITH ORDINALITY AS n (id, epoch, position)
        ORDER BY n.id
    LOOP
        place := w.position - 1;
        verdict := 0;
        is_due := false;
        SELECT * INTO j FROM {schema}.jobs WHERE id = w.id FOR NO KEY UPDATE;
        IF j.leased AND j.epoch = w.epoch AND {schema}.refusal(j) IS NULL THEN
            j := {schema}.lapse(
                j, moment, moment + p_after, p_counts, p_party, moment + p_until);
            PERFORM {schema}.save(j);
            verdict := CASE
                WHEN j.state > 1 THEN 10 + j.state WHEN j.party IS NOT NULL THEN 2 ELSE 1 END;
            is_due := j.turn IS NOT NULL OR j.notify_due IS NOT NULL;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
