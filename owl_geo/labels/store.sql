-- The label store of a team: a schema in any PostgreSQL database that has PostGIS.
-- It may be run again at any time: what exists stays, above all the answers.

CREATE SCHEMA IF NOT EXISTS owl_geo;

-- Lets a program that is older than the store refuse to work with it.
CREATE TABLE IF NOT EXISTS owl_geo.version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    layout integer NOT NULL
);
INSERT INTO owl_geo.version (layout) VALUES (1) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS owl_geo.runs (
    run_id text PRIMARY KEY,
    classes text[] NOT NULL,
    positive text NOT NULL,
    lease_time interval NOT NULL DEFAULT '10 minutes',
    made_at timestamptz NOT NULL DEFAULT now()
);

-- Every answer ever given. `labelled_at` is the text that was given, `moment` the time it means:
-- an annotator's newest answer counts. One with a null label withdraws the annotator's earlier one.
CREATE TABLE IF NOT EXISTS owl_geo.answers (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text NOT NULL REFERENCES owl_geo.runs,
    patch_id text NOT NULL,
    label text,
    annotator text NOT NULL,
    labelled_at text NOT NULL,
    moment timestamptz NOT NULL,
    batch_id text NOT NULL,
    round integer NOT NULL,
    comment text,
    geom geometry(Polygon, 4326) NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_by_arrival ON owl_geo.answers (run_id, seq);
CREATE INDEX IF NOT EXISTS answers_of_a_patch ON owl_geo.answers (run_id, patch_id);

CREATE TABLE IF NOT EXISTS owl_geo.batches (
    batch_id text PRIMARY KEY,
    run_id text NOT NULL REFERENCES owl_geo.runs,
    round integer NOT NULL,
    info jsonb NOT NULL,
    layer text NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now()
);

-- The patches of published batches. `wanted` is how many annotators a patch needs: one, or several
-- who must not see each other's answers. `footprint` is the polygon that is stored in `answers`.
CREATE TABLE IF NOT EXISTS owl_geo.tasks (
    batch_id text NOT NULL REFERENCES owl_geo.batches,
    fid integer NOT NULL,
    patch_id text NOT NULL,
    wanted integer NOT NULL CHECK (wanted >= 1),
    attributes jsonb NOT NULL,
    footprint geometry(Polygon, 4326) NOT NULL,
    geom geometry(Polygon) NOT NULL,
    PRIMARY KEY (batch_id, fid),
    UNIQUE (batch_id, patch_id)
);

-- Who has taken which patch, per run: a patch may be in two batches.
CREATE TABLE IF NOT EXISTS owl_geo.leases (
    run_id text NOT NULL REFERENCES owl_geo.runs,
    patch_id text NOT NULL,
    annotator text NOT NULL,
    batch_id text NOT NULL REFERENCES owl_geo.batches,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, patch_id, annotator)
);

-- Answers are only ever added, whoever tries to change them, even the owner and replication.
CREATE OR REPLACE FUNCTION owl_geo.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RAISE EXCEPTION 'answers are only ever added: % is refused; a new answer replaces an old one',
        TG_OP USING ERRCODE = 'OWL04';
END
$body$;
CREATE OR REPLACE TRIGGER answers_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON owl_geo.answers
    FOR EACH STATEMENT EXECUTE FUNCTION owl_geo.refuse_change();
ALTER TABLE owl_geo.answers ENABLE ALWAYS TRIGGER answers_stay;

