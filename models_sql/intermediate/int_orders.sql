{{ config(materialized=grows_by_load(), unique_key=['customer_id', 'order_id']) }}

{%- set amounts = [
    'line_count', 'quantity', 'gross_amount', 'net_amount', 'returned_line_count', 'returned_amount',
] %}

with order_lines as (

    select * from {{ ref('int_order_lines') }}
    where {{ of_changed('owner') }}

),

returns as (

    select * from {{ ref('int_returns') }}
    where line_key is not null and {{ of_changed('owner') }}

),

-- What each day of knowledge added to an order, or took from it.
changes as (

    select
        order_id,
        customer_id,
        ordered_on,
        known_on as changed_on,
        1 as line_count,
        quantity,
        gross_amount,
        net_amount,
        0 as returned_line_count,
        0 as returned_amount
    from order_lines

    union all

    select
        order_id,
        customer_id,
        ordered_on,
        superseded_on as changed_on,
        -1 as line_count,
        -quantity as quantity,
        -gross_amount as gross_amount,
        -net_amount as net_amount,
        0 as returned_line_count,
        0 as returned_amount
    from order_lines
    where superseded_on is not null

    union all

    select
        order_id,
        customer_id,
        ordered_on,
        known_on as changed_on,
        0 as line_count,
        0 as quantity,
        0 as gross_amount,
        0 as net_amount,
        returned_line_count,
        amount as returned_amount
    from returns

    union all

    select
        order_id,
        customer_id,
        ordered_on,
        superseded_on as changed_on,
        0 as line_count,
        0 as quantity,
        0 as gross_amount,
        0 as net_amount,
        -returned_line_count as returned_line_count,
        -amount as returned_amount
    from returns
    where superseded_on is not null

),

daily_changes as (

    select
        order_id,
        customer_id,
        ordered_on,
        {%- for amount in amounts %}
        sum({{ amount }}) as {{ amount }},
        {%- endfor %}
        changed_on
    from changes
    group by order_id, customer_id, ordered_on, changed_on

),

versions as (

    select
        order_id,
        customer_id,
        ordered_on,
        {%- for amount in amounts %}
        sum({{ amount }}) over order_versions as {{ amount }},
        {%- endfor %}
        changed_on as known_on,
        lead(changed_on) over order_versions as superseded_on
    from daily_changes
    window order_versions as (partition by order_id, customer_id, ordered_on order by changed_on)

),

final as (

    select
        order_id,
        customer_id,
        ordered_on,
        known_on,
        superseded_on,
        cast(line_count as integer) as line_count,
        cast(quantity as {{ type_double() }}) as quantity,
        cast(gross_amount as {{ type_double() }}) as gross_amount,
        cast(net_amount as {{ type_double() }}) as net_amount,
        cast(returned_line_count as integer) as returned_line_count,
        cast(returned_amount as {{ type_double() }}) as returned_amount
    from versions
    where line_count > 0

)

select * from final
