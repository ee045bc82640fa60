{{ config(
    materialized=grows_by_load(),
    incremental_strategy='append',
    enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'order_lines'),
) }}

{%- set attributes = columns_like(source('order_lines', 'order_lines'), 'attribute_') %}
{%- set kinds = attribute_kinds() %}

with raw_rows as (

    select * from {{ source('order_lines', 'order_lines') }}
    where {{ in_missing_loads('_load_id') }}

),

loads as (

    select
        load_id,
        min(loaded_at) as loaded_at,
        min(newest_before) as newest_before
    from {{ source('shop', 'loads') }}
    group by 1

),

-- The same row twice in one load is one row. Rows that differ in anything, a line id say, stay.
distinct_rows as (

    select
        _load_id as load_id,
        order_id,
        line_id,
        customer_id,
        ordered_at,
        product_id,
        product_name,
        category,
        quantity,
        unit_price,
        discount,
        returned,
        returned_at,
        recorded_at,
        {%- for attribute in attributes %}
        {{ attribute }},
        {%- endfor %}
        -- file before row, so that the number is unique over the files of a load
        min(cast(_file_number as bigint) * 1000000000 + _row_number) as row_number,
        count(*) as copies
    from raw_rows
    group by {{ range(1, 15 + attributes | length) | join(', ') }}

),

final as (

    select
        distinct_rows.load_id,
        distinct_rows.row_number,
        distinct_rows.order_id,
        distinct_rows.line_id,
        distinct_rows.customer_id,
        distinct_rows.product_id,
        distinct_rows.product_name,
        distinct_rows.category,
        {%- for attribute in attributes %}
        {{ typed_attribute('distinct_rows.' ~ attribute, kinds.get(attribute)) }} as {{ attribute }},
        {%- endfor %}
        distinct_rows.ordered_at,
        {{ known_at('distinct_rows.recorded_at', 'distinct_rows.ordered_at', 'loads') }}
            as known_at,
        distinct_rows.returned,
        distinct_rows.returned_at,
        cast(distinct_rows.quantity as {{ type_amount() }}) as quantity,
        cast(distinct_rows.unit_price as {{ type_amount() }}) as unit_price,
        cast(coalesce(distinct_rows.discount, 0) as {{ type_amount() }}) as discount,
        distinct_rows.copies,
        case
            when distinct_rows.quantity > 0 then 'order_line'
            when distinct_rows.quantity < 0 then 'return'
            else 'no_quantity'
        end as fate
    from distinct_rows
    inner join loads on distinct_rows.load_id = loads.load_id

)

select * from final
