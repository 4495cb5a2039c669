-- Steps of the life of one job. They change a row that is locked, and return it; `save` stores it.
-- Functions in SQL are planned again by each call, unless they are one expression.

-- A job as it is read. `refusal` is set if it cannot be; everything else means nothing then. The
-- last two are for calls that read it as their answer.
CREATE TYPE {schema}.record AS (
    place integer, moment bigint, refusal integer, id uuid, handle bigint, state smallint,
    row_state smallint, epoch bigint, reports bigint, attempt integer, created bigint,
    started bigint, ended bigint, protocol smallint, pending_status smallint, route bytea,
    owner_kind smallint, owner bytea, body_len bigint, chunks integer, reason smallint,
    progress bytea, partial bytea, metadata bytea, data bytea, notify_state smallint,
    notify_attempts integer, is_notify_due boolean, verdict integer, number bigint
);

-- The state as clients see it, before or after a sweep; null if there is no job.
CREATE FUNCTION {schema}.shown(j {schema}.jobs, p_now bigint) RETURNS smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN j.state IN (0, 1) THEN j.state
        WHEN j.state BETWEEN 2 AND 6 AND p_now < j.due THEN j.state
        WHEN j.state BETWEEN 2 AND 6
            AND p_now < greatest(j.due, j.ended + j.keep) + j.tombstone THEN 8::smallint
        WHEN j.state = 7 AND p_now < j.due + j.tombstone THEN 8::smallint
        WHEN j.state = 8 AND p_now < j.due THEN 8::smallint
    END
$$;

-- The reason why a row cannot be used: 0 if it is damaged, or else its newer format.
CREATE FUNCTION {schema}.refusal(j {schema}.jobs) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN j.format > 1 THEN j.format::integer
        WHEN j.format < 1 OR j.state NOT BETWEEN 0 AND 9 OR j.epoch < 0 OR j.reports < 0
            OR j.attempt < 0 OR j.max_attempts < 1 OR j.notify_attempts < 0
            OR j.protocol NOT BETWEEN 0 AND 1 OR j.pending_status NOT BETWEEN 0 AND 1
            OR j.owner_kind NOT BETWEEN 0 AND 2 OR (j.owner_kind = 0) <> (j.owner IS NULL)
            OR j.owner_kind = 2 AND octet_length(j.owner) <> 32
            OR j.leased AND (j.lease_until IS NULL OR j.state > 1)
            OR j.turn IS NOT NULL AND j.state <> 0
            OR j.state BETWEEN 2 AND 7 AND j.ended IS NULL THEN 0
    END
$$;

-- The time until which the key or the notification of an ended job needs it.
CREATE FUNCTION {schema}.wanted_until(j {schema}.jobs) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN j.state < 2 THEN 9223372036854775807
        WHEN j.state < 7 THEN greatest(j.due, j.ended + j.keep)
        WHEN j.state = 7 THEN j.due
        ELSE 0
    END
$$;

CREATE FUNCTION {schema}.save(j {schema}.jobs) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE {schema}.jobs SET
        epoch = j.epoch, reports = j.reports, lease_until = j.lease_until, due = j.due,
        turn = j.turn, started = j.started, ended = j.ended, route_hash = j.route_hash,
        body_len = j.body_len, notify_due = j.notify_due, party_until = j.party_until,
        attempt = j.attempt, notify_attempts = j.notify_attempts, request_len = j.request_len,
        chunks = j.chunks, state = j.state, reason = j.reason, notify_state = j.notify_state,
        owner_kind = j.owner_kind, request_format = j.request_format, leased = j.leased,
        reported = j.reported, chunked = j.chunked, has_notify = j.has_notify,
        resumed = j.resumed, digest = j.digest, party = j.party, route = j.route, owner = j.owner
    WHERE id = j.id;
END
$$;

-- Leaves the chunks of a job's latest run without a job, for ten minutes.
CREATE FUNCTION {schema}.leave_chunks(j {schema}.jobs, p_now bigint) RETURNS {schema}.jobs
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF j.chunked THEN
        UPDATE {schema}.bodies SET linger = p_now + 600000000
        WHERE job = j.id AND linger IS NULL;
        j.chunked := false;
    END IF;
    RETURN j;
END
$$;

CREATE FUNCTION {schema}.forget_party(j {schema}.jobs) RETURNS {schema}.jobs
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    j.party := NULL;
    j.party_until := NULL;
    j.resumed := false;
    RETURN j;
END
$$;

