{{ config(
    materialized='table',
    enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'online_retail'),
) }}

with raw_rows as (

    select * from {{ source('online_retail', 'online_retail') }}

),

loads as (

    select
        load_id,
        min(loaded_at) as loaded_at,
        min(newest_before) as newest_before
    from {{ source('shop', 'loads') }}
    group by 1

),

renamed as (

    select
        _load_id as load_id,
        _file_number as file_number,
        _row_number as row_number,
        invoice as order_id,
        upper(trim(stock_code)) as product_id,
        nullif(nullif(trim(description), 'nan'), '') as product_name,
        cast(quantity as {{ type_amount() }}) as quantity,
        invoice_at as ordered_at,
        cast(price as {{ type_amount() }}) as unit_price,
        customer_id,
        country as attribute_customer_country
    from raw_rows

),

copies_by_file as (

    select
        load_id,
        order_id,
        product_id,
        product_name,
        quantity,
        ordered_at,
        unit_price,
        customer_id,
        attribute_customer_country,
        file_number,
        min(row_number) as row_number,
        count(*) as copies
    from renamed
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10

),

-- The files overlap by nine days: a row that stands in both was published twice, not sold twice.
distinct_rows as (

    select
        load_id,
        order_id,
        product_id,
        product_name,
        quantity,
        ordered_at,
        unit_price,
        customer_id,
        attribute_customer_country,
        -- file before row, so that the number is unique over the files of a load
        min(cast(file_number as bigint) * 1000000000 + row_number) as row_number,
        max(copies) as copies,
        sum(copies) - max(copies) as overlapping_copies
    from copies_by_file
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9

),

final as (

    select
        distinct_rows.*,
        {{ known_at('cast(null as timestamp)', 'distinct_rows.ordered_at', 'loads') }} as known_at,
        case
            when not {{ regexp_matches('distinct_rows.product_id', '^[0-9]{5}[A-Z]*$') }}
                then 'no_product_code'
            when distinct_rows.unit_price <= 0 then 'no_price'
            when distinct_rows.quantity < 0 and distinct_rows.order_id like 'C%' then 'return'
            when distinct_rows.quantity > 0 and distinct_rows.order_id not like 'C%'
                then 'order_line'
            else 'stock_correction'
        end as fate
    from distinct_rows
    inner join loads on distinct_rows.load_id = loads.load_id

)

select * from final
