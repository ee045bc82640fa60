{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'online_retail')) }}

with distinct_rows as (

    select * from {{ ref('stg_online_retail__rows') }}

),

fates as (

    select
        fate,
        count(*) as row_count,
        sum(quantity * unit_price) as amount
    from distinct_rows
    group by 1

),

overlapping as (

    select
        'overlap_of_files' as fate,
        sum(overlapping_copies) as row_count,
        sum(overlapping_copies * quantity * unit_price) as amount
    from distinct_rows

),

copies as (

    select
        'exact_duplicate' as fate,
        sum(copies - 1) as row_count,
        sum((copies - 1) * quantity * unit_price) as amount
    from distinct_rows

),

final as (

    select * from fates
    union all
    select * from overlapping
    union all
    select * from copies

)

select * from final
