{{ config(materialized=grows_by_load(), unique_key='line_key') }}

{%- set line_attributes = columns_like(ref('int_order_lines'), 'attribute_') %}
{%- set product_attributes = columns_like(ref('int_products'), 'attribute_') %}
{%- set customer_attributes = columns_like(ref('int_customers'), 'attribute_') %}

with order_lines as (

    select
        *,
        {{ add_days('greatest(ordered_on, known_on)', 1) }} as as_of_date
    from {{ ref('int_order_lines') }}
    where {{ of_changed('line') }}

),

products as (

    select * from {{ ref('int_products') }}

),

customers as (

    select * from {{ ref('int_customers') }}

),

-- A version that was replaced before the first midnight never stood.
standing_versions as (

    select * from order_lines
    where {{ known_before('order_lines', 'order_lines.as_of_date') }}

),

first_midnights as (

    select
        line_key,
        min(as_of_date) as as_of_date
    from standing_versions
    group by 1

),

first_versions as (

    select standing_versions.*
    from standing_versions
    inner join first_midnights
        on
            standing_versions.line_key = first_midnights.line_key
            and standing_versions.as_of_date = first_midnights.as_of_date

),

final as (

    select
        first_versions.line_key,
        first_versions.order_id,
        first_versions.line_id,
        first_versions.customer_id,
        first_versions.product_id,
        first_versions.category,
        {%- for attribute in line_attributes %}
        first_versions.{{ attribute }},
        {%- endfor %}
        {%- for attribute in product_attributes %}
        products.{{ attribute }},
        {%- endfor %}
        {%- for attribute in customer_attributes %}
        customers.{{ attribute }},
        {%- endfor %}
        first_versions.ordered_at,
        first_versions.ordered_on,
        first_versions.as_of_date,
        first_versions.quantity,
        first_versions.unit_price,
        first_versions.discount,
        first_versions.net_amount,
        first_versions.load_id,
        first_versions.row_number,
        -- whose lines belong together; every order of a guest is somebody else's
        coalesce(first_versions.customer_id, 'guest order ' || first_versions.order_id)
            as customer_or_order_id
    from first_versions
    -- what is taken from these two is known when a shop is
    left join products -- noqa: ST11
        on
            first_versions.product_id = products.product_id
            and {{ version_known_before('products', 'first_versions.as_of_date') }}
    left join customers -- noqa: ST11
        on
            first_versions.customer_id = customers.customer_id
            and {{ version_known_before('customers', 'first_versions.as_of_date') }}

)

select * from final
