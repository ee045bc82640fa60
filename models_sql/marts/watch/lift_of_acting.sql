{{ config(tags=['outcomes']) }}

with actions as (

    select
        customer_id,
        action,
        prediction,
        cast(acted_at as date) as acted_on,
        cast(known_at as date) as known_on,
        cast(null as date) as superseded_on
    from {{ source('shop', 'actions') }}

),

outcomes as (

    select * from {{ ref('prediction_outcomes') }}
    where
        is_last_published
        and customer_id is not null
        and score_kind in ('customer', 'product', 'line')
        -- where nobody acted, nothing is counted
        and exists (select 1 from actions)

),

-- One row per customer: whether any of their scores came true, and the money that moved.
customers as (

    select
        run_id,
        prediction,
        as_of_date,
        horizon_days,
        published_at,
        customer_id,
        min(decile) as stratum,
        max(label) as came_true,
        sum(realised_amount) as amount,
        max(case when is_holdout then 1 else 0 end) as is_held_out
    from outcomes
    group by run_id, prediction, as_of_date, horizon_days, published_at, customer_id

),

acted_on as (

    select distinct
        customers.run_id,
        customers.customer_id,
        actions.action
    from customers
    inner join actions
        on
            customers.customer_id = actions.customer_id
            and (actions.prediction is null or customers.prediction = actions.prediction)
            and {{ in_label_window(
                'actions', 'customers.as_of_date', 'customers.horizon_days', happened='acted'
            ) }}

),

acts_of_runs as (

    select distinct
        run_id,
        action
    from acted_on

),

customers_acted_on as (

    select distinct
        run_id,
        customer_id
    from acted_on

),

-- Held out on purpose and left alone, beside acted on and not held out.
groups as (

    select
        acted_on.action,
        customers.*,
        1 as is_acted_on
    from acted_on
    inner join customers
        on
            acted_on.run_id = customers.run_id
            and acted_on.customer_id = customers.customer_id
    where customers.is_held_out = 0

    union all

    select
        acts_of_runs.action,
        customers.*,
        0 as is_acted_on
    from acts_of_runs
    inner join customers on acts_of_runs.run_id = customers.run_id
    left join customers_acted_on
        on
            customers.run_id = customers_acted_on.run_id
            and customers.customer_id = customers_acted_on.customer_id
    where customers.is_held_out = 1 and customers_acted_on.customer_id is null

),

-- Customers of one decile are alike enough to be compared, whoever was chosen to be acted on.
strata as (

    select
        run_id,
        prediction,
        as_of_date,
        horizon_days,
        published_at,
        action,
        {%- for group, flag in [('acted', 1), ('held', 0)] %}
        cast(sum(case when is_acted_on = {{ flag }} then 1 else 0 end) as {{ type_double() }})
            as {{ group }}_count,
        avg(case when is_acted_on = {{ flag }} then came_true end) as {{ group }}_rate,
        avg(case when is_acted_on = {{ flag }} then amount end) as {{ group }}_amount,
        coalesce(var_samp(case when is_acted_on = {{ flag }} then came_true end), 0)
            as {{ group }}_rate_variance,
        coalesce(var_samp(case when is_acted_on = {{ flag }} then amount end), 0)
            as {{ group }}_amount_variance,
        {%- endfor %}
        stratum
    from groups
    group by run_id, prediction, as_of_date, horizon_days, published_at, action, stratum

),

compared_strata as (

    select
        *,
        {%- for group in ['acted', 'held'] %}
        {%- for figure in ['rate', 'amount'] %}
        -- small strata lend their spread to one another
        sum(({{ group }}_count - 1) * {{ group }}_{{ figure }}_variance) over in_run
        / nullif(sum({{ group }}_count - 1) over in_run, 0) as {{ group }}_{{ figure }}_spread,
        {%- endfor %}
        {%- endfor %}
        acted_count / sum(acted_count) over in_run as weight
    from strata
    where acted_count > 0 and held_count > 0
    window in_run as (partition by run_id, action)

),

compared as (

    select
        run_id,
        action,
        sum(acted_count) as acted_count,
        sum(held_count) as held_count,
        sum(weight * acted_rate) as acted_rate,
        sum(weight * held_rate) as held_rate,
        sum(weight * acted_amount) as acted_amount,
        sum(weight * held_amount) as held_amount,
        sqrt(
            sum(weight * weight * (acted_rate_spread / acted_count + held_rate_spread / held_count))
        ) as rate_error,
        sqrt(
            sum(
                weight * weight
                * (acted_amount_spread / acted_count + held_amount_spread / held_count)
            )
        ) as amount_error
    from compared_strata
    group by run_id, action

),

counted as (

    select
        run_id,
        prediction,
        as_of_date,
        horizon_days,
        published_at,
        action,
        sum(acted_count) as acted_count,
        sum(held_count) as held_count
    from strata
    group by run_id, prediction, as_of_date, horizon_days, published_at, action

),

spoiled as (

    select
        acted_on.run_id,
        acted_on.action,
        count(*) as spoiled_count
    from acted_on
    inner join customers
        on
            acted_on.run_id = customers.run_id
            and acted_on.customer_id = customers.customer_id
    where customers.is_held_out = 1
    group by acted_on.run_id, acted_on.action

),

final as (

    select
        counted.prediction,
        counted.as_of_date,
        counted.horizon_days,
        counted.action,
        cast(counted.acted_count as integer) as acted_count,
        cast(counted.held_count as integer) as held_out_count,
        cast(coalesce(spoiled.spoiled_count, 0) as integer) as held_out_but_acted_count,
        cast(coalesce(compared.acted_count, 0) as integer) as compared_count,
        compared.acted_rate,
        compared.held_rate as held_out_rate,
        {{ with_interval(
            'lift_of_rate', '(compared.acted_rate - compared.held_rate)', 'compared.rate_error',
            'least(compared.acted_count, compared.held_count) >= 10',
        ) }},
        compared.acted_amount,
        compared.held_amount as held_out_amount,
        {{ with_interval(
            'lift_of_amount', '(compared.acted_amount - compared.held_amount)',
            'compared.amount_error', 'least(compared.acted_count, compared.held_count) >= 10',
        ) }},
        counted.run_id,
        counted.published_at
    from counted
    left join compared
        on
            counted.run_id = compared.run_id
            and counted.action = compared.action
    left join spoiled
        on
            counted.run_id = spoiled.run_id
            and counted.action = spoiled.action
    where counted.acted_count > 0

)

select * from final
