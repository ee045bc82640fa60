{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'own')) }}

{%- set attributes = columns_like(source('own', 'products'), 'attribute_product_') %}

with products as (

    select * from {{ source('own', 'products') }}
    -- what is gone from the shop's table stays known for what was sold
    where not _is_gone

),

loads as (

    {{ loads_of('products') }}

),

opening as (

    select min(ordered_at) as opened_at from {{ ref('stg_own__orders') }}

),

first_sales as (

    select
        product_id,
        min(known_at) as known_at
    from {{ ref('stg_own__order_lines') }}
    where product_id is not null
    group by 1

),

-- Master data have no time: those of the first load hold from the beginning, later ones are late.
versions as (

    select
        products.*,
        {{ known_at('cast(null as timestamp)', 'opening.opened_at', 'loads') }} as known_at,
        row_number() over (
            partition by products.product_id
            order by products._load_id, products._file_number, products._row_number
        ) as version_number
    from products
    inner join loads on products._load_id = loads.load_id
    cross join opening

),

-- Nothing is known later than it is sold, and what is sold is a product whether listed or not.
final as (

    select
        coalesce(versions.product_id, first_sales.product_id) as product_id,
        versions.product_name,
        versions.category,
        {%- for attribute in attributes %}
        versions.{{ attribute }},
        {%- endfor %}
        case
            when versions.version_number > 1 then versions.known_at
            else least(versions.known_at, first_sales.known_at)
        end as known_at
    from versions
    full outer join first_sales on versions.product_id = first_sales.product_id

)

select * from final
