-- Jobs that are created or discarded.

-- Looks for the job of a key: 0 if the key is free or no longer counts, 2 if the same submission
-- has it, 3 if another one has, or -1 if its job cannot be read, with its newer format in `holder_format`.
CREATE FUNCTION {schema}.find_key(
    p_digest bytea, p_fingerprint bytea, p_now bigint,
    OUT verdict integer, OUT holder uuid, OUT holder_format integer
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    k {schema}.keys;
    j {schema}.jobs;
BEGIN
    verdict := 0;
    SELECT * INTO k FROM {schema}.keys WHERE digest = p_digest;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO j FROM {schema}.jobs WHERE id = k.job;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    holder_format := {schema}.refusal(j);
    IF holder_format IS NOT NULL THEN
        verdict := -1;
    ELSIF j.digest IS NOT NULL AND p_now < {schema}.wanted_until(j) THEN
        verdict := CASE WHEN k.fingerprint = p_fingerprint THEN 2 ELSE 3 END;
        holder := j.id;
    END IF;
END
$$;

-- Returns whether a create repeats the one of this job, and its answer still holds.
CREATE FUNCTION {schema}.repeats(
    j {schema}.jobs, p_handle bigint, p_epoch bigint, p_offered boolean, p_owner bytea,
    p_digest bytea, p_fingerprint bytea
) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT (p_offered OR j.state < 2 AND j.leased AND j.epoch = p_epoch)
        AND j.handle = p_handle
        AND j.digest IS NOT DISTINCT FROM p_digest
        AND (j.state > 1 OR j.owner IS NOT DISTINCT FROM p_owner)
        AND (p_digest IS NULL OR EXISTS (
            SELECT 1 FROM {schema}.keys
            WHERE digest = p_digest AND job = j.id AND fingerprint = p_fingerprint))
$$;

-- Stores jobs. The verdict of each: 1 if it is stored, 2 if `id` is the job of the same
-- submission, which is read, 3 if its key is that of another submission, 4 if its id is taken, 5 if
-- too many jobs wait, 6 if too many of its owner do, or -1 if the record in its way cannot be read.
-- `number` has the time of its creation, or the newer format of that record. Those that are stored
-- together have no rows; the last row, without a place, has the time.
CREATE FUNCTION {schema}.create_jobs(
    p_lease bigint, p_id uuid[], p_handle bigint[], p_state smallint[], p_offered boolean[],
    p_epoch bigint[], p_attempt integer[], p_reports bigint[], p_running_for bigint[],
    p_created bigint[], p_deadline bigint[], p_max_attempts integer[], p_keep bigint[],
    p_tombstone bigint[], p_protocol smallint[], p_pending_status smallint[], p_route bytea[],
    p_route_hash bigint[], p_owner bytea[], p_owner_hash bigint[], p_digest bytea[],
    p_fingerprint bytea[], p_request bytea[], p_request_format smallint[], p_notify bytea[],
    p_queue_limit bigint[], p_owner_limit bigint[]
) RETURNS SETOF {schema}.record LANGUAGE plpgsql VOLATILE {settings} AS $$
#variable_conflict use_column
DECLARE
    moment bigint := {schema}.job_now();
    made integer := 0;
    r {schema}.record;
    verdict integer;
    holder uuid;
    number bigint;
    w record;
    j {schema}.jobs;
    waiting bigint;
    own bigint;
BEGIN
    -- Jobs whose conditions are those of their ids are stored together.
    BEGIN
        WITH n AS (
            SELECT * FROM unnest(
                p_id, p_handle, p_state, p_offered, p_epoch, p_attempt, p_reports, p_running_for,
                p_created, p_deadline, p_max_attempts, p_keep, p_tombstone, p_protocol,
                p_pending_status, p_route, p_route_hash, p_owner, p_owner_hash, p_digest,
                p_request, p_request_format, p_notify, p_queue_limit
            ) AS n (
                id, handle, state, offered, epoch, attempt, reports, running_for,
                created, deadline, max_attempts, keep, tombstone, protocol,
                pending_status, route, route_hash, owner, owner_hash, digest,
                request, request_format, notify, queue_limit
            )
            WHERE NOT offered AND digest IS NULL AND queue_limit IS NULL
            ORDER BY id
        ), with_request AS (
            INSERT INTO {schema}.requests
            SELECT id, request FROM n WHERE request IS NOT NULL
        ), with_notify AS (
            INSERT INTO {schema}.notifications
            SELECT id, notify FROM n WHERE notify IS NOT NULL
        )
        INSERT INTO {schema}.jobs (
            id, handle, epoch, reports, lease_until, due, deadline, created, started, keep,
            tombstone, route_hash, owner_hash, attempt, max_attempts, request_len, format, state,
            protocol, pending_status, owner_kind, request_format, leased, has_notify, route, owner)
        SELECT
            id, handle, epoch, reports, moment + p_lease, moment + p_lease,
            least(coalesce(created, moment), moment) + deadline, coalesce(created, moment),
            CASE state WHEN 1 THEN moment - running_for END, keep,
            tombstone, route_hash, owner_hash, attempt, max_attempts,
            octet_length(request), 1, state,
            protocol, pending_status, (owner IS NOT NULL)::integer, request_format, true,
            notify IS NOT NULL, route, owner
        FROM n;
        GET DIAGNOSTICS made = ROW_COUNT;
    EXCEPTION WHEN unique_violation THEN
        -- Some ids are taken: all are looked at one after another.
        made := 0;
    END;

    -- Others are stored in the order of keys, so that none waits for another in turn.
    FOR w IN
        SELECT * FROM unnest(
            p_id, p_handle, p_state, p_offered, p_epoch, p_attempt, p_reports, p_running_for,
            p_created, p_deadline, p_max_attempts, p_keep, p_tombstone, p_protocol,
            p_pending_status, p_route, p_route_hash, p_owner, p_owner_hash, p_digest,
            p_fingerprint, p_request_format, p_notify, p_queue_limit,
            p_owner_limit
        ) WITH ORDINALITY AS n (
            id, handle, state, offered, epoch, attempt, reports, running_for,
            created, deadline, max_attempts, keep, tombstone, protocol,
            pending_status, route, route_hash, owner, owner_hash, digest,
            fingerprint, request_format, notify, queue_limit,
            owner_limit, position
        )
        WHERE made < cardinality(p_id)
            AND (made = 0 OR n.offered OR n.digest IS NOT NULL OR n.queue_limit IS NOT NULL)
        ORDER BY n.digest NULLS FIRST, n.position
    LOOP
        verdict := 0;
        WHILE verdict = 0 LOOP
            SELECT * INTO j FROM {schema}.jobs WHERE id = w.id FOR NO KEY UPDATE;
            IF FOUND THEN
                number := {schema}.refusal(j);
                IF number IS NOT NULL THEN
                    verdict := -1;
                    CONTINUE;
                ELSIF j.state <> 9 OR j.due > moment THEN
                    number := j.created;
                    verdict := CASE WHEN {schema}.repeats(
                        j, w.handle, w.epoch, w.offered, w.owner, w.digest, w.fingerprint
                    ) THEN 1 ELSE 4 END;
                    -- A key that was taken before another create took the id is free again.
                    DELETE FROM {schema}.keys WHERE digest = w.digest AND job = w.id
                        AND j.digest IS DISTINCT FROM w.digest;
                    CONTINUE;
                END IF;
                PERFORM {schema}.forget(j, moment);
            END IF;
            IF w.digest IS NOT NULL THEN
                -- A repeat changes nothing.
                SELECT f.verdict, f.holder, f.holder_format INTO verdict, holder, number
                FROM {schema}.find_key(w.digest, w.fingerprint, moment) AS f;
                CONTINUE WHEN verdict <> 0;
                -- Creates with the same key wait here for each other.
                INSERT INTO {schema}.keys VALUES (w.digest, w.id, w.fingerprint)
                ON CONFLICT (digest) DO NOTHING;
                IF NOT FOUND THEN
                    PERFORM 1 FROM {schema}.keys WHERE digest = w.digest FOR UPDATE;
                    CONTINUE WHEN NOT FOUND;
                    SELECT f.verdict, f.holder, f.holder_format INTO verdict, holder, number
                    FROM {schema}.find_key(w.digest, w.fingerprint, moment) AS f;
                    CONTINUE WHEN verdict <> 0;
                END IF;
            END IF;
            IF w.queue_limit IS NOT NULL THEN
                SELECT count(*) INTO waiting
                FROM (SELECT 1 FROM {schema}.jobs WHERE state = 0 LIMIT w.queue_limit) AS q;
                IF w.owner_limit IS NOT NULL THEN
                    SELECT count(*) INTO own FROM (
                        SELECT 1 FROM {schema}.jobs
                        WHERE owner_hash = w.owner_hash AND state = 0 LIMIT w.owner_limit
                    ) AS q;
                    IF own >= w.owner_limit THEN
                        verdict := 6;
                    END IF;
                END IF;
                IF verdict = 0 AND waiting >= w.queue_limit THEN
                    verdict := 5;
                END IF;
                IF verdict <> 0 THEN
                    -- The key was free, and stays so.
                    DELETE FROM {schema}.keys WHERE digest = w.digest AND job = w.id;
                    CONTINUE;
                END IF;
            END IF;
            j := NULL;
            j.id := w.id;
            j.deadline := least(coalesce(w.created, moment), moment) + w.deadline;
            j.due := moment + p_lease;
            j.owner_hash := w.owner_hash;
            j.route_hash := w.route_hash;
            IF w.offered THEN
                j := {schema}.free(j, moment, moment);
            END IF;
            number := coalesce(w.created, moment);
            INSERT INTO {schema}.jobs (
                id, handle, epoch, reports, lease_until, due, turn, deadline, created, started,
                keep, tombstone, route_hash, owner_hash, attempt, max_attempts, request_len,
                format, state, protocol, pending_status, owner_kind, request_format, leased,
                has_notify, digest, route, owner)
            VALUES (
                w.id, w.handle, w.epoch, w.reports,
                CASE WHEN NOT w.offered THEN moment + p_lease END, j.due, j.turn, j.deadline,
                number, CASE w.state WHEN 1 THEN moment - w.running_for END,
                w.keep, w.tombstone, w.route_hash, w.owner_hash, w.attempt, w.max_attempts,
                octet_length(p_request[w.position]), 1, w.state, w.protocol, w.pending_status,
                (w.owner IS NOT NULL)::integer, w.request_format, NOT w.offered,
                w.notify IS NOT NULL, w.digest, w.route, w.owner)
            ON CONFLICT (id) DO NOTHING;
            IF FOUND THEN
                verdict := 1;
                INSERT INTO {schema}.requests
                SELECT w.id, p_request[w.position] WHERE p_request[w.position] IS NOT NULL;
                INSERT INTO {schema}.notifications SELECT w.id, w.notify WHERE w.notify IS NOT NULL;
                UPDATE {schema}.keys SET job = w.id, fingerprint = w.fingerprint
                WHERE digest = w.digest AND job <> w.id;
            END IF;
        END LOOP;
        r := NULL;
        IF verdict = 2 THEN
            SELECT * INTO r FROM {schema}.read_jobs(ARRAY[holder], ARRAY[false]);
            r.id := holder;
        END IF;
        r.place := w.position - 1;
        r.verdict := verdict;
        r.number := number;
        RETURN NEXT r;
    END LOOP;
    r := NULL;
    r.number := moment;
    RETURN NEXT r;
END
$$;

-- Deletes a job that was never announced, and voids a create in flight. Returns 1 if it did, 2 if
-- a pending job has ended with it, 0 if the lease is lost, or -1 with a newer format.
CREATE FUNCTION {schema}.discard(
    p_lease bigint, p_id uuid, p_epoch bigint, OUT verdict integer, OUT newer integer
) LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    moment bigint := {schema}.job_now();
    j {schema}.jobs;
BEGIN
    LOOP
        SELECT * INTO j FROM {schema}.jobs WHERE id = p_id FOR UPDATE;
        IF FOUND THEN
            newer := {schema}.refusal(j);
            IF newer IS NOT NULL THEN
                verdict := -1;
            ELSIF j.state = 9 OR j.state < 2 AND j.epoch = p_epoch THEN
                verdict := CASE WHEN j.state = 9 THEN 1 ELSE 2 END;
                PERFORM {schema}.save({schema}.become_void(j, moment, moment + p_lease));
            ELSE
                verdict := 0;
            END IF;
            RETURN;
        END IF;
        INSERT INTO {schema}.jobs (
            id, handle, epoch, reports, due, deadline, created, keep, tombstone, route_hash,
            owner_hash, attempt, max_attempts, format, state, protocol, pending_status,
            owner_kind, leased, route)
        VALUES (p_id, 0, 1, 0, moment + p_lease, 0, 0, 0, 0, 0, 0, 0, 1, 1, 9, 0, 0, 0, false, '')
        ON CONFLICT (id) DO NOTHING;
        IF FOUND THEN
            verdict := 1;
            RETURN;
        END IF;
    END LOOP;
END
$$;
