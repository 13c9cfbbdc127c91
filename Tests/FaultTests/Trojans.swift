import PGMQWorker
import Postgres
import TestSupport

/// What a stranger may put into `public`: functions, aggregates, operators, types and views under PostgreSQL's own names,
/// which fit our calls better than the originals, or as well. Each notes that it was used and does what the original does.
struct Trojans {
    let database: TestDatabase

    /// Each overload of these functions gets a twin if its parameters have ordinary types.
    static let functions: Set<String> = [
        "clock_timestamp", "current_database", "current_setting", "date_part", "extract", "generate_series",
        "hashtextextended", "has_table_privilege", "make_interval", "now", "octet_length", "pg_advisory_lock",
        "pg_advisory_lock_shared", "pg_advisory_unlock", "pg_advisory_unlock_shared", "pg_advisory_xact_lock",
        "pg_backend_pid", "pg_get_triggerdef", "pg_notify", "pg_try_advisory_lock", "quote_ident", "set_config",
        "statement_timestamp", "strpos", "timezone", "to_char", "to_regclass", "to_regproc", "jsonb_typeof",
        "format_type", "has_any_column_privilege", "has_schema_privilege", "pg_get_expr", "pg_has_role",
        "pg_partition_tree", "quote_literal", "regexp_match", "row_security_active", "split_part",
    ]

    /// These functions and aggregates get overloads that PostgreSQL does not have.
    static let others: Set<String> = [
        "array_agg", "array_to_string", "cardinality", "count", "format", "json_build_object", "jsonb_agg",
        "jsonb_build_array", "jsonb_build_object", "jsonb_extract_path", "max", "min", "pg_column_size", "string_agg",
        "unnest",
    ]

    /// - Parameter path: the search_path of all who connect from now on.
    func plant(path: String) async throws {
        let names = Self.functions.sorted().map { "'\($0)'" }.joined(separator: ", ")
        try await database.server.postgres.psql(
            Self.script.replacing("FUNCTIONS", with: names)
                + "alter database \(database.name) set search_path = \(path);",
            database: database.name
        )
    }

    /// Names that a program of ours used, each with the connection on which it did.
    func victims() async throws -> [String] {
        let rows = try await database.sql(
            "select distinct name operator(pg_catalog.||) ' on ' operator(pg_catalog.||) who from public.trojan "
                + "where who operator(pg_catalog.<>) 'test' order by 1"
        )
        return (0..<rows.count).map { rows.text($0, 0) ?? "" }
    }

    /// Whether a statement of the test's own, which qualifies nothing, uses this one.
    func catches(_ statement: String, as name: String) async throws -> Bool {
        try await database.sql(statement)
        return try await database.int(
            """
            select pg_catalog.count(*) from public.trojan
            where who operator(pg_catalog.=) 'test' and name operator(pg_catalog.=) $1
            """,
            [.text(name)]
        ) > 0
    }

    private static let script = #"""
        set search_path = pg_catalog;
        create table public.trojan (name text, who text);
        grant insert on public.trojan to public;
        create function public.trojan_used(name text) returns boolean language plpgsql as $$
        begin
            insert into public.trojan values (name, pg_catalog.current_setting('application_name'));
            return true;
        exception when others then
            return true;
        end $$;

        -- Twins of functions.
        do $plant$
        declare
            f record;
        begin
            for f in
                select p.oid, p.proname, p.proretset, p.pronargs, p.prorettype = 'void'::regtype as isvoid
                from pg_proc p
                where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.provariadic = 0
                    and p.proname in (FUNCTIONS)
                    and not exists (
                        select from unnest(p.proargtypes::oid[]) a join pg_type t on t.oid = a where t.typtype = 'p'
                    )
            loop
                execute format(
                    'create function public.%I(%s) returns %s language plpgsql as %L',
                    f.proname, pg_get_function_arguments(f.oid), pg_get_function_result(f.oid),
                    format(
                        'begin perform public.trojan_used(%L); %s pg_catalog.%I(%s); end',
                        f.proname,
                        case when f.isvoid then 'perform' when f.proretset then 'return query select' else 'return' end,
                        f.proname,
                        (select string_agg('$' || n, ', ' order by n) from generate_series(1, f.pronargs) n)
                    )
                );
            end loop;
        end $plant$;

