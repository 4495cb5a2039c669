-- Outside parties, whose time is no longer than it would have been after a clock was set back.

-- The time since which the outside party has its job until `party_until`.
ALTER TABLE {schema}.jobs ADD COLUMN party_since bigint;

CREATE OR REPLACE FUNCTION {schema}.save(j {schema}.jobs) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE {schema}.jobs SET
        epoch = j.epoch, reports = j.reports, lease_until = j.lease_until, due = j.due,
        turn = j.turn, started = j.started, ended = j.ended, route_hash = j.route_hash,
        body_len = j.body_len, notify_due = j.notify_due, party_until = j.party_until,
        party_since = j.party_since,
        attempt = j.attempt, notify_attempts = j.notify_attempts, request_len = j.request_len,
        chunks = j.chunks, state = j.state, reason = j.reason, notify_state = j.notify_state,
        owner_kind = j.owner_kind, request_format = j.request_format, leased = j.leased,
        reported = j.reported, chunked = j.chunked, has_notify = j.has_notify,
        resumed = j.resumed, digest = j.digest, party = j.party, route = j.route, owner = j.owner
    WHERE id = j.id;
END
$$;

-- Takes a pending job from its holder: leaves it to an outside party, frees it to be claimed, or
-- ends it if no worker may re-run it.
CREATE OR REPLACE FUNCTION {schema}.lapse(
    j {schema}.jobs, p_now bigint, p_since bigint, p_counts boolean, p_party bytea, p_until bigint
) RETURNS {schema}.jobs LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF j.party_since > p_now THEN
        -- The clock was set back while a node had the job.
        j.party_until := j.party_until - (j.party_since - p_now);
        j.party_since := p_now;
    END IF;
    IF p_party IS NOT NULL OR j.resumed AND j.party_until > p_now THEN
        j := {schema}.leave_chunks(j, p_now);
        IF p_party IS NOT NULL THEN
            j.party := p_party;
            j.party_until := p_until;
            j.party_since := p_now;
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

-- Prolongs the time of an outside party, and records its report. Verdicts as those of `renew`.
CREATE OR REPLACE FUNCTION {schema}.renew_outside(
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
        j.party_since := moment;
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
