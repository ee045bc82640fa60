{{ config(materialized=view_that_python_reads()) }}

with outcomes as (

    select * from {{ ref('int_' ~ return_label() ~ '_outcomes') }}

),

final as (

    select
        line_key,
        ordered_on,
        as_of_date,
        horizon_days,
        due_on,
        is_dated,
        label,
        label_known_at,
        returned_known_on,
        open_until
    from outcomes

)

select * from final