        -- Overloads that fit better than any of PostgreSQL's.
        do $plant$
        declare
            f text[];
        begin
            foreach f slice 1 in array array[
                array['hashtextextended', 'text, int', 'bigint', '$1, $2::bigint'],
                array['cardinality', 'bigint[]', 'int', '$1'],
                array['array_to_string', 'bigint[], text', 'text', '$1, $2'],
                array['make_interval', 'secs double precision', 'interval', 'secs => $1'],
                array['has_table_privilege', 'regclass, text', 'boolean', '$1::pg_catalog.oid, $2'],
                array['jsonb_build_object', 'text, jsonb', 'jsonb', '$1, $2'],
                array['jsonb_build_object', 'text, int', 'jsonb', '$1, $2'],
                array['jsonb_build_array', 'jsonb', 'jsonb', '$1'],
                array['json_build_object', 'text, int, text, bigint, text, text, text, text', 'json',
                    '$1, $2, $3, $4, $5, $6, $7, $8'],
                array['jsonb_extract_path', 'jsonb, text[]', 'jsonb', '$1, variadic $2'],
                array['pg_column_size', 'jsonb', 'int', '$1'],
                array['format', 'text, text', 'text', '$1, $2'],
                array['format', 'text, text, bigint, text', 'text', '$1, $2, $3, $4'],
                array['generate_series', 'int, bigint', 'setof bigint', '$1::bigint, $2'],
                array['unnest', 'bigint[]', 'setof bigint', '$1'],
                array['unnest', 'int[]', 'setof int', '$1'],
                array['unnest', 'text[]', 'setof text', '$1'],
                array['unnest', 'timestamptz[]', 'setof timestamptz', '$1'],
                array['unnest', 'jsonb[]', 'setof jsonb', '$1']
            ] loop
                execute format(
                    'create function public.%I(%s) returns %s language plpgsql as %L', f[1], f[2], f[3],
                    format(
                        case when f[3] like 'setof %' then
                            'begin perform public.trojan_used(%L); return query select pg_catalog.%I(%s); end'
                        else 'begin perform public.trojan_used(%L); return pg_catalog.%I(%s); end' end,
                        f[1], f[1], f[4]
                    )
                );
            end loop;
        end $plant$;

        -- Aggregates.
        create function public.trojan_count(bigint) returns bigint language plpgsql as
            $$ begin perform public.trojan_used('count'); return $1 operator(pg_catalog.+) 1; end $$;
        create aggregate public.count(*) (sfunc = public.trojan_count, stype = bigint, initcond = '0');
        create function public.trojan_jsonb_agg(jsonb, jsonb) returns jsonb language plpgsql as
            $$ begin perform public.trojan_used('jsonb_agg'); return coalesce($1, '[]') operator(pg_catalog.||) $2; end $$;
        create aggregate public.jsonb_agg(jsonb) (sfunc = public.trojan_jsonb_agg, stype = jsonb);
        create function public.trojan_string_agg(text, text, text) returns text language plpgsql as
            $$ begin perform public.trojan_used('string_agg'); return pg_catalog.concat_ws($3, $1, $2); end $$;
        create aggregate public.string_agg(text, text) (sfunc = public.trojan_string_agg, stype = text);
        do $plant$
        declare
            t text;
        begin
            foreach t in array array['int', 'bigint', 'text', 'timestamptz'] loop
                execute format(
                    'create function public.trojan_max(%1$s, %1$s) returns %1$s language plpgsql as %2$L', t,
                    'begin perform public.trojan_used(''max''); return greatest($1, $2); end'
                );
                execute format('create aggregate public.max(%1$s) (sfunc = public.trojan_max, stype = %1$s)', t);
                execute format(
                    'create function public.trojan_min(%1$s, %1$s) returns %1$s language plpgsql as %2$L', t,
                    'begin perform public.trojan_used(''min''); return least($1, $2); end'
                );
                execute format('create aggregate public.min(%1$s) (sfunc = public.trojan_min, stype = %1$s)', t);
                execute format(
                    'create function public.trojan_agg(%1$s[], %1$s) returns %1$s[] language plpgsql as %2$L', t,
                    'begin perform public.trojan_used(''array_agg''); return pg_catalog.array_append($1, $2); end'
                );
                execute format('create aggregate public.array_agg(%1$s) (sfunc = public.trojan_agg, stype = %1$s[])', t);
            end loop;
        end $plant$;

