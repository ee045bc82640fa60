{{ config(
    materialized=grows_by_load(),
    incremental_strategy='append',
    enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'order_lines'),
) }}

{%- set attributes = columns_like(ref('stg_order_lines__rows'), 'attribute_') %}

with distinct_rows as (

    select * from {{ ref('stg_order_lines__rows') }}
    where {{ in_missing_loads('load_id') }}

),

final as (

    select
        load_id,
        row_number,
        -- without a line id, a line is the n-th of its product in its order
        case
            when line_id is not null then order_id || '|' || line_id
            else order_id || '|' || coalesce(product_id, '') || '|' || cast(
                row_number() over (
                    partition by
                        case when line_id is null then order_id end,
                        case when line_id is null then product_id end,
                        case when line_id is null then load_id else -row_number end
                    order by row_number
                ) as {{ dbt.type_string() }}
            )
        end as line_key,
        order_id,
        line_id,
        customer_id,
        product_id,
        product_name,
        category,
        {%- for attribute in attributes %}
        {{ attribute }},
        {%- endfor %}
        ordered_at,
        known_at,
        returned,
        returned_at,
        quantity,
        unit_price,
        discount
    from distinct_rows
    where fate in ('order_line', 'return')

)

select * from final