-- Frees the idempotency key, unless it belongs to another job by now.
CREATE FUNCTION {schema}.forget_key(j {schema}.jobs) RETURNS {schema}.jobs
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF j.digest IS NOT NULL THEN
        DELETE FROM {schema}.keys WHERE digest = j.digest AND job = j.id;
        j.digest := NULL;
    END IF;
    RETURN j;
END
$$;

CREATE FUNCTION {schema}.forget_notify(j {schema}.jobs) RETURNS {schema}.jobs
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF j.has_notify THEN
        DELETE FROM {schema}.notifications WHERE job = j.id;
        j.has_notify := false;
    END IF;
    j.notify_due := NULL;
    RETURN j;
END
$$;

-- Ends a pending job without its holder, for a reason.
CREATE FUNCTION {schema}.revoke(
    j {schema}.jobs, p_now bigint, p_state integer, p_reason integer
) RETURNS {schema}.jobs LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    j := {schema}.leave_chunks(j, p_now);
    -- A later finish by the same epoch must not look like a repeated one.
    j.epoch := j.epoch + 1;
    j.state := p_state;
    j.reason := p_reason;
    j.leased := false;
    j.turn := NULL;
    j.ended := p_now;
    j.due := p_now + j.keep;
    DELETE FROM {schema}.requests WHERE job = j.id;
    IF j.reported THEN
        UPDATE {schema}.reports SET checkpoint = NULL WHERE job = j.id AND checkpoint IS NOT NULL;
    END IF;
    IF j.has_notify THEN
        j.notify_due := p_now;
        j.notify_state := p_state;
        j.lease_until := p_now;
    END IF;
    RETURN {schema}.forget_party(j);
END
$$;

-- Ends a pending job that no worker may re-run, and returns it unchanged otherwise.
CREATE FUNCTION {schema}.give_up(j {schema}.jobs, p_now bigint) RETURNS {schema}.jobs
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- The job is not lost without a worker while an outside party has it.
    IF j.deadline <= p_now AND (j.request_len IS NOT NULL OR j.party IS NOT NULL) THEN
        RETURN {schema}.revoke(j, p_now, 4, 1);
    ELSIF j.request_len IS NULL THEN
        RETURN {schema}.revoke(j, p_now, 5, NULL);
    ELSIF j.attempt >= j.max_attempts THEN
        RETURN {schema}.revoke(j, p_now, 3, 2);
    END IF;
    RETURN j;
END
$$;

