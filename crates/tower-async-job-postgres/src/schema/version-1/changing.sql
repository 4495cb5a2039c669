-- Changes by clients, outside parties and notifiers. Verdicts: 0 if there is no such job, 1 if it
-- is done, -1 if the record cannot be read, with its newer format in `newer`.

-- Cancels a job. `state` is the one in which it had ended before.
CREATE FUNCTION {schema}.cancel(
    p_id uuid, OUT verdict integer, OUT newer integer, OUT state smallint, OUT ended bigint,
    OUT is_due boolean
) LANGUAGE plpgsql VOLATILE {settings} AS $$
#variable_conflict use_column
DECLARE
    moment bigint := {schema}.job_now();
    j {schema}.jobs;
BEGIN
    verdict := 0;
    SELECT * INTO j FROM {schema}.jobs WHERE id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    newer := {schema}.refusal(j);
    IF newer IS NOT NULL THEN
        verdict := -1;
        RETURN;
    END IF;
    state := {schema}.shown(j, moment);
    IF j.state < 2 THEN
        j := {schema}.revoke(j, moment, 6, NULL);
        PERFORM {schema}.save(j);
        verdict := 1;
        ended := greatest(j.ended, j.created);
        is_due := j.has_notify;
    END IF;
END
$$;

CREATE FUNCTION {schema}.remove(
    p_lease bigint, p_id uuid, OUT verdict integer, OUT newer integer
) LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    moment bigint := {schema}.job_now();
    j {schema}.jobs;
BEGIN
    verdict := 0;
    SELECT * INTO j FROM {schema}.jobs WHERE id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    newer := {schema}.refusal(j);
    IF newer IS NOT NULL THEN
        verdict := -1;
    ELSIF {schema}.shown(j, moment) > 1 THEN
        verdict := 1;
        IF (j.digest IS NOT NULL OR j.notify_due IS NOT NULL)
            AND moment < {schema}.wanted_until(j) THEN
            -- Otherwise a repeat would run the work again, or the end would not be notified.
            j := {schema}.drop_result(j, moment);
        ELSE
            -- Its run may still be alive, and must not consider the job missing.
            j := {schema}.become_void(j, moment, moment + p_lease);
        END IF;
        PERFORM {schema}.save(j);
    END IF;
END
$$;

CREATE FUNCTION {schema}.extend(
    p_id uuid, p_keep bigint, OUT verdict integer, OUT newer integer
) LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    moment bigint := {schema}.job_now();
BEGIN
    UPDATE {schema}.jobs AS j SET due = greatest(j.due, moment + p_keep)
    WHERE j.id = p_id AND j.state BETWEEN 2 AND 6 AND moment < j.due
        AND {schema}.refusal(j) IS NULL;
    verdict := FOUND::integer;
    SELECT {schema}.refusal(j) INTO newer FROM {schema}.jobs AS j WHERE j.id = p_id;
    IF newer IS NOT NULL THEN
        verdict := -1;
    END IF;
END
$$;

