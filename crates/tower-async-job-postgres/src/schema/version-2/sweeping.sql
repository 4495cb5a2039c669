-- Sweeps and claims. As long as another transaction holds an old snapshot, an index keeps all former
-- entries, so that claims look only at those since the latest sweep.

-- The time up to which all changes that were due are made. It is before the latest sweep, since
-- transactions that began before it may end after it.
CREATE SEQUENCE {schema}.swept MINVALUE 0 START 0;

-- Nodes have the same privileges on it as on the sequence of the first version.
DO $$
DECLARE
    grantee text;
BEGIN
    FOR grantee IN
        SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
        FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE c.oid = '{schema}.turns'::regclass AND a.privilege_type = 'UPDATE'
    LOOP
        EXECUTE format('GRANT SELECT, UPDATE ON SEQUENCE %s TO %s',
            '{schema}.swept'::regclass, grantee);
    END LOOP;
END
$$;

-- Performs at most `p_limit` changes that are due since a time. It repeats the condition of each on
-- the locked row, so that none is made from an older state.
CREATE FUNCTION {schema}.expire_since(
    p_since bigint, p_now bigint, p_lease bigint, p_limit integer
) RETURNS {schema}.events LANGUAGE plpgsql VOLATILE AS $$
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
            WHERE leased AND due BETWEEN p_since AND p_now AND format <= 1
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
    FOR j IN
        SELECT * FROM {schema}.jobs
        WHERE NOT leased AND due BETWEEN p_since AND p_now AND format <= 1
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

-- Performs changes for a claim.
CREATE OR REPLACE FUNCTION {schema}.expire(p_now bigint, p_lease bigint, p_limit integer)
RETURNS {schema}.events LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN {schema}.expire_since(
        (SELECT last_value FROM {schema}.swept), p_now, p_lease, p_limit);
END
$$;

-- Corrects at most `p_limit` waits of each kind after a clock was set back: none is longer than it
-- would have been. It looks at `p_looks` jobs of each kind, or at all; returns the largest number
-- of corrections of a kind.
CREATE FUNCTION {schema}.shorten_waits(p_now bigint, p_looks integer, p_limit integer)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    delayed bigint;
    outside bigint;
    notified bigint;
BEGIN
    UPDATE {schema}.jobs
    SET due = least(p_now + due - lease_until, deadline), lease_until = p_now
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {schema}.jobs
        WHERE state = 0 AND NOT leased AND turn IS NULL AND party IS NULL
            AND lease_until > p_now AND id IN (
                SELECT id FROM {schema}.jobs
                WHERE state = 0 AND NOT leased AND turn IS NULL AND due > p_now AND format <= 1
                ORDER BY due DESC LIMIT p_looks)
        LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS delayed = ROW_COUNT;
    UPDATE {schema}.jobs
    SET due = CASE WHEN leased THEN due
            ELSE least(party_until - (party_since - p_now), deadline) END,
        party_until = party_until - (party_since - p_now), party_since = p_now
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {schema}.jobs
        WHERE state < 2 AND party IS NOT NULL AND party_since > p_now AND id IN (
            SELECT id FROM (
                SELECT id FROM {schema}.jobs
                WHERE state = 1 AND NOT leased AND format <= 1 LIMIT p_looks
            ) AS running
            UNION ALL
            SELECT id FROM (
                SELECT id FROM {schema}.jobs
                WHERE state = 0 AND NOT leased AND turn IS NULL AND due > p_now AND format <= 1
                ORDER BY due DESC LIMIT p_looks
            ) AS queued
            UNION ALL
            -- Nodes have these meanwhile. They are looked at once, when the clock was set back.
            SELECT id FROM {schema}.jobs
            WHERE p_looks IS NULL AND state < 2 AND leased AND format <= 1)
        LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS outside = ROW_COUNT;
    UPDATE {schema}.jobs
    SET notify_due = p_now + notify_due - lease_until, lease_until = p_now
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {schema}.jobs
        WHERE notify_due > p_now AND lease_until > p_now AND id IN (
            SELECT id FROM {schema}.jobs WHERE notify_due > p_now AND format <= 1
            ORDER BY notify_due DESC LIMIT p_looks)
        LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS notified = ROW_COUNT;
    RETURN greatest(delayed, outside, notified);
END
$$;

-- Performs some changes that are due, in the name of a node, and counts nodes and, unless there
-- are more changes to make, pending jobs; `oldest` is the creation of the next to be claimed.
CREATE OR REPLACE FUNCTION {schema}.sweep(
    p_lease bigint, p_node bigint, p_not_after bigint,
    OUT moment bigint, OUT is_refused boolean, OUT more boolean, OUT work boolean,
    OUT ended uuid[], OUT lost integer, OUT next bigint, OUT live integer, OUT total bigint,
    OUT oldest bigint, OUT owners bytea[], OUT counts bigint[]
) LANGUAGE plpgsql VOLATILE {settings} AS $$
#variable_conflict use_column
DECLARE
    e {schema}.events;
    is_noted boolean;
    since bigint;
    was_set_back boolean;
    shortened bigint;
BEGIN
    moment := {schema}.job_now();
    is_refused := coalesce(moment > p_not_after, false);
    IF is_refused THEN
        RETURN;
    END IF;
    -- Nodes sweep at least once in a third of the lease. A node that notes it looks at everything,
    -- since sweeps leave rows that are locked; others begin where the latest sweep has ended.
    INSERT INTO {schema}.nodes AS n (id, swept) VALUES (p_node, moment)
    ON CONFLICT (id) DO UPDATE SET swept = excluded.swept
        WHERE n.swept NOT BETWEEN excluded.swept - p_lease / 4 AND excluded.swept;
    is_noted := FOUND;
    -- After a clock was set back, nodes that have died are counted for no longer than otherwise.
    UPDATE {schema}.nodes SET swept = moment WHERE id IN (
        SELECT id FROM {schema}.nodes WHERE swept > moment + 1000000 FOR UPDATE SKIP LOCKED);
    DELETE FROM {schema}.nodes WHERE id IN (
        SELECT id FROM {schema}.nodes WHERE swept < moment - 2 * p_lease FOR UPDATE SKIP LOCKED);
    SELECT count(*) INTO live FROM {schema}.nodes WHERE swept >= moment - p_lease;
    SELECT last_value INTO since FROM {schema}.swept;
    was_set_back := since > moment;
    shortened := {schema}.shorten_waits(
        moment, CASE WHEN NOT was_set_back THEN 512 END, 2048);
    e := {schema}.expire_since(
        CASE WHEN is_noted OR was_set_back THEN 0 ELSE since END, moment, p_lease, 512);
    more := e.more OR shortened >= 2048;
    more := {schema}.collect(moment) OR more;
    work := shortened > 0 OR e.work;
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
    -- A sequence keeps its value even if the transaction fails.
    PERFORM setval('{schema}.swept'::regclass, greatest(moment - p_lease / 10, 0));
END
$$;
