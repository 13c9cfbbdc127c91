-- The trigger asks in its condition whether somebody sleeps: while nobody does, which is the most of a busy queue's
-- life, a send pays for no call of a function. The key stands there as a number, since a condition knows no argument of
-- its trigger. The function asks once more: it may hang without a condition, from before.
create function pgmqd.hang_doorbell(queue text) returns void language plpgsql as $$
begin
    execute pg_catalog.format(
        'create or replace trigger pgmqd_doorbell after insert on pgmq.%I for each statement '
            'when (not (pg_catalog.pg_try_advisory_lock(%s) and pg_catalog.pg_advisory_unlock(%2$s))) '
            'execute function pgmqd.doorbell(%L)',
        'q_' || queue, pg_catalog.hashtextextended('pgmqd:' || queue, 0), queue
    );
end
$$;

comment on function pgmqd.hang_doorbell(text) is 'Makes a queue wake the daemons that sleep on it. Needs the owner of its table.';
