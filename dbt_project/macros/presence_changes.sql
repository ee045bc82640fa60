{#-
    The days on which a combination of keys appeared among the known lines of a relation (+1) or,
    after a correction, vanished from them (-1). Summing the changes before an as-of date counts the
    distinct combinations known by then. The last key may be empty: such lines are left out.
-#}
{% macro presence_changes(relation, keys) -%}
    {%- set key_list = keys | join(', ') %}
    select
        {{ key_list }},
        changed_on,
        case when line_count > 0 then 1 else -1 end as presence_change
    from (
        select
            {{ key_list }},
            changed_on,
            line_count,
            lag(line_count) over combination as previous_line_count
        from (
            select
                {{ key_list }},
                changed_on,
                sum(sum(line_change)) over (
                    partition by {{ key_list }} order by changed_on
                ) as line_count
            from (
                select {{ key_list }}, known_on as changed_on, 1 as line_change
                from {{ relation }}
                union all
                select {{ key_list }}, superseded_on as changed_on, -1 as line_change
                from {{ relation }}
                where superseded_on is not null
            ) as line_changes
            where {{ keys[-1] }} is not null
            group by {{ key_list }}, changed_on
        ) as running
        window combination as (partition by {{ key_list }} order by changed_on)
    ) as compared
    where (line_count > 0) <> (coalesce(previous_line_count, 0) > 0)
{%- endmacro %}
