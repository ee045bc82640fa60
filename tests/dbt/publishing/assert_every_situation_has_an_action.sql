-- If this fails, a customer, pair or line fits no rule of the seed `action_rules` and would reach
-- BI without a suggested action: each prediction needs a last rule without conditions. Of return
-- risk, one for each of the two answers that money gives.
with needed as (

    select
        'order_habit' as prediction,
        cast(null as {{ dbt.type_string() }}) as suggested_action

    union all

    select
        'purchase_potential' as prediction,
        cast(null as {{ dbt.type_string() }}) as suggested_action

    union all

    select
        'return_risk' as prediction,
        'intervene' as suggested_action

    union all

    select
        'return_risk' as prediction,
        'leave' as suggested_action

),

last_rules as (

    select * from {{ ref('action_rules') }}
    where segment is null and band is null and decile_to is null

)

select needed.*
from needed
left join last_rules
    on
        needed.prediction = last_rules.prediction
        and (
            needed.suggested_action is null
            or needed.suggested_action = last_rules.suggested_action
        )
where last_rules.prediction is null
