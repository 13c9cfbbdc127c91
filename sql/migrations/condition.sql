-- The trigger asks in its condition whether somebody sleeps: while nobody does, which is the most of a busy queue's
-- life, a send pays for no call of a function. The lock's key stands there as a number, for a condition is read and
-- planned anew with every send. Another server that the queue is restored to might make another key of the name: who
-- would sleep looks for its own key first. The function asks once more: it may hang bare, from before.
create function pgmqd.hang_doorbell(queue text) returns void language plpgsql as $$
begin
    execute pg_catalog.format(
        'create or replace trigger pgmqd_doorbell after insert on pgmq.%I for each statement '
            'when (not (pg_catalog.pg_try_advisory_lock(%L::bigint) and pg_catalog.pg_advisory_unlock(%2$L::bigint))) '
            'execute function pgmqd.doorbell(%L)',
        'q_' || queue, pg_catalog.hashtextextended('pgmqd:' || queue, 0), queue
    );
end
$$;

comment on function pgmqd.hang_doorbell(text) is
    'Makes a queue, named in lower case, wake the daemons that sleep on it. Needs the right to hang a trigger there.';
comment on function pgmqd.doorbell() is 'Of the trigger that pgmqd.hang_doorbell hangs; its argument is the queue''s name.';