-- Returns the next turn of an owner: one after the later of the first turn that waits, and the
-- owner's last. So each owner takes part in each round, however many jobs others have. The first
-- turn is that of the route, since no worker may claim jobs of another one; if none waits, it is
-- the latest that was claimed.
CREATE FUNCTION {schema}.next_turn(p_route bigint, p_owner bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN 1 + greatest(
        coalesce(
            (SELECT turn FROM {schema}.jobs WHERE route_hash = p_route AND turn IS NOT NULL
                ORDER BY turn LIMIT 1),
            (SELECT last_value FROM {schema}.turns)
        ),
        (SELECT turn FROM {schema}.jobs
            WHERE owner_hash = p_owner AND state = 0 AND turn IS NOT NULL
            ORDER BY turn DESC LIMIT 1)
    );
END
$$;

-- Frees a queued job, which may be claimed from then on.
CREATE FUNCTION {schema}.free(j {schema}.jobs, p_now bigint, p_since bigint)
RETURNS {schema}.jobs LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    j.leased := false;
    IF p_since <= p_now THEN
        j.turn := {schema}.next_turn(j.route_hash, j.owner_hash);
        j.due := j.deadline;
    ELSE
        j.turn := NULL;
        j.due := least(p_since, j.deadline);
        j.lease_until := p_now;
    END IF;
    RETURN j;
END
$$;

-- Takes a pending job from its holder: leaves it to an outside party, frees it to be claimed, or
-- ends it if no worker may re-run it.
CREATE FUNCTION {schema}.lapse(
    j {schema}.jobs, p_now bigint, p_since bigint, p_counts boolean, p_party bytea, p_until bigint
) RETURNS {schema}.jobs LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF p_party IS NOT NULL OR j.resumed AND j.party_until > p_now THEN
        j := {schema}.leave_chunks(j, p_now);
        IF p_party IS NOT NULL THEN
            j.party := p_party;
            j.party_until := p_until;
        END IF;
        j.resumed := false;
        j.leased := false;
        j.turn := NULL;
        j.due := least(j.party_until, j.deadline);
        j.epoch := j.epoch + 1;
        RETURN j;
    END IF;
    IF NOT p_counts AND j.started IS NOT NULL THEN
        j.attempt := greatest(j.attempt - 1, 0);
    END IF;
    j := {schema}.give_up(j, p_now);
    IF j.state > 1 THEN
        RETURN j;
    END IF;
    j := {schema}.forget_party({schema}.leave_chunks(j, p_now));
    IF j.reported THEN
        UPDATE {schema}.reports SET progress = NULL, partial = NULL WHERE job = j.id;
    END IF;
    j.state := 0;
    j.started := NULL;
    j.epoch := j.epoch + 1;
    RETURN {schema}.free(j, p_now, p_since);
END
$$;

-- Takes a pending job from a holder that is late, or ends it at its deadline. Later runs wait for
-- longer, up to a minute; up to half of that is left out at random.
CREATE FUNCTION {schema}.lapse_late(j {schema}.jobs, p_now bigint) RETURNS {schema}.jobs
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    since bigint := CASE WHEN j.leased THEN j.lease_until ELSE j.due END;
BEGIN
    IF j.attempt > 1 THEN
        since := since
            + least(1000000 * 2 ^ least(j.attempt - 2, 6), 60000000) * (0.5 + random() / 2);
    END IF;
    RETURN {schema}.lapse(j, p_now, since, true, NULL, NULL);
END
$$;

-- Drops the contents of an ended job: its result, reports, route and the name of its owner.
CREATE FUNCTION {schema}.drop_contents(j {schema}.jobs, p_now bigint) RETURNS {schema}.jobs
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    DELETE FROM {schema}.requests WHERE job = j.id;
    DELETE FROM {schema}.results WHERE job = j.id;
    IF j.reported THEN
        DELETE FROM {schema}.reports WHERE job = j.id;
        j.reported := false;
    END IF;
    j := {schema}.leave_chunks(j, p_now);
    j.request_len := NULL;
    j.request_format := NULL;
    j.body_len := NULL;
    j.chunks := NULL;
    j.reason := NULL;
    j.route := '';
    j.route_hash := 0;
    IF j.owner_kind = 1 THEN
        j.owner_kind := 2;
        j.owner := sha256(j.owner);
    END IF;
    RETURN j;
END
$$;

-- Expires a job whose result is dropped, if neither key nor notification need it.
CREATE FUNCTION {schema}.drop_unwanted(j {schema}.jobs) RETURNS {schema}.jobs
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF j.state = 7 AND j.digest IS NULL AND NOT j.has_notify THEN
        j.state := 8;
        j.due := j.due + j.tombstone;
    END IF;
    RETURN j;
END
$$;

-- Drops the result of an ended job. Until the end of the usual retention, its key counts and its
-- notification may be claimed.
CREATE FUNCTION {schema}.drop_result(j {schema}.jobs, p_now bigint) RETURNS {schema}.jobs
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF j.state BETWEEN 2 AND 6 THEN
        j.due := greatest(j.due, j.ended + j.keep);
        j.state := 7;
        j := {schema}.drop_contents(j, p_now);
    END IF;
    RETURN {schema}.drop_unwanted(j);
END
$$;

-- Leaves only a void until then, so that no create stores a job with this id.
CREATE FUNCTION {schema}.become_void(j {schema}.jobs, p_now bigint, p_until bigint)
RETURNS {schema}.jobs LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    j := {schema}.drop_contents({schema}.forget_key({schema}.forget_notify(j)), p_now);
    j.state := 9;
    j.leased := false;
    j.turn := NULL;
    j.owner_kind := 0;
    j.owner := NULL;
    j.due := p_until;
    RETURN {schema}.forget_party(j);
END
$$;

-- Deletes a job with all that belongs to it, except for chunks, which linger.
CREATE FUNCTION {schema}.forget(j {schema}.jobs, p_now bigint) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM {schema}.drop_contents({schema}.forget_key({schema}.forget_notify(j)), p_now);
    DELETE FROM {schema}.jobs WHERE id = j.id;
END
$$;

-- Ends a pending job that cannot be read as failed, or deletes one that has ended.
CREATE FUNCTION {schema}.end_unreadable(j {schema}.jobs, p_now bigint) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF j.state < 2 OR j.leased OR j.turn IS NOT NULL THEN
        PERFORM {schema}.leave_chunks(j, p_now);
        -- It is kept for an hour.
        UPDATE {schema}.jobs SET state = 3, leased = false, turn = NULL, epoch = epoch + 1,
            ended = p_now, due = p_now + 3600000000, chunked = false
        WHERE id = j.id;
    ELSE
        PERFORM {schema}.forget(j, p_now);
    END IF;
END
$$;
