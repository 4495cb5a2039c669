ALTER TABLE tower_async_job.jobs ADD COLUMN later integer NOT NULL DEFAULT 0;

-- The newest format that the process of a connection knows.
CREATE FUNCTION tower_async_job.newest_format() RETURNS smallint LANGUAGE sql STABLE AS $$
    SELECT CASE current_setting('application_name') WHEN 'next' THEN 2 ELSE 1 END::smallint
$$;

CREATE FUNCTION tower_async_job.set_format() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.format := tower_async_job.newest_format();
    RETURN NEW;
END
$$;

CREATE TRIGGER set_format BEFORE INSERT ON tower_async_job.jobs
FOR EACH ROW EXECUTE FUNCTION tower_async_job.set_format();

-- All functions that compare the format with that of the first version.
DO $$
DECLARE
    body text;
    changed integer := 0;
BEGIN
    FOR body IN
        SELECT regexp_replace(
            pg_get_functiondef(oid), 'format (<=|>) 1', 'format \1 tower_async_job.newest_format()', 'g')
        FROM pg_proc
        WHERE pronamespace = 'tower_async_job'::regnamespace AND prosrc ~ 'format (<=|>) 1'
    LOOP
        EXECUTE body;
        changed := changed + 1;
    END LOOP;
    ASSERT changed >= 3, 'functions read formats in another way';
END
$$;

UPDATE tower_async_job.store SET version = version + 1;
