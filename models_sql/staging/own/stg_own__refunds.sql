{{ config(enabled=(env_var('SMARTRETAIL_SHOP_SOURCE', 'order_lines') == 'own')) }}

with refunds as (

    select * from {{ source('own', 'refunds') }}
    where not _is_gone

),

loads as (

    {{ loads_of('refunds') }}

),

order_items as (

    select * from {{ ref('stg_own__order_items') }}

),

order_lines as (

    select distinct
        order_id,
        line_id
    from order_items
    where fate <> 'no_order'

),

renamed as (

    select
        refunds._load_id as load_id,
        {{ raw_row_number('refunds') }} as row_number,
        refunds.refund_id,
        refunds.order_id,
        refunds.line_id,
        cast(refunds.quantity as {{ type_amount() }}) as quantity,
        refunds.refunded_at,
        order_lines.order_id is not null as has_order_line,
        {{ known_at('cast(null as timestamp)', 'refunds.refunded_at', 'loads') }} as known_at,
        row_number() over (
            partition by refunds.refund_id
            order by refunds._load_id, refunds._file_number, refunds._row_number
        ) as version_number
    from refunds
    inner join loads on refunds._load_id = loads.load_id
    left join order_lines
        on
            refunds.order_id = order_lines.order_id
            and refunds.line_id = order_lines.line_id

),

final as (

    select
        renamed.*,
        case
            -- what was taken back stays taken back: a return is matched as it was first known
            when renamed.version_number > 1 then 'corrected_refund'
            when not renamed.has_order_line then 'refund_of_no_line'
            when renamed.quantity > 0 then 'return'
            else 'no_quantity'
        end as fate
    from renamed

)

select * from final