-- What an UPDATE of a batch's view does. It runs with the owner's rights, so every name in it is
-- qualified, and the user is `session_user`, which SET ROLE does not change.
-- OLD is what the user saw; the current state is read again once nobody else is storing.
CREATE OR REPLACE FUNCTION owl_geo.take_answer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET standard_conforming_strings = on  -- or the backslashes below would be lost
SET lock_timeout = '10s'
AS $body$
DECLARE
    me CONSTANT text := session_user;
    word text := lower(btrim(NEW.lease));
    new_label text := nullif(NEW.label, '');
    remark text := nullif(btrim(NEW.comment), '');
    task record;
    probe record;
    shown record;
    holder text;
    held_until timestamptz;
    right_now timestamptz;
    stamp timestamptz;
    newest timestamptz;
    answering CONSTANT boolean := (new_label, remark) IS DISTINCT FROM (OLD.label, OLD.comment);
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'answers need the isolation level read committed, this session has %',
            current_setting('transaction_isolation') USING ERRCODE = 'OWL03';
    END IF;
    SELECT t.patch_id, t.wanted, t.footprint, t.batch_id, b.run_id, b.round, r.classes, r.lease_time
        INTO STRICT task
        FROM owl_geo.tasks t
        JOIN owl_geo.batches b ON b.batch_id = t.batch_id
        JOIN owl_geo.runs r ON r.run_id = b.run_id
        WHERE t.batch_id = TG_ARGV[0] AND t.fid = OLD.fid;
    probe := NEW;
    probe.label := OLD.label;
    probe.annotator := OLD.annotator;
    probe.comment := OLD.comment;
    probe.labelled_at := OLD.labelled_at;
    probe.lease := OLD.lease;
    IF probe IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'only label, comment and lease of patch % can be changed', task.patch_id
            USING ERRCODE = 'OWL03';
    END IF;
    IF new_label IS NOT NULL AND new_label <> ALL (task.classes || ARRAY['unsure', 'skip']) THEN
        RAISE EXCEPTION 'patch % cannot be labelled %; known: %', task.patch_id,
            quote_literal(new_label), array_to_string(task.classes || ARRAY['unsure', 'skip'], ', ')
            USING ERRCODE = 'OWL03';
    END IF;

    -- one at a time, until the end of the transaction: `seq` is the order of commits
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended('owl_geo:' || task.run_id, 0));
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION 'another program is storing an answer and does not finish; try again'
            USING ERRCODE = 'OWL05';
    END;
    right_now := clock_timestamp();
    EXECUTE format('SELECT label, annotator, comment, labelled_at FROM %I.%I WHERE fid = $1',
        TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO STRICT shown USING OLD.fid;
    SELECT l.annotator, l.expires_at INTO holder, held_until
        FROM owl_geo.leases l
        WHERE l.run_id = task.run_id AND l.patch_id = task.patch_id AND l.annotator <> me
            AND l.expires_at > right_now AND task.wanted = 1
        ORDER BY l.expires_at DESC LIMIT 1;

    IF NEW.lease IS DISTINCT FROM OLD.lease AND word IS NOT NULL AND word <> 'release' THEN
        IF word NOT IN ('take', 'take over') THEN
            RAISE EXCEPTION 'lease takes the words take, take over and release, not %',
                quote_literal(NEW.lease) USING ERRCODE = 'OWL03';
        END IF;
        IF word = 'take over' AND task.wanted = 1 THEN
            DELETE FROM owl_geo.leases l
                WHERE l.run_id = task.run_id AND l.patch_id = task.patch_id AND l.annotator <> me;
            holder := NULL;
        ELSIF holder IS NOT NULL THEN
            RAISE EXCEPTION 'patch % is being labelled by % until % UTC; take it over, or choose another',
                task.patch_id, holder, to_char(held_until, 'HH24:MI')
                USING ERRCODE = 'OWL01';
        ELSIF shown.annotator <> me AND NOT EXISTS (
            SELECT FROM owl_geo.leases l
                WHERE l.run_id = task.run_id AND l.patch_id = task.patch_id AND l.annotator = me
                    AND l.expires_at > right_now
        ) THEN
            RAISE EXCEPTION 'patch % was labelled by % at % UTC; take it over, or choose another',
                task.patch_id, shown.annotator,
                to_char(shown.labelled_at::timestamptz, 'YYYY-MM-DD HH24:MI') USING ERRCODE = 'OWL02';
        END IF;
        DELETE FROM owl_geo.leases l WHERE l.run_id = task.run_id AND l.expires_at <= right_now;
        INSERT INTO owl_geo.leases AS l (run_id, patch_id, annotator, batch_id, expires_at)
            VALUES (task.run_id, task.patch_id, me, task.batch_id, right_now + task.lease_time)
            ON CONFLICT (run_id, patch_id, annotator)
            DO UPDATE SET batch_id = EXCLUDED.batch_id, expires_at = EXCLUDED.expires_at;
    END IF;

    -- whoever writes the value that is already there meant to answer, and must learn that it failed
    IF (answering OR NEW.lease IS NOT DISTINCT FROM OLD.lease) AND shown.annotator <> me THEN
        IF answering AND new_label IS NULL THEN
            RAISE EXCEPTION 'patch % was labelled by %, who alone can take that back',
                task.patch_id, shown.annotator USING ERRCODE = 'OWL02';
        END IF;
        IF holder IS NULL AND NOT EXISTS (
            SELECT FROM owl_geo.leases l
                WHERE l.run_id = task.run_id AND l.patch_id = task.patch_id
                    AND l.annotator = me AND l.expires_at > right_now
        ) THEN
            RAISE EXCEPTION 'patch % was labelled by % at % UTC; take it over, or choose another',
                task.patch_id, shown.annotator,
                to_char(shown.labelled_at::timestamptz, 'YYYY-MM-DD HH24:MI')
                USING ERRCODE = 'OWL02';
        END IF;
    END IF;
    IF answering AND holder IS NOT NULL THEN
        RAISE EXCEPTION 'patch % is being labelled by % until % UTC; take it over, or choose another',
            task.patch_id, holder, to_char(held_until, 'HH24:MI') USING ERRCODE = 'OWL01';
    END IF;
    IF answering AND (shown.annotator IS DISTINCT FROM me
        OR (new_label, remark) IS DISTINCT FROM (shown.label, shown.comment))
    THEN
        -- the annotator's own time counts if it is valid and not in the future; it is never before
        -- that of the answer it replaces, or the older answer would stay the newest
        stamp := right_now;
        IF NEW.labelled_at IS DISTINCT FROM OLD.labelled_at
            AND NEW.labelled_at ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$'
        THEN
            BEGIN
                stamp := least(NEW.labelled_at::timestamptz, right_now);
            EXCEPTION WHEN data_exception THEN
                stamp := right_now;
            END;
        END IF;
        SELECT max(a.moment) INTO newest
            FROM owl_geo.answers a
            WHERE a.run_id = task.run_id AND a.patch_id = task.patch_id
                AND (task.wanted = 1 OR a.annotator = me);
        IF stamp < newest THEN
            stamp := right_now;
        END IF;
        stamp := date_trunc('second', stamp);
        IF stamp < newest THEN
            stamp := date_trunc('second', newest + interval '1 second');
        END IF;
        INSERT INTO owl_geo.answers
            (run_id, patch_id, label, annotator, labelled_at, moment, batch_id, round, comment, geom)
            VALUES (task.run_id, task.patch_id, new_label, me,
                to_char(stamp, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), stamp, task.batch_id, task.round,
                remark, task.footprint);
    END IF;

    IF new_label IS NOT NULL AND new_label IS DISTINCT FROM OLD.label
        OR NEW.lease IS DISTINCT FROM OLD.lease AND (word IS NULL OR word = 'release')
    THEN  -- an answered patch needs no lease
        DELETE FROM owl_geo.leases l
            WHERE l.run_id = task.run_id AND l.patch_id = task.patch_id AND l.annotator = me;
    END IF;
    EXECUTE format('SELECT * FROM %I.%I WHERE fid = $1', TG_TABLE_SCHEMA, TG_TABLE_NAME)
        INTO STRICT NEW USING OLD.fid;
    RETURN NEW;
END
$body$;

-- So that nobody can give a table of their own a trigger with the owner's rights.
REVOKE ALL ON FUNCTION owl_geo.take_answer(), owl_geo.refuse_change() FROM PUBLIC;

-- The annotators of all stores on this server, in one group; grants decide where each may label.
DO $body$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'owl_geo_annotator') THEN
        CREATE ROLE owl_geo_annotator NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database's store was made at the same moment
END
$body$;
REVOKE ALL ON SCHEMA owl_geo FROM PUBLIC;
GRANT USAGE ON SCHEMA owl_geo TO owl_geo_annotator;
GRANT SELECT ON owl_geo.version, owl_geo.runs, owl_geo.batches TO owl_geo_annotator;
