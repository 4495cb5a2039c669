-- Changes that become due by the passing of time, and claims.

-- The events that the caller notifies of after the commit, and the number of jobs that ended since
-- their leases lapsed.
CREATE TYPE {schema}.events AS (more boolean, work boolean, ended uuid[], lost integer);

-- Performs at most `p_limit` changes that are due. It repeats the condition of each on the locked
-- row, so that none is made from an older state.
CREATE FUNCTION {schema}.expire(p_now bigint, p_lease bigint, p_limit integer)
RETURNS {schema}.events LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    e {schema}.events;
    j {schema}.jobs;
    before smallint;
    seen integer := 0;
BEGIN
    e.more := false;
    e.work := false;
    e.ended := '{}';
    e.lost := 0;
    -- Leases are looked at no later than at their ends. Those that were renewed get a later look,
    -- and after a clock was set back, none lasts for longer than a lease from now.
    FOR j IN
        SELECT * FROM (
            SELECT * FROM {schema}.jobs
            WHERE leased AND due <= p_now AND format <= 1
            ORDER BY due LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
        ) AS late
        UNION ALL
        SELECT * FROM (
            SELECT * FROM {schema}.jobs
            WHERE leased AND due > p_now + p_lease AND format <= 1
            ORDER BY due LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
        ) AS future
    LOOP
        seen := seen + 1;
        IF {schema}.refusal(j) IS NOT NULL THEN
            PERFORM {schema}.end_unreadable(j, p_now);
            e.ended := array_append(e.ended, j.id);
            CONTINUE;
        END IF;
        IF j.lease_until > p_now THEN
            j.lease_until := least(j.lease_until, p_now + p_lease);
            UPDATE {schema}.jobs SET lease_until = j.lease_until, due = j.lease_until
            WHERE id = j.id;
            CONTINUE;
        END IF;
        j := {schema}.lapse_late(j, p_now);
        PERFORM {schema}.save(j);
        e.lost := e.lost + (j.state IN (3, 5))::integer;
        e.work := e.work OR j.turn IS NOT NULL OR j.state > 1 AND j.has_notify;
        IF j.state > 1 THEN
            e.ended := array_append(e.ended, j.id);
        END IF;
    END LOOP;
    -- After a clock was set back, no job waits for longer than it would have.
    FOR j IN
        SELECT * FROM (
            SELECT * FROM {schema}.jobs
            WHERE state = 0 AND NOT leased AND turn IS NULL AND due > p_now AND format <= 1
            ORDER BY due DESC LIMIT p_limit
        ) AS delayed
        WHERE lease_until > p_now AND party IS NULL
    LOOP
        UPDATE {schema}.jobs
        SET due = least(p_now + due - lease_until, deadline), lease_until = p_now
        WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {schema}.jobs
            WHERE id = j.id AND lease_until > p_now AND state = 0 AND NOT leased AND turn IS NULL
            FOR UPDATE SKIP LOCKED));
    END LOOP;
    FOR j IN
        SELECT * FROM {schema}.jobs
        WHERE NOT leased AND due <= p_now AND format <= 1
        ORDER BY due LIMIT p_limit FOR UPDATE SKIP LOCKED
    LOOP
        seen := seen + 1;
        before := j.state;
        IF {schema}.refusal(j) IS NOT NULL THEN
            PERFORM {schema}.end_unreadable(j, p_now);
            e.ended := array_append(e.ended, j.id);
            CONTINUE;
        ELSIF j.state = 9 OR j.state = 8 AND (j.ended IS NULL OR j.ended <= p_now - p_lease) THEN
            PERFORM {schema}.forget(j, p_now);
            CONTINUE;
        ELSIF j.state = 8 THEN
            -- Its run may still be alive, and must not store it again.
            j := {schema}.become_void(j, p_now, p_now + p_lease);
        ELSIF j.state = 0 AND j.party IS NULL AND j.turn IS NULL AND p_now < j.deadline THEN
            j := {schema}.free(j, p_now, p_now);
        ELSIF j.state < 2 THEN
            j := {schema}.lapse_late(j, p_now);
            e.lost := e.lost + (j.state IN (3, 5))::integer;
        ELSE
            IF p_now >= {schema}.wanted_until(j)
                OR j.digest IS NULL AND j.notify_due IS NULL THEN
                j := {schema}.forget_key({schema}.forget_notify(j));
            END IF;
            j := {schema}.drop_result(j, p_now);
        END IF;
        PERFORM {schema}.save(j);
        IF before < 2 AND j.state > 1 THEN
            e.ended := array_append(e.ended, j.id);
            e.work := e.work OR j.has_notify;
        END IF;
        e.work := e.work OR j.turn IS NOT NULL;
        -- Without retention, the next change is due at once.
        e.more := e.more OR j.due <= p_now;
    END LOOP;
    e.more := e.more OR seen >= p_limit;
    RETURN e;
