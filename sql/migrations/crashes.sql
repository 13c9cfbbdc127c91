-- As before, but that a daemon counts no open row of its own as a crash: it lives. Its lease ended, or the claim's reply
-- never came, and the row is about to be closed.
create or replace function pgmqd.deliver(
    queue text, msg_id bigint, enqueued_at timestamptz, read_ct int, daemon text, host text, version text,
    suspected_after int
) returns text language plpgsql as $$
declare
    history text;
    crashes bigint;
begin
    select count(*) filter (where j.outcome is null and j.daemon <> $5), pg_catalog.json_build_object(
        'attempts', coalesce(max(j.attempt), 0),
        'crashes', count(*) filter (where j.outcome is null and j.daemon <> $5),
        'condemned', max(j.reason) filter (where j.outcome = 'condemned'),
        'lastReason', (pg_catalog.array_agg(j.reason order by j.read_ct desc) filter (where j.attempt is not null))[1]
    )
    into crashes, history
    from pgmqd.journal j
    where j.queue = $1 and j.msg_id = $2 and j.enqueued_at = $3;

    if crashes < $8 then
        insert into pgmqd.journal (queue, msg_id, enqueued_at, read_ct, daemon, host, version)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict do nothing;
    end if;

    return history;
end
$$;
