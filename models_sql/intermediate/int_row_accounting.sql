with row_accounting as (

    select * from {{ ref_shop('row_accounting') }}

),

final as (

    select
        fate,
        cast(row_count as bigint) as row_count,
        cast(amount as {{ type_double() }}) as amount
    from row_accounting

)

select * from final
