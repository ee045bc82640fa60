{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'northwind')) }}

with products as (

    select * from {{ source('northwind', 'products') }}
    where not _is_gone

),

categories as (

    select * from {{ source('northwind', 'categories') }}
    where not _is_gone

),

product_loads as (

    {{ loads_of('products') }}

),

category_loads as (

    {{ loads_of('categories') }}

),

opening as (

    select min(ordered_at) as opened_at from {{ ref('stg_northwind__orders') }}

),

first_sales as (

    select
        product_id,
        min(known_at) as known_at
    from {{ ref('stg_northwind__order_lines') }}
    group by 1

),

-- Master data have no time: those of the first load hold from the beginning, later ones are late.
product_rows as (

    select
        products._load_id as load_id,
        {{ raw_row_number('products') }} as row_number,
        products.product_id,
        products.product_name,
        products.category_id,
        products.supplier_id as attribute_product_supplier,
        products.quantity_per_unit as attribute_product_quantity_per_unit,
        cast(products.discontinued as {{ dbt.type_string() }}) as attribute_product_discontinued,
        {{ known_at('cast(null as timestamp)', 'opening.opened_at', 'product_loads') }} as known_at
    from products
    inner join product_loads on products._load_id = product_loads.load_id
    cross join opening

),

category_rows as (

    select
        categories._load_id as load_id,
        {{ raw_row_number('categories') }} as row_number,
        categories.category_id,
        categories.category_name,
        {{ known_at('cast(null as timestamp)', 'opening.opened_at', 'category_loads') }} as known_at
    from categories
    inner join category_loads on categories._load_id = category_loads.load_id
    cross join opening

),

product_versions as (

    select
        *,
        {{ superseded_at(['product_id']) }} as superseded_at
    from product_rows

),

category_versions as (

    select
        *,
        {{ superseded_at(['category_id']) }} as superseded_at
    from category_rows

),

named as (

    select
        product_versions.*,
        category_versions.category_name,
        greatest(product_versions.known_at, category_versions.known_at) as both_known_at
    from product_versions
    left join category_versions
        on
            product_versions.category_id = category_versions.category_id
            and {{ stood_together('product_versions', 'category_versions') }}

),

versions as (

    select
        *,
        row_number() over (
            partition by product_id order by both_known_at, load_id, row_number
        ) as version_number
    from named

),

-- Nothing is known later than it is sold, and what is sold is a product whether listed or not.
final as (

    select
        coalesce(versions.product_id, first_sales.product_id) as product_id,
        versions.product_name,
        versions.category_name as category,
        versions.attribute_product_supplier,
        versions.attribute_product_quantity_per_unit,
        versions.attribute_product_discontinued,
        case
            when versions.version_number > 1 then versions.both_known_at
            else least(versions.both_known_at, first_sales.known_at)
        end as known_at
    from versions
    full outer join first_sales on versions.product_id = first_sales.product_id

)

select * from final
