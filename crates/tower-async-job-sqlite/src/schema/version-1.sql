-- The time at which a process has committed last, the number of commits, the latest turn that was
-- claimed, the number of jobs that wait for a run, and the time until which a process has prolonged
-- leases when it opened the file.
CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    mark INTEGER NOT NULL,
    commits INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    prolonged INTEGER NOT NULL
) STRICT;

INSERT INTO store VALUES (1, 0, 0, 0, 0, 0);

-- One row per job. Times and durations are in microseconds. Contents are in `parts`.
CREATE TABLE jobs (
    key INTEGER PRIMARY KEY,     -- 63 bits of the id
    format INTEGER NOT NULL,
    id BLOB NOT NULL,
    handle INTEGER NOT NULL,     -- with its first bit inverted, so that its order is that of numbers
    state INTEGER NOT NULL,      -- see the view `overview`
    held INTEGER NOT NULL,       -- 1: by a worker or an outside party, until `due`
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    reports INTEGER NOT NULL,
    due INTEGER NOT NULL,        -- the time of the next change
    turn INTEGER,                -- the place among the claimable jobs
    deadline INTEGER NOT NULL,
    created INTEGER NOT NULL,
    created_day INTEGER NOT NULL,
    started INTEGER,
    ended INTEGER,
    keep INTEGER NOT NULL,
    tombstone INTEGER NOT NULL,
    protocol INTEGER NOT NULL,
    pending_status INTEGER NOT NULL,
    route TEXT NOT NULL,
    route_hash INTEGER NOT NULL,
    owner ANY,                   -- the name, or only its SHA-256
    owner_hash INTEGER NOT NULL, -- 0: no owner
    digest BLOB,                 -- of the idempotency key
    request INTEGER,             -- this and those below: `id` in `parts`
    request_format INTEGER,
    response INTEGER,
    body_len INTEGER,
    chunks INTEGER,
    chunked INTEGER NOT NULL,    -- 1: the run has written chunks
    progress INTEGER,
    partial INTEGER,
    metadata INTEGER,
    checkpoint INTEGER,
    notify INTEGER,
    notify_due INTEGER,
    notify_attempts INTEGER NOT NULL,
    notify_state INTEGER,
    party BLOB,                  -- the SHA-256 of the outside party's token
    party_until INTEGER,
    resumed INTEGER NOT NULL,
    delivered INTEGER
) STRICT;

CREATE INDEX jobs_due ON jobs (due);
CREATE INDEX jobs_delayed ON jobs (due) WHERE state = 0 AND held = 0 AND turn IS NULL;
CREATE INDEX jobs_pending ON jobs (owner_hash, turn, state) WHERE state < 2;
CREATE INDEX jobs_ready ON jobs (turn) WHERE turn IS NOT NULL;
CREATE INDEX jobs_ready_by_route ON jobs (route_hash, turn) WHERE turn IS NOT NULL;
CREATE INDEX jobs_notify ON jobs (notify_due) WHERE notify_due IS NOT NULL;
CREATE INDEX jobs_delivered ON jobs (delivered) WHERE delivered IS NOT NULL;
CREATE INDEX jobs_handle ON jobs (handle);
CREATE INDEX jobs_created ON jobs (created_day, handle);
CREATE INDEX jobs_owner ON jobs (owner_hash, created_day, handle) WHERE owner_hash <> 0;

-- The numbers of jobs that wait for a run, by owner, without those of no owner.
CREATE TABLE waiting (
    owner_hash INTEGER PRIMARY KEY,
    jobs INTEGER NOT NULL
) STRICT;

CREATE TRIGGER jobs_waits_first AFTER INSERT ON jobs WHEN NEW.state = 0 BEGIN
    UPDATE store SET waiting = waiting + 1 WHERE one = 1;
    INSERT INTO waiting SELECT NEW.owner_hash, 1 WHERE NEW.owner_hash <> 0
        ON CONFLICT DO UPDATE SET jobs = jobs + 1;
END;

CREATE TRIGGER jobs_waits_again AFTER UPDATE OF state ON jobs
WHEN NEW.state = 0 AND OLD.state <> 0 BEGIN
    UPDATE store SET waiting = waiting + 1 WHERE one = 1;
    INSERT INTO waiting SELECT NEW.owner_hash, 1 WHERE NEW.owner_hash <> 0
        ON CONFLICT DO UPDATE SET jobs = jobs + 1;
END;

CREATE TRIGGER jobs_waited AFTER UPDATE OF state ON jobs
WHEN OLD.state = 0 AND NEW.state <> 0 BEGIN
    UPDATE store SET waiting = waiting - 1 WHERE one = 1;
    UPDATE waiting SET jobs = jobs - 1 WHERE owner_hash = OLD.owner_hash;
    DELETE FROM waiting WHERE owner_hash = OLD.owner_hash AND jobs = 0;
END;

CREATE TRIGGER jobs_waited_last AFTER DELETE ON jobs WHEN OLD.state = 0 BEGIN
    UPDATE store SET waiting = waiting - 1 WHERE one = 1;
    UPDATE waiting SET jobs = jobs - 1 WHERE owner_hash = OLD.owner_hash;
    DELETE FROM waiting WHERE owner_hash = OLD.owner_hash AND jobs = 0;
END;

-- Contents of jobs. New ones are appended; each belongs to one column of one job.
CREATE TABLE parts (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

-- The latest job of each idempotency key, by the SHA-256 of the key and its owner.
CREATE TABLE keys (
    digest BLOB PRIMARY KEY,
    job INTEGER NOT NULL,
    fingerprint BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The bodies of responses in chunks.
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX chunks_number ON chunks (job, epoch, number);

-- The runs that have written chunks, and the time until which those are kept without their job.
CREATE TABLE bodies (
    job INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    linger INTEGER,
    PRIMARY KEY (job, epoch)
) STRICT, WITHOUT ROWID;

CREATE INDEX bodies_linger ON bodies (linger) WHERE linger IS NOT NULL;

-- The open handles of the store, and the time of their latest sweep.
CREATE TABLE nodes (
    id INTEGER PRIMARY KEY,
    swept INTEGER NOT NULL
) STRICT;

-- For people: the jobs without secrets.
CREATE VIEW overview AS
SELECT
    printf('%016x', (handle & ~(1 << 63)) | (~handle & (1 << 63))) AS handle,
    CASE state
        WHEN 0 THEN 'queued' WHEN 1 THEN 'running' WHEN 2 THEN 'done' WHEN 3 THEN 'failed'
        WHEN 4 THEN 'timed-out' WHEN 5 THEN 'lost' WHEN 6 THEN 'cancelled' ELSE 'expired'
    END AS state,
    attempt,
    route,
    CASE typeof(owner) WHEN 'text' THEN owner END AS owner,
    datetime(created_day / 1000000, 'unixepoch') AS created,
    (ended - started) / 1e6 AS seconds
FROM jobs
WHERE state <> 9
ORDER BY created_day DESC, handle DESC;
