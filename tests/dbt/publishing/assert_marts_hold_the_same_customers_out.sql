-- If this fails, a customer is held out in one mart and acted on by another. It runs before the
-- publish event is written, on the runs that may still be published.
with runs_to_check as (

    select * from {{ ref('stg_predictions__runs_to_check') }}

),

flags as (

    select
        run_id,
        customer_id,
        is_holdout
    from {{ ref('order_habit_rows') }}

    union all

    select
        run_id,
        customer_id,
        is_holdout
    from {{ ref('customers_rows') }}

    union all

    select
        run_id,
        customer_id,
        is_holdout
    from {{ ref('return_risk_rows') }}
    where customer_id is not null

    union all

    select
        run_id,
        customer_id,
        is_holdout
    from {{ ref('purchase_potential_rows') }}

)

select flags.customer_id
from flags
inner join runs_to_check on flags.run_id = runs_to_check.run_id
group by flags.customer_id
having min(cast(flags.is_holdout as integer)) <> max(cast(flags.is_holdout as integer))
