with runs as (

    select * from {{ source('predictions', 'runs') }}

),

-- whole years, as BI tools want them
bounds as (

    select
        cast({{ dbt.date_trunc('year', 'min(as_of_date)') }} as date) as first_day,
        {{ add_days(
            'cast(' ~ dbt.date_trunc('year', add_days('max(as_of_date)', 366)) ~ ' as date)', -1
        ) }} as last_day
    from runs

),

days as (

    {{ days_from_to('(select first_day from bounds)', '(select last_day from bounds)') }}

),

final as (

    select
        date_day,
        cast({{ dbt.date_trunc('month', 'date_day') }} as date) as month_start,
        cast(extract(year from date_day) as integer) as calendar_year,
        cast(extract(quarter from date_day) as integer) as quarter_of_year,
        {{ month_of('date_day') }} as month_of_year,
        {{ iso_weekday('date_day') }} as day_of_week
    from days

)

select * from final
