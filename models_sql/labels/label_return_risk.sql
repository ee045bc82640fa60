{{ config(indexes=[{'columns': ['line_key']}]) }}

with outcomes as (

    select * from {{ ref('int_line_outcomes') }}

),

requests as (

    select
        horizon_days,
        max(as_of_date) as newest_as_of_date
    from {{ ref('int_as_of_dates') }}
    where prediction = 'return_risk'
    group by 1

),

final as (

    select
        outcomes.line_key,
        outcomes.as_of_date,
        outcomes.horizon_days,
        outcomes.label,
        outcomes.label_known_at
    from outcomes
    inner join requests
        on
            outcomes.horizon_days = requests.horizon_days
            and outcomes.as_of_date <= requests.newest_as_of_date
    {%- if is_incremental() %}
    left join {{ this }} as present
        on
            outcomes.line_key = present.line_key
            and outcomes.horizon_days = present.horizon_days
    {%- endif %}
    where
        outcomes.label is not null
        {%- if is_incremental() %}
        and present.line_key is null
        {%- endif %}

)

select * from final