END
$$;

-- Claims tasks. The kinds of rows: 0 is a claim, 1 a job that was ended since it cannot be read, 2
-- a job that has ended otherwise, 3 the last row: its `epoch` is the time of the next task, or 0
-- if there is more to claim now, its `attempt` is 1 if other workers have something to do, and its
-- `max_attempts` is the number of jobs that ended since their leases lapsed.
CREATE FUNCTION {schema}.claim(
    p_lease bigint, p_notify boolean, p_limit integer, p_max_bytes bigint, p_routes bytea[],
    p_route_hashes bigint[], p_newest smallint, p_not_after bigint
) RETURNS SETOF {schema}.task LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    moment bigint := {schema}.job_now();
    e {schema}.events;
    t {schema}.task;
    j {schema}.jobs;
    ready refcursor;
    content bytea;
    bytes bigint := 0;
    claimed integer := 0;
    last_turn bigint;
    is_whole boolean;
    has_work boolean := false;
BEGIN
    t.kind := 3;
    t.moment := moment;
    t.attempt := 0;
    t.max_attempts := 0;
    IF moment > p_not_after THEN
        RETURN NEXT t;
        RETURN;
    END IF;
    e := {schema}.expire(moment, p_lease, 256);
    is_whole := NOT e.more;
    -- One more than may be claimed, to find out whether there are more.
    IF p_notify THEN
        OPEN ready FOR
            SELECT * FROM {schema}.jobs
            WHERE notify_due <= moment AND format <= 1
                AND (p_routes IS NULL OR route = ANY (p_routes))
            ORDER BY notify_due LIMIT p_limit + 1 FOR NO KEY UPDATE SKIP LOCKED;
    ELSIF p_routes IS NULL THEN
        OPEN ready FOR
            SELECT * FROM {schema}.jobs
            WHERE turn IS NOT NULL AND format <= 1
                AND (request_format IS NULL OR request_format <= p_newest)
            ORDER BY turn LIMIT p_limit + 1 FOR NO KEY UPDATE SKIP LOCKED;
    ELSE
        OPEN ready FOR
            SELECT r.* FROM unnest(p_routes, p_route_hashes) AS q (route, hash)
            CROSS JOIN LATERAL (
                SELECT * FROM {schema}.jobs
                WHERE route_hash = q.hash AND turn IS NOT NULL AND route = q.route
                    AND format <= 1
                    AND (request_format IS NULL OR request_format <= p_newest)
                ORDER BY turn LIMIT p_limit + 1 FOR NO KEY UPDATE SKIP LOCKED
            ) AS r
            ORDER BY r.turn LIMIT p_limit + 1;
    END IF;
    LOOP
        FETCH ready INTO j;
        EXIT WHEN NOT FOUND;
        IF claimed = p_limit THEN
            is_whole := false;
            EXIT;
        END IF;
        IF {schema}.refusal(j) IS NOT NULL THEN
            IF p_notify THEN
                UPDATE {schema}.jobs SET notify_due = NULL WHERE id = j.id;
            ELSE
                PERFORM {schema}.end_unreadable(j, moment);
            END IF;
            RETURN NEXT {schema}.task_of(1, j, moment, NULL);
            claimed := claimed + 1;
            CONTINUE;
        END IF;
        IF NOT p_notify THEN
            bytes := bytes + coalesce(j.request_len, 0);
            IF bytes > p_max_bytes AND claimed > 0 THEN
                is_whole := false;
                EXIT;
            END IF;
            claimed := claimed + 1;
            last_turn := j.turn;
            j := {schema}.give_up(j, moment);
            IF j.state < 2 THEN
                SELECT data INTO content FROM {schema}.requests WHERE job = j.id;
                IF content IS NOT NULL AND j.request_format <> 0 THEN
                    j.attempt := j.attempt + 1;
                    j.started := moment;
                    j := {schema}.hand_over(j, moment, p_lease);
                    RETURN NEXT {schema}.task_of(0, j, moment, content);
                    CONTINUE;
                END IF;
                j := {schema}.revoke(j, moment, 3, 3);
                RETURN NEXT {schema}.task_of(1, j, moment, NULL);
            END IF;
            has_work := has_work OR j.has_notify;
            PERFORM {schema}.save(j);
            RETURN NEXT {schema}.task_of(2, j, moment, NULL);
            CONTINUE;
        END IF;
        SELECT data INTO content FROM {schema}.notifications WHERE job = j.id;
        bytes := bytes + coalesce(octet_length(content), 0);
        IF bytes > p_max_bytes AND claimed > 0 THEN
            is_whole := false;
            EXIT;
        END IF;
        claimed := claimed + 1;
        IF content IS NULL OR j.ended IS NULL OR j.notify_state IS NULL THEN
            UPDATE {schema}.jobs SET notify_due = NULL, has_notify = false WHERE id = j.id;
            RETURN NEXT {schema}.task_of(1, j, moment, NULL);
            CONTINUE;
        END IF;
        j.notify_due := moment + p_lease;
        j.notify_attempts := j.notify_attempts + 1;
        UPDATE {schema}.jobs
        SET notify_due = j.notify_due, notify_attempts = j.notify_attempts, lease_until = moment
        WHERE id = j.id;
        j.deadline := {schema}.wanted_until(j);
        j.state := j.notify_state;
        j.epoch := j.notify_attempts;
        j.attempt := j.notify_attempts;
        RETURN NEXT {schema}.task_of(0, j, moment, content);
    END LOOP;
    CLOSE ready;
    -- No other transaction waits for it.
    PERFORM setval('{schema}.turns'::regclass, last_turn)
    FROM {schema}.turns WHERE last_value < last_turn;
    FOREACH t.id IN ARRAY e.ended LOOP
        t.kind := 2;
        RETURN NEXT t;
    END LOOP;
    t.kind := 3;
    t.id := NULL;
    t.attempt := (e.work OR has_work)::integer;
    t.max_attempts := e.lost;
    IF NOT is_whole AND p_limit > 0 THEN
        t.epoch := 0;
    ELSIF p_notify THEN
        SELECT notify_due INTO t.epoch FROM {schema}.jobs WHERE notify_due > moment
        ORDER BY notify_due LIMIT 1;
    ELSE
        SELECT due INTO t.epoch FROM {schema}.jobs
        WHERE state = 0 AND NOT leased AND turn IS NULL AND due > moment ORDER BY due LIMIT 1;
    END IF;
    RETURN NEXT t;
