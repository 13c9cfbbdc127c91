-- The trigger asks in its condition whether somebody sleeps: while nobody does, which is the most of a busy queue's
-- life, a send pays for no call of a function. The name stands there, and not the key made of it, which another server
-- that the trigger is restored to may make differently. The function asks once more: it may hang bare, from before.
create function pgmqd.hang_doorbell(queue text) returns void language plpgsql as $$
begin
    execute pg_catalog.format(
        'create or replace trigger pgmqd_doorbell after insert on pgmq.%I for each statement '
            'when (not (pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(%L, 0)) '
            'and pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended(%2$L, 0)))) '
            'execute function pgmqd.doorbell(%L)',
        'q_' || queue, 'pgmqd:' || queue, queue
    );
end
$$;

comment on function pgmqd.hang_doorbell(text) is
    'Makes a queue, named in lower case, wake the daemons that sleep on it. Needs the right to hang a trigger there.';
comment on function pgmqd.doorbell() is 'Of the trigger that pgmqd.hang_doorbell hangs; its argument is the queue''s name.';
