with requests as (

    select * from {{ source('shop', 'as_of_requests') }}

),

order_lines as (

    select * from {{ ref('int_order_lines') }}

),

-- The first midnight at which somebody is known. A date before it has no rows, and would be missing
-- whenever something is built.
first_known as (

    select {{ add_days('min(greatest(ordered_on, known_on))', 1) }} as as_of_date
    from order_lines
    where customer_id is not null

),

horizons as (

    select
        prediction,
        horizon_days,
        max(as_of_date) as newest_as_of_date
    from requests
    group by 1, 2

),

days as (

    {{ days_from_to(
        '(select first_known.as_of_date from first_known)',
        '(select max(newest_as_of_date) from horizons)'
    ) }}

),

-- The fixed grid: month starts, or Mondays where the horizon is short. It does not hang on when
-- anybody ran anything, so two builds of the same shop share their dates.
grid as (

    select
        horizons.prediction,
        horizons.horizon_days,
        days.date_day as as_of_date
    from days
    inner join horizons on days.date_day <= horizons.newest_as_of_date
    where
        (horizons.horizon_days >= 60 and extract(day from days.date_day) = 1)
        or (horizons.horizon_days < 60 and {{ iso_weekday('days.date_day') }} = 1)

),

all_dates as (

    select
        prediction,
        horizon_days,
        as_of_date
    from grid

    union

    select
        prediction,
        horizon_days,
        as_of_date
    from requests

),

final as (

    select
        prediction,
        horizon_days,
        as_of_date,
        {{ label_known_at('as_of_date', 'horizon_days') }} as label_known_at
    from all_dates

)

select * from final
