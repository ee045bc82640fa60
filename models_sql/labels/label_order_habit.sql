{{ config(indexes=[{'columns': ['as_of_date', 'customer_id']}]) }}

with label_windows as (

    {{ missing_label_windows('order_habit') }}

),

orders as (

    select * from {{ ref('int_orders') }}
    where customer_id is not null

),

known_customers as (

    select distinct
        orders.customer_id,
        label_windows.as_of_date,
        label_windows.horizon_days,
        label_windows.label_known_at
    from label_windows
    inner join orders on {{ known_before('orders', 'label_windows.as_of_date') }}

),

reorders as (

    select distinct
        orders.customer_id,
        label_windows.as_of_date,
        label_windows.horizon_days
    from label_windows
    inner join orders
        on {{ in_label_window('orders', 'label_windows.as_of_date', 'label_windows.horizon_days') }}

),

final as (

    select
        known_customers.customer_id,
        known_customers.as_of_date,
        known_customers.horizon_days,
        case when reorders.customer_id is not null then 1 else 0 end as label,
        known_customers.label_known_at
    from known_customers
    left join reorders
        on
            known_customers.customer_id = reorders.customer_id
            and known_customers.as_of_date = reorders.as_of_date
            and known_customers.horizon_days = reorders.horizon_days

)

select * from final
