{{ config(enabled=(env_var('SMARTRETAIL_RETURN_LABEL', 'observed') == 'proxy')) }}

{%- set told = history_columns(ref('int_lines_at_order')) %}

-- A rule in place of an outcome, for shops that record no returns: never the default, and marked
-- wherever it is shown. What is learned from it is the rule.
with lines as (

    select * from {{ ref('int_lines_at_order') }}

),

horizons as (

    select distinct horizon_days from {{ ref('int_as_of_dates') }}
    where prediction = 'return_risk'
    union
    select {{ var('return_window_days') }} as horizon_days

),

data_window as (

    select {{ add_days('newest_on', 1) }} as closed_until
    from {{ ref('int_data_window') }}

),

daily_values as (

    select
        {{ add_days('as_of_date', -1) }} as changed_on,
        count(*) as line_count,
        sum(net_amount) as net_amount
    from lines
    group by 1

),

values_so_far as (

    {{ known_before_each_day('daily_values', [], ['line_count', 'net_amount']) }}

),

judged_lines as (

    select
        lines.line_key,
        {%- for column in told %}
        lines.{{ column }},
        {%- endfor %}
        lines.ordered_on,
        lines.as_of_date,
        horizons.horizon_days,
        greatest(
            {{ label_known_at('lines.ordered_on', 'horizons.horizon_days') }},
            lines.as_of_date
        ) as due_on,
        case
            when
                lines.discount >= {{ var('proxy_discount') }}
                and lines.net_amount * values_so_far.line_count < values_so_far.net_amount
                then 1
            else 0
        end as label
    from lines
    cross join horizons
    left join values_so_far
        on lines.as_of_date = {{ add_days('values_so_far.changed_on', 1) }}

),

final as (

    select
        judged_lines.line_key,
        {%- for column in told %}
        judged_lines.{{ column }},
        {%- endfor %}
        judged_lines.ordered_on,
        judged_lines.as_of_date,
        judged_lines.horizon_days,
        judged_lines.due_on,
        false as is_dated,
        case when judged_lines.due_on <= data_window.closed_until then judged_lines.label end
            as label,
        case when judged_lines.due_on <= data_window.closed_until then judged_lines.due_on end
            as label_known_at,
        cast(null as date) as returned_known_on,
        judged_lines.due_on as open_until
    from judged_lines
    cross join data_window

)

select * from final
