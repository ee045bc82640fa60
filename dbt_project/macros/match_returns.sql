{#-
    Which purchase does a return take back, when the source does not say? The latest one of the same
    customer and product that is not yet taken back: last in, first out, in parts where needed.

    Purchases raise a level by their quantity, returns lower it, never below zero: what a return asks
    beyond that has no purchase and stays unmatched. Cut at every level ever reached, each slice is
    filled and emptied in turn, so the return that empties it takes back the purchase that
    filled it last. Window frames only: cost grows in step with the lines concerned.

    `lines`: relation with row_id, match_group, product_id, quantity (negative for returns) and
    effective_at, the time from which the row was known to have happened. A return is matched with
    what was known before it, so the matches of the past never change.

    Gives one row per return and purchase: return_row_id, purchase_row_id, quantity; and one with an
    empty purchase_row_id for what stays unmatched.
-#}
{% macro match_returns(lines) %}
    with walk as (
        select
            *,
            sum(quantity) over sequence as running
        from {{ lines }}
        window sequence as (
            partition by match_group, product_id
            order by effective_at, case when quantity > 0 then 0 else 1 end, row_id
            rows between unbounded preceding and current row
        )
    ),

    levels_after as (
        select
            *,
            running - least(0, min(running) over (
                partition by match_group, product_id
                order by effective_at, case when quantity > 0 then 0 else 1 end, row_id
                rows between unbounded preceding and current row
            )) as level_after
        from walk
    ),

    levels as (
        select
            *,
            row_number() over sequence as position,
            coalesce(lag(level_after) over sequence, 0) as level_before
        from levels_after
        window sequence as (
            partition by match_group, product_id
            order by effective_at, case when quantity > 0 then 0 else 1 end, row_id
        )
    ),

    cuts as (
        select match_group, product_id, level_after as cut from levels
        union
        select match_group, product_id, 0 as cut from levels
    ),

    slices as (
        select
            match_group,
            product_id,
            cut as slice_from,
            lead(cut) over (partition by match_group, product_id order by cut) as slice_to
        from cuts
    ),

    slice_events as (
        select
            levels.match_group,
            levels.product_id,
            levels.row_id,
            levels.position,
            levels.quantity,
            slices.slice_from,
            slices.slice_to - slices.slice_from as slice_quantity
        from levels
        inner join slices
            on
                levels.match_group = slices.match_group
                and levels.product_id = slices.product_id
                and slices.slice_from >= least(levels.level_before, levels.level_after)
                and slices.slice_to <= greatest(levels.level_before, levels.level_after)
    ),

    paired as (
        select
            *,
            lag(row_id) over (
                partition by match_group, product_id, slice_from order by position
            ) as filled_by_row_id
        from slice_events
    )

    select
        row_id as return_row_id,
        filled_by_row_id as purchase_row_id,
        sum(slice_quantity) as quantity
    from paired
    where quantity < 0
    group by 1, 2

    union all

    select
        row_id as return_row_id,
        cast(null as bigint) as purchase_row_id,
        -quantity - (level_before - level_after) as quantity
    from levels
    where quantity < 0 and -quantity > level_before - level_after
{% endmacro %}
