{{ config(
    materialized=grows_by_load(),
    unique_key='line_key',
    enabled=(env_var('SMARTRETAIL_RETURN_LABEL', 'observed') == 'observed'),
) }}
-- depends_on: {{ ref('int_changed_owners') }}, {{ ref('int_changed_lines') }}

{%- set until = outcomes_until() %}
{%- set told = history_columns(ref('int_lines_at_order')) %}

with line_versions as (

    select * from {{ ref('int_order_lines') }}
    where returned is not null and returned_at is null

),

returns as (

    select * from {{ ref('int_returns') }}
    {%- if until is not none %}
    where known_on < {{ until }}
    {%- endif %}

),

-- From its first dated return on, a shop is known to date them: silence then means "kept".
shop_returns as (

    select min(known_on) as dated_from from returns
    where is_dated

),

requests as (

    select
        horizon_days,
        max(as_of_date) as newest_as_of_date
    from {{ ref('int_as_of_dates') }}
    where prediction = 'return_risk'
    group by 1

),

horizons as (

    select horizon_days from requests
    union
    select {{ var('return_window_days') }} as horizon_days

),

data_window as (

    select
        {{ add_days('newest_on', 1) }} as closed_until,
        greatest(
            {{ add_days('newest_on', 1) }}, (select max(requests.newest_as_of_date) from requests)
        ) as known_until
    from {{ ref('int_data_window') }}

),
{%- if is_increment() %}

-- What is open may close by the mere course of time, once it is due. When what is asked of a line
-- changes, or whether silence means "kept", all lines are asked anew.
due_lines as (

    select present.line_key from {{ this }} as present
    inner join data_window on present.due_on <= data_window.known_until
    where present.label_known_at is null

),

changed_frame as (

    select horizon_days from horizons
    where horizon_days not in (select distinct present.horizon_days from {{ this }} as present)

    union all

    select 0 as horizon_days from shop_returns
    where dated_from is distinct from (select max(present.dated_from) from {{ this }} as present)

),

asked_lines as (

    select line_key from {{ ref('int_changed_lines') }}

    union

    select line_key from due_lines

    union

    select line_key from {{ ref('int_lines_at_order') }}
    where exists (select 1 from changed_frame)

),
{%- endif %}

-- picked first: nobody can tell beforehand how few they are
lines as {% if is_increment() %}materialized {% endif %}(

    select * from {{ ref('int_lines_at_order') }}
    {%- if is_increment() %}
    where line_key in (select asked_lines.line_key from asked_lines)
    {%- endif %}

),

windows as (

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
        -- what is stated without a date is settled when the line can no longer come back
        greatest(
            {{ label_known_at(
                'lines.ordered_on',
                'greatest(horizons.horizon_days, ' ~ var('return_window_days') ~ ')'
            ) }},
            lines.as_of_date
        ) as settled_on
    from lines
    cross join horizons

),

-- Partly returned lines came back. Cancellations of the same day did, too.
returned as (

    select
        windows.line_key,
        windows.horizon_days,
        min(returns.known_on) filter (
            where returns.is_dated and returns.known_on < windows.due_on
        ) as returned_known_on,
        max(case when {{ version_known_before('returns', 'windows.due_on') }} then 1 else 0 end)
            as is_returned
    from windows
    inner join returns on windows.line_key = returns.line_key
    where
        not returns.is_dated
        or {{ happened_in_window(
            'returns', 'windows.ordered_on', 'windows.horizon_days', happened='returned'
        ) }}
    group by 1, 2

),

-- Without dates, what the line itself says, from when it is settled or from when it was said.
statements as (

    select
        windows.line_key,
        windows.horizon_days,
        line_versions.returned,
        line_versions.known_on,
        greatest(windows.settled_on, {{ add_days('line_versions.known_on', 1) }}) as stated_on
    from windows
    inner join line_versions on windows.line_key = line_versions.line_key
    cross join shop_returns
    where
        (shop_returns.dated_from is null or shop_returns.dated_from >= windows.due_on)
        and {{ version_known_before(
            'line_versions',
            'greatest(windows.settled_on, ' ~ add_days('line_versions.known_on', 1) ~ ')'
        ) }}

),

first_statements as (

    select * from (
        select
            *,
            row_number() over (
                partition by line_key, horizon_days order by stated_on, known_on
            ) as statement_number
        from statements
    ) as numbered
    where statement_number = 1

),

outcomes as (

    select
        windows.*,
        returned.returned_known_on,
        shop_returns.dated_from,
        coalesce(shop_returns.dated_from < windows.due_on, false) as is_dated,
        case
            when shop_returns.dated_from < windows.due_on then coalesce(returned.is_returned, 0)
            else first_statements.returned
        end as label,
        case
            when shop_returns.dated_from < windows.due_on then windows.due_on
            else first_statements.stated_on
        end as label_known_at
    from windows
    left join returned
        on
            windows.line_key = returned.line_key
            and windows.horizon_days = returned.horizon_days
    left join first_statements
        on
            windows.line_key = first_statements.line_key
            and windows.horizon_days = first_statements.horizon_days
    cross join shop_returns

),

-- Silence means "kept" only once the shop's data reach so far; a statement speaks for itself.
closed_outcomes as (

    select
        outcomes.*,
        coalesce(
            outcomes.label_known_at <= case
                when outcomes.is_dated then data_window.closed_until else data_window.known_until
            end
            {%- if until is not none %}
            and outcomes.label_known_at <= {{ until }}
            {%- endif %},
            false
        ) as is_closed
    from outcomes
    cross join data_window

),

final as (

    select
        line_key,
        {%- for column in told %}
        {{ column }},
        {%- endfor %}
        ordered_on,
        as_of_date,
        horizon_days,
        due_on,
        is_dated,
        case when is_closed then label end as label,
        case when is_closed then label_known_at end as label_known_at,
        returned_known_on,
        case
            when is_dated then least(due_on, {{ add_days('returned_known_on', 1) }})
            when is_closed then label_known_at
            -- the shop has begun to date its returns: nobody will say any more about this one
            when dated_from is not null then greatest(due_on, {{ add_days('dated_from', 1) }})
        end as open_until,
        dated_from
    from closed_outcomes

)

select * from final