        -- Operators: twins of all between the types of our statements, and three that fit better.
        do $plant$
        declare
            o record;
        begin
            for o in
                select oid, oprname, oprleft::regtype as l, oprright::regtype as r, oprresult::regtype as result
                from pg_operator
                where oprnamespace = 'pg_catalog'::regnamespace and oprkind = 'b'
                    and oprname in ('=', '<>', '<', '>', '<=', '>=', '+', '-', '*', '||')
                    and oprleft in ('smallint'::regtype, 'int'::regtype, 'bigint'::regtype, 'text'::regtype,
                        'timestamptz'::regtype, 'interval'::regtype, 'tid'::regtype, 'oid'::regtype, 'name'::regtype,
                        '"char"'::regtype, 'jsonb'::regtype, 'double precision'::regtype, 'boolean'::regtype)
                    and oprright in ('smallint'::regtype, 'int'::regtype, 'bigint'::regtype, 'text'::regtype,
                        'timestamptz'::regtype, 'interval'::regtype, 'tid'::regtype, 'oid'::regtype, 'name'::regtype,
                        '"char"'::regtype, 'jsonb'::regtype, 'double precision'::regtype, 'boolean'::regtype)
                union all
                select 1, '*', 'bigint'::regtype, 'interval'::regtype, 'interval'::regtype
                union all
                select 2, '=', 'regclass'::regtype, 'oid'::regtype, 'boolean'::regtype
                union all
                select 3, '=', 'oid'::regtype, 'regclass'::regtype, 'boolean'::regtype
            loop
                execute format(
                    'create function public.trojan_operator_%s(%s, %s) returns %s language plpgsql as %L',
                    o.oid, o.l, o.r, o.result,
                    format(
                        'begin perform public.trojan_used(%L); return $1%s operator(pg_catalog.%s) $2%s; end',
                        'operator ' || o.oprname, case o.oid when 1 then '::double precision' when 2 then '::pg_catalog.oid' end,
                        o.oprname, case o.oid when 3 then '::pg_catalog.oid' end
                    )
                );
                execute format(
                    'create operator public.%s (leftarg = %s, rightarg = %s, function = public.trojan_operator_%s)',
                    o.oprname, o.l, o.r, o.oid
                );
            end loop;
        end $plant$;

        -- Views in the catalog's place, and types.
        do $plant$
        declare
            n text;
        begin
            foreach n in array array['pg_class', 'pg_namespace', 'pg_attribute', 'pg_index', 'pg_trigger', 'pg_proc',
                'pg_locks', 'pg_database', 'pg_settings', 'pg_policy', 'pg_partitioned_table', 'pg_extension']
            loop
                execute format(
                    'create view public.%I as select %s from pg_catalog.%1$I where public.trojan_used(%3$L)', n,
                    (
                        select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
                        where attrelid = ('pg_catalog.' || n)::regclass and attnum > 0 and atttypid <> 'anyarray'::regtype
                    ),
                    'view ' || n
                );
            end loop;
            foreach n in array array['text', 'jsonb', 'timestamptz', 'tid', 'oid', 'regclass', 'float8', 'int4', 'int8',
                'bool', 'name']
            loop
                execute format(
                    'create domain public.%I as pg_catalog.%1$I check (public.trojan_used(%L))', n, 'type ' || n
                );
            end loop;
        end $plant$;

        """#
}