END
$$;

-- Deletes some chunks that have lingered for long enough; returns whether there are more.
CREATE FUNCTION {schema}.collect(p_now bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    b {schema}.bodies;
    quota integer := 64;
    deleted integer;
BEGIN
    FOR b IN
        SELECT * FROM {schema}.bodies WHERE linger <= p_now
        ORDER BY linger LIMIT quota FOR UPDATE SKIP LOCKED
    LOOP
        DELETE FROM {schema}.chunks WHERE job = b.job AND epoch = b.epoch AND number IN (
            SELECT number FROM {schema}.chunks
            WHERE job = b.job AND epoch = b.epoch ORDER BY number LIMIT quota);
        GET DIAGNOSTICS deleted = ROW_COUNT;
        quota := quota - deleted - 1;
        IF quota <= 0 THEN
            RETURN true;
        END IF;
        DELETE FROM {schema}.bodies WHERE job = b.job AND epoch = b.epoch;
    END LOOP;
    RETURN false;
END
$$;

-- Performs some changes that are due, in the name of a node, and counts nodes and, unless there
-- are more changes to make, pending jobs; `oldest` is the creation of the next to be claimed.
CREATE FUNCTION {schema}.sweep(
    p_lease bigint, p_node bigint, p_not_after bigint,
    OUT moment bigint, OUT is_refused boolean, OUT more boolean, OUT work boolean,
    OUT ended uuid[], OUT lost integer, OUT next bigint, OUT live integer, OUT total bigint,
    OUT oldest bigint, OUT owners bytea[], OUT counts bigint[]
) LANGUAGE plpgsql VOLATILE {settings} AS $$
#variable_conflict use_column
DECLARE
    e {schema}.events;
BEGIN
    moment := {schema}.job_now();
    is_refused := coalesce(moment > p_not_after, false);
    IF is_refused THEN
        RETURN;
    END IF;
    -- Nodes sweep at least once in a third of the lease, and note it half as often.
    INSERT INTO {schema}.nodes AS n (id, swept) VALUES (p_node, moment)
    ON CONFLICT (id) DO UPDATE SET swept = excluded.swept
        WHERE n.swept NOT BETWEEN excluded.swept - p_lease / 2 AND excluded.swept;
    DELETE FROM {schema}.nodes WHERE id IN (
        SELECT id FROM {schema}.nodes WHERE swept < moment - 2 * p_lease FOR UPDATE SKIP LOCKED);
    SELECT count(*) INTO live FROM {schema}.nodes WHERE swept >= moment - p_lease;
    -- After a clock was set back, no notification waits for longer than it would have.
    UPDATE {schema}.jobs
    SET notify_due = moment + notify_due - lease_until, lease_until = moment
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {schema}.jobs
        WHERE notify_due > moment AND lease_until > moment AND id IN (
            SELECT id FROM {schema}.jobs WHERE notify_due > moment AND format <= 1
            ORDER BY notify_due DESC LIMIT 512)
        FOR UPDATE SKIP LOCKED));
    work := FOUND;
    e := {schema}.expire(moment, p_lease, 512);
    more := e.more OR {schema}.collect(moment);
    work := work OR e.work;
    ended := e.ended;
    lost := e.lost;
    IF more THEN
        RETURN;
    END IF;
    next := least(
        (SELECT due FROM {schema}.jobs WHERE leased AND due > moment ORDER BY due LIMIT 1),
        (SELECT due FROM {schema}.jobs WHERE NOT leased AND due > moment ORDER BY due LIMIT 1),
        (SELECT linger FROM {schema}.bodies WHERE linger > moment ORDER BY linger LIMIT 1));
    SELECT created INTO oldest FROM {schema}.jobs WHERE turn IS NOT NULL ORDER BY turn LIMIT 1;
    WITH pending AS (
        SELECT owner_hash FROM {schema}.jobs WHERE leased
        UNION ALL
        SELECT owner_hash FROM {schema}.jobs WHERE state = 0 AND NOT leased
        UNION ALL
        SELECT owner_hash FROM {schema}.jobs WHERE state = 1 AND NOT leased
    ), counted AS (
        SELECT owner_hash, count(*) AS jobs FROM pending GROUP BY owner_hash
    ), most AS (
        SELECT owner_hash, jobs FROM counted WHERE owner_hash <> 0
        ORDER BY jobs DESC LIMIT 1000
    ), named AS (
        SELECT most.jobs, (
            SELECT owner FROM {schema}.jobs AS j
            WHERE j.owner_hash = most.owner_hash AND j.owner_hash <> 0
                AND j.state < 2 AND j.owner_kind = 1
            ORDER BY j.created DESC LIMIT 1
        ) AS owner FROM most
    )
    SELECT
        (SELECT sum(jobs) FROM counted),
        array_agg(owner ORDER BY jobs DESC) FILTER (WHERE owner IS NOT NULL),
        array_agg(jobs ORDER BY jobs DESC) FILTER (WHERE owner IS NOT NULL)
    INTO total, owners, counts FROM named;
END
$$;
