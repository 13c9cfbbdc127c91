-- Every function with all its names qualified. They run under the search_path of who calls them (the daemon, a producer,
-- an administrator), where a stranger may have put a function, an operator or a type that fits better than PostgreSQL's
-- own. No `set search_path` here: it costs at each call, and triggers on the journal would run under it.
--
-- `operator(…)` binds more tightly than a comparison, and all of them alike: hence the parentheses.
create or replace function pgmqd.ring(queue pg_catalog.text) returns pg_catalog.void language plpgsql as $$
declare
    key constant bigint := pg_catalog.hashtextextended('pgmqd:' operator(pg_catalog.||) queue, 0);
begin
    if not (pg_catalog.pg_try_advisory_lock(key) and pg_catalog.pg_advisory_unlock(key)) then
        perform pg_catalog.pg_notify('pgmqd.' operator(pg_catalog.||) queue, '');
    end if;
end
$$;

create or replace function pgmqd.doorbell() returns pg_catalog.trigger language plpgsql as $$
declare
    key constant bigint := pg_catalog.hashtextextended('pgmqd:' operator(pg_catalog.||) tg_argv[0], 0);
begin
    if not (pg_catalog.pg_try_advisory_lock(key) and pg_catalog.pg_advisory_unlock(key)) then
        perform pg_catalog.pg_notify('pgmqd.' operator(pg_catalog.||) tg_argv[0], '');
    end if;
    return null;
end
$$;

create or replace function pgmqd.hang_doorbell(queue pg_catalog.text) returns pg_catalog.void language plpgsql as $$
begin
    execute pg_catalog.format(
        'create or replace trigger pgmqd_doorbell after insert on pgmq.%I for each statement '
            'when (not (pg_catalog.pg_try_advisory_lock(%L::bigint) and pg_catalog.pg_advisory_unlock(%2$L::bigint))) '
            'execute function pgmqd.doorbell(%L)',
        'q_' operator(pg_catalog.||) queue,
        pg_catalog.hashtextextended('pgmqd:' operator(pg_catalog.||) queue, 0),
        queue
    );
end
$$;

create or replace function pgmqd.deliver(
    queue pg_catalog.text, msg_id bigint, enqueued_at pg_catalog.timestamptz, read_ct int, daemon pg_catalog.text,
    host pg_catalog.text, version pg_catalog.text, suspected_after int
) returns pg_catalog.text language plpgsql as $$
declare
    history pg_catalog.text;
    crashes bigint;
begin
    select
        pg_catalog.count(*) filter (where j.outcome is null and j.daemon operator(pg_catalog.<>) $5),
        pg_catalog.json_build_object(
            'attempts', coalesce(pg_catalog.max(j.attempt), 0),
            'crashes', pg_catalog.count(*) filter (where j.outcome is null and j.daemon operator(pg_catalog.<>) $5),
            'condemned', pg_catalog.max(j.reason) filter (where j.outcome operator(pg_catalog.=) 'condemned'),
            'lastReason', (
                pg_catalog.array_agg(j.reason order by j.read_ct desc) filter (where j.attempt is not null)
            )[1]
        )
    into crashes, history
    from pgmqd.journal j
    where j.queue operator(pg_catalog.=) $1 and j.msg_id operator(pg_catalog.=) $2
        and j.enqueued_at operator(pg_catalog.=) $3;

    if crashes operator(pg_catalog.<) $8 then
        insert into pgmqd.journal (queue, msg_id, enqueued_at, read_ct, daemon, host, version)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict do nothing;
    end if;

    return history;
end
$$;