-- Notes that results were delivered, which ends their retention after a time, unless it ends sooner
-- or was extended.
CREATE FUNCTION {schema}.deliver(p_id uuid[], p_keep bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    moment bigint := {schema}.job_now();
    places tid[] := {schema}.lock_jobs(p_id, NULL);
BEGIN
    UPDATE {schema}.jobs AS j SET due = least(j.ended + j.keep, moment + w.keep)
    FROM unnest(places, p_keep) AS w (place, keep)
    WHERE j.ctid = w.place AND j.state BETWEEN 2 AND 6 AND moment < j.due
        AND j.due <= j.ended + j.keep;
END
$$;

-- Gives a job to a new holder; stores it, and returns it.
CREATE FUNCTION {schema}.hand_over(j {schema}.jobs, p_now bigint, p_lease bigint)
RETURNS {schema}.jobs LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    j := {schema}.leave_chunks(j, p_now);
    j.state := 1;
    j.leased := true;
    j.turn := NULL;
    j.lease_until := p_now + p_lease;
    j.due := j.lease_until;
    j.epoch := j.epoch + 1;
    PERFORM {schema}.save(j);
    RETURN j;
END
$$;

-- The tasks that are claimed, and notes for the caller: see `p_kind` in `claims.rs`.
CREATE TYPE {schema}.task AS (
    kind integer, moment bigint, id uuid, handle bigint, epoch bigint, reports bigint,
    attempt integer, max_attempts integer, route bytea, protocol smallint,
    pending_status smallint, owner_kind smallint, owner bytea, created bigint, deadline bigint,
    keep bigint, tombstone bigint, state smallint, ended bigint, data bytea, checkpoint bytea,
    fingerprint bytea, notify bytea
);

CREATE FUNCTION {schema}.task_of(
    p_kind integer, j {schema}.jobs, p_now bigint, p_data bytea
) RETURNS {schema}.task LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (p_kind, p_now, j.id, j.handle, j.epoch, j.reports,
        j.attempt, j.max_attempts, j.route, j.protocol,
        j.pending_status, j.owner_kind, j.owner, j.created, j.deadline,
        j.keep, j.tombstone, j.state, j.ended, p_data,
        CASE WHEN j.reported THEN (SELECT checkpoint FROM {schema}.reports WHERE job = j.id) END,
        CASE WHEN j.digest IS NOT NULL THEN (
            SELECT fingerprint FROM {schema}.keys WHERE digest = j.digest AND job = j.id) END,
        CASE WHEN j.has_notify THEN (SELECT data FROM {schema}.notifications WHERE job = j.id) END);
END
$$;

-- Gives a job of an outside party to a node.
CREATE FUNCTION {schema}.resume(p_lease bigint, p_id uuid, p_token bytea)
RETURNS SETOF {schema}.task LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    moment bigint := {schema}.job_now();
    j {schema}.jobs;
BEGIN
    SELECT * INTO j FROM {schema}.jobs WHERE id = p_id FOR NO KEY UPDATE;
    IF FOUND AND {schema}.refusal(j) IS NOT NULL THEN
        RETURN NEXT {schema}.task_of(-1 - {schema}.refusal(j), j, moment, NULL);
    ELSIF j.state < 2 AND j.party = p_token THEN
        j.resumed := true;
        j := {schema}.hand_over(j, moment, p_lease);
        RETURN NEXT {schema}.task_of(0, j, moment, NULL);
    END IF;
END
$$;

-- Prolongs the time of an outside party, and records its report. Verdicts as those of `renew`.
CREATE FUNCTION {schema}.renew_outside(
    p_id uuid, p_token bytea, p_until bigint, p_progress bytea, p_partial bytea,
    p_metadata bytea, p_checkpoint bytea, OUT verdict integer, OUT newer integer
) LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    moment bigint := {schema}.job_now();
    j {schema}.jobs;
BEGIN
    SELECT * INTO j FROM {schema}.jobs WHERE id = p_id FOR NO KEY UPDATE;
    newer := CASE WHEN FOUND THEN {schema}.refusal(j) END;
    IF newer IS NOT NULL THEN
        verdict := -1;
        RETURN;
    END IF;
    verdict := {schema}.fate(j, moment);
    IF j.state < 2 AND j.party = p_token THEN
        verdict := 1;
        j.party_until := moment + p_until;
        IF NOT j.resumed THEN
            j.due := least(j.party_until, j.deadline);
        END IF;
        j.reported := true;
        IF coalesce(p_progress, p_partial, p_metadata) IS NOT NULL THEN
            j.reports := j.reports + 1;
        END IF;
        PERFORM {schema}.store_reports(
            ARRAY[p_id], ARRAY[p_progress], ARRAY[p_partial], ARRAY[p_metadata],
            ARRAY[p_checkpoint], ARRAY[p_id]);
        PERFORM {schema}.save(j);
    END IF;
END
$$;

-- Ends an attempt to notify; without `p_after`, the last one.
CREATE FUNCTION {schema}.notified(
    p_id uuid, p_attempt bigint, p_after bigint, OUT verdict integer, OUT newer integer
) LANGUAGE plpgsql VOLATILE {settings} AS $$
DECLARE
    moment bigint := {schema}.job_now();
    j {schema}.jobs;
BEGIN
    verdict := 0;
    SELECT * INTO j FROM {schema}.jobs WHERE id = p_id FOR NO KEY UPDATE;
    newer := CASE WHEN FOUND THEN {schema}.refusal(j) END;
    IF newer IS NOT NULL THEN
        verdict := -1;
    ELSIF j.notify_due IS NOT NULL AND j.notify_attempts = p_attempt THEN
        verdict := 1;
        IF p_after IS NOT NULL THEN
            j.notify_due := moment + p_after;
            j.lease_until := moment;
        ELSE
            j := {schema}.drop_unwanted({schema}.forget_notify(j));
        END IF;
        PERFORM {schema}.save(j);
    END IF;
END
$$;
