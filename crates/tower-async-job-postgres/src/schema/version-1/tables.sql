-- `IF NOT EXISTS` would demand the privilege to create a schema even if this one exists.
DO $$ BEGIN
    IF to_regnamespace('{schema}') IS NULL THEN
        CREATE SCHEMA {schema};
    END IF;
END $$;

-- The version of the schema, and the version of the oldest release that may still use it.
CREATE TABLE {schema}.store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version integer NOT NULL,
    oldest integer NOT NULL
);

-- The latest turn that was claimed. No transaction waits for another to advance it.
CREATE SEQUENCE {schema}.turns MINVALUE 0 START 0;

-- One row per job. Times and durations are in microseconds. Contents are in other tables, so that
-- changes of a row stay small.
CREATE TABLE {schema}.jobs (
    id uuid PRIMARY KEY,
    handle bigint NOT NULL,         -- with its first bit inverted, so that its order is that of numbers
    epoch bigint NOT NULL,
    reports bigint NOT NULL,
    lease_until bigint,             -- in no index, so that a renewal changes none; of a job that waits
                                    -- until `due` or `notify_due`, the time since which it does
    due bigint NOT NULL,            -- the time of the next look: with a lease, at or before its end
    turn bigint,                    -- the place among the claimable jobs
    deadline bigint NOT NULL,
    created bigint NOT NULL,
    started bigint,
    ended bigint,
    keep bigint NOT NULL,
    tombstone bigint NOT NULL,
    route_hash bigint NOT NULL,
    owner_hash bigint NOT NULL,     -- 0: no owner
    body_len bigint,
    notify_due bigint,
    party_until bigint,
    attempt integer NOT NULL,
    max_attempts integer NOT NULL,
    notify_attempts integer NOT NULL DEFAULT 0,
    request_len integer,            -- null: no request was kept
    chunks integer,
    format smallint NOT NULL,
    state smallint NOT NULL,        -- see the view `overview`; 9: no job may be stored with this id
    reason smallint,                -- of an end that the store made: see `reasons.rs`
    notify_state smallint,
    protocol smallint NOT NULL,
    pending_status smallint NOT NULL,
    owner_kind smallint NOT NULL,   -- 0: no owner, 1: the name, 2: only its SHA-256
    request_format smallint,        -- 0: not a request
    leased boolean NOT NULL,        -- held by a worker until `lease_until`
    reported boolean NOT NULL DEFAULT false,    -- has a row in `reports`
    chunked boolean NOT NULL DEFAULT false,     -- the run has written chunks
    has_notify boolean NOT NULL DEFAULT false,
    resumed boolean NOT NULL DEFAULT false,     -- a node has taken over from the outside party
    digest bytea,                   -- of the idempotency key
    party bytea,                    -- the SHA-256 of the outside party's token
    route bytea NOT NULL,           -- UTF-8, as the owner's name, since texts cannot contain zeros
    owner bytea
) WITH (fillfactor = 70);

CREATE INDEX jobs_leased ON {schema}.jobs (due) WHERE leased;
CREATE INDEX jobs_due ON {schema}.jobs (due) WHERE NOT leased;
CREATE INDEX jobs_delayed ON {schema}.jobs (due) WHERE state = 0 AND NOT leased AND turn IS NULL;
CREATE INDEX jobs_waiting ON {schema}.jobs (owner_hash, turn) WHERE state = 0;
CREATE INDEX jobs_outside ON {schema}.jobs (owner_hash) WHERE state = 1 AND NOT leased;
CREATE INDEX jobs_ready ON {schema}.jobs (turn) WHERE turn IS NOT NULL;
CREATE INDEX jobs_ready_by_route ON {schema}.jobs (route_hash, turn) WHERE turn IS NOT NULL;
CREATE INDEX jobs_notify ON {schema}.jobs (notify_due) WHERE notify_due IS NOT NULL;
CREATE INDEX jobs_handle ON {schema}.jobs (handle);
CREATE INDEX jobs_created ON {schema}.jobs (created, handle);
CREATE INDEX jobs_owner ON {schema}.jobs (owner_hash, created, handle) WHERE owner_hash <> 0;

CREATE TABLE {schema}.requests (
    job uuid PRIMARY KEY,
    data bytea NOT NULL
);

-- Reports are JSON as bytes: `jsonb` refuses some strings.
CREATE TABLE {schema}.reports (
    job uuid PRIMARY KEY,
    progress bytea,
    partial bytea,
    metadata bytea,
    checkpoint bytea
) WITH (fillfactor = 70);

-- Responses, or their heads if the body is in chunks, and problem documents.
CREATE TABLE {schema}.results (
    job uuid PRIMARY KEY,
    data bytea NOT NULL
);

CREATE TABLE {schema}.notifications (
    job uuid PRIMARY KEY,
    data bytea NOT NULL
);

-- The latest job of each idempotency key, by the SHA-256 of the key and its owner.
CREATE TABLE {schema}.keys (
    digest bytea PRIMARY KEY,
    job uuid NOT NULL,
    fingerprint bytea NOT NULL
);

-- The bodies of responses in chunks.
CREATE TABLE {schema}.chunks (
    job uuid NOT NULL,
    epoch bigint NOT NULL,
    number integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (job, epoch, number)
);

-- The runs that have written chunks, and the time until which those are kept without their job.
CREATE TABLE {schema}.bodies (
    job uuid NOT NULL,
    epoch bigint NOT NULL,
    linger bigint,
    PRIMARY KEY (job, epoch)
);

CREATE INDEX bodies_linger ON {schema}.bodies (linger) WHERE linger IS NOT NULL;

-- The open handles of the store, and the time of their latest sweep.
CREATE TABLE {schema}.nodes (
    id bigint PRIMARY KEY,
    swept bigint NOT NULL
);

-- Contents are encrypted or compressed already, or too small to gain from it.
ALTER TABLE {schema}.requests ALTER data SET STORAGE EXTERNAL;
ALTER TABLE {schema}.results ALTER data SET STORAGE EXTERNAL;
ALTER TABLE {schema}.chunks ALTER data SET STORAGE EXTERNAL;

-- The only clock: microseconds since the Unix epoch.
CREATE FUNCTION {schema}.job_now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- For people: the jobs without secrets.
CREATE VIEW {schema}.overview AS
SELECT
    -- With its first bit inverted, as operators' lists show it.
    lpad(to_hex(handle # (-9223372036854775808)::bigint), 16, '0') AS handle,
    CASE state
        WHEN 0 THEN 'queued' WHEN 1 THEN 'running' WHEN 2 THEN 'done' WHEN 3 THEN 'failed'
        WHEN 4 THEN 'timed-out' WHEN 5 THEN 'lost' WHEN 6 THEN 'cancelled' ELSE 'expired'
    END AS state,
    attempt,
    encode(route, 'escape') AS route,
    CASE owner_kind WHEN 1 THEN encode(owner, 'escape') END AS owner,
    to_timestamp(created / 1e6) AS created,
    (ended - started) / 1e6 AS seconds
FROM {schema}.jobs
WHERE state <> 9
ORDER BY {schema}.jobs.created DESC, {schema}.jobs.handle DESC;
