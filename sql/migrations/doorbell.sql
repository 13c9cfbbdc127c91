-- Rings only while a consumer sleeps. A sleeper holds the queue's advisory lock shared, on its LISTEN session; whoever
-- sends tries it exclusively and lets go at once. It touches no table and needs no grant of the producer.
--
-- One expression takes the lock and lets go: between two statements a cancelled session would keep it.
create function pgmqd.ring(queue text) returns void language plpgsql as $$
declare
    key constant bigint := pg_catalog.hashtextextended('pgmqd:' || queue, 0);
begin
    if not (pg_catalog.pg_try_advisory_lock(key) and pg_catalog.pg_advisory_unlock(key)) then
        perform pg_catalog.pg_notify('pgmqd.' || queue, '');
    end if;
end
$$;

-- The same, and not a call of it: a producer needs no right to use the schema.
create function pgmqd.doorbell() returns trigger language plpgsql as $$
declare
    key constant bigint := pg_catalog.hashtextextended('pgmqd:' || tg_argv[0], 0);
begin
    if not (pg_catalog.pg_try_advisory_lock(key) and pg_catalog.pg_advisory_unlock(key)) then
        perform pg_catalog.pg_notify('pgmqd.' || tg_argv[0], '');
    end if;
    return null;
end
$$;

comment on function pgmqd.doorbell() is 'Statement trigger on a queue''s inserts; its argument is the queue''s name.';
