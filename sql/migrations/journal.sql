create schema if not exists pgmqd;

create table if not exists pgmqd.migration (
    version    int primary key,
    applied_at timestamptz not null default now()
);

-- One row a delivery that is worth remembering: a claim of a message that had been read before opens one, every
-- outcome closes it, a failed attempt always has one. A success on the first delivery writes nothing here.
create table pgmqd.journal (
    queue       text not null,
    msg_id      bigint not null,
    enqueued_at timestamptz not null,
    read_ct     int not null,
    daemon      text not null,
    host        text not null,
    version     text not null,
    opened_at   timestamptz not null default clock_timestamp(),
    closed_at   timestamptz,
    -- null: open. failed, timed_out: attempts. Else retry, snooze, released, lost, phantom, condemned.
    outcome     text,
    -- The attempt's number; null where none was spent.
    attempt     int,
    duration_ms bigint,
    reason      text,
    primary key (queue, msg_id, enqueued_at, read_ct)
);

create index journal_open on pgmqd.journal (daemon, queue) where outcome is null;

alter table pgmqd.journal set (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    fillfactor = 80
);

comment on table pgmqd.journal is 'What pgmqd remembers of messages that did not succeed at once.';
