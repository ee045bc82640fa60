{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'own')) }}

{%- set attributes = columns_like(source('own', 'customers'), 'attribute_customer_') %}

with customers as (

    select * from {{ source('own', 'customers') }}
    -- who is gone from the shop's table stays known for what was bought
    where not _is_gone

),

loads as (

    {{ loads_of('customers') }}

),

opening as (

    select min(ordered_at) as opened_at from {{ ref('stg_own__orders') }}

),

first_orders as (

    select
        customer_id,
        min(known_at) as known_at
    from {{ ref('stg_own__order_lines') }}
    where customer_id is not null
    group by 1

),

-- Master data have no time: those of the first load hold from the beginning, later ones are late.
versions as (

    select
        customers.*,
        {{ known_at('cast(null as timestamp)', 'opening.opened_at', 'loads') }} as known_at,
        row_number() over (
            partition by customers.customer_id
            order by customers._load_id, customers._file_number, customers._row_number
        ) as version_number
    from customers
    inner join loads on customers._load_id = loads.load_id
    cross join opening

),

-- Nobody is known later than they order, and who orders is a customer whether listed or not.
final as (

    select
        coalesce(versions.customer_id, first_orders.customer_id) as customer_id,
        {%- for attribute in attributes %}
        versions.{{ attribute }},
        {%- endfor %}
        case
            when versions.version_number > 1 then versions.known_at
            else least(versions.known_at, first_orders.known_at)
        end as known_at
    from versions
    full outer join first_orders on versions.customer_id = first_orders.customer_id

)

select * from final
