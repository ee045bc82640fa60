with order_lines as (

    select
        customer_id,
        product_id,
        ordered_on,
        greatest(known_on, ordered_on) as known_on,
        superseded_on,
        quantity,
        unit_price
    from {{ ref('int_order_lines') }}
    where product_id is not null

),

-- What the product was when the line was known: how old, how often sold, by what was known then.
lines_in_their_time as (

    select
        customer_id,
        known_on,
        superseded_on,
        ln(1 + cast(unit_price as {{ type_double() }})) as log_price,
        ln(1 + cast(quantity as {{ type_double() }})) as log_quantity,
        {{ days_between('min(ordered_on) over product_so_far', 'ordered_on') }} as age_days,
        ln(cast(count(*) over product_so_far as {{ type_double() }})) as log_popularity
    from order_lines
    where superseded_on is null or superseded_on > known_on
    window product_so_far as (
        partition by product_id order by known_on
        range between unbounded preceding and current row
    )

),

customer_lines as (

    select * from lines_in_their_time
    where customer_id is not null

),

changes as (

    select
        customer_id,
        known_on as changed_on,
        1 as line_change,
        log_price,
        log_price * log_price as log_price_squared,
        log_quantity,
        age_days,
        log_popularity
    from customer_lines

    union all

    select
        customer_id,
        superseded_on as changed_on,
        -1 as line_change,
        -log_price as log_price,
        -log_price * log_price as log_price_squared,
        -log_quantity as log_quantity,
        -age_days as age_days,
        -log_popularity as log_popularity
    from customer_lines
    where superseded_on is not null

),

final as (

    select
        customer_id,
        changed_on,
        cast(sum(line_change) as integer) as line_change,
        sum(log_price) as log_price_change,
        sum(log_price_squared) as log_price_squared_change,
        sum(log_quantity) as log_quantity_change,
        cast(sum(age_days) as bigint) as age_days_change,
        sum(log_popularity) as log_popularity_change
    from changes
    group by customer_id, changed_on

)

select * from final
