{#-
    The first rule of the seed `action_rules` that fits each situation. `situations`: a relation with one
    row per combination of `conditions` (band, segment, decile, suggested_action) that occurs, so
    that rules are tried on a few hundred rows and not on every pair. One row per situation.
-#}
{% macro fitting_rules(prediction, rules, situations, conditions) -%}
    select
        {%- for condition in conditions %}
        tried.{{ condition }},
        {%- endfor %}
        tried.rule_action,
        tried.what_to_do
    from (
        select
            {%- for condition in conditions %}
            situations.{{ condition }},
            {%- endfor %}
            rules.suggested_action as rule_action,
            rules.what_to_do,
            row_number() over (
                partition by
                    {%- for condition in conditions %}
                    situations.{{ condition }}{{ ',' if not loop.last }}
                    {%- endfor %}
                order by rules.priority
            ) as place
        from {{ situations }} as situations
        inner join {{ rules }} as rules
            on
                rules.prediction = '{{ prediction }}'
                {%- for condition in conditions %}
                {%- if condition == 'decile' %}
                and (rules.decile_to is null or situations.decile <= rules.decile_to)
                {%- else %}
                and (rules.{{ condition }} is null or situations.{{ condition }} = rules.{{ condition }})
                {%- endif %}
                {%- endfor %}
    ) as tried
    where tried.place = 1
{%- endmacro %}

{#-
    What kind of customer somebody is, from features of order habit: stable words that hang on the
    customer's own rhythm and on nobody else.
-#}
{% macro customer_segment(features) -%}
    case
        when {{ features }}.frequency_order_days_total = 1 and {{ features }}.recency_days <= 90
            then 'new'
        when {{ features }}.frequency_order_days_total = 1 then 'one-time'
        when {{ features }}.recency_over_mean_gap > 4 then 'lapsed'
        when {{ features }}.recency_over_mean_gap > 2 then 'slipping'
        when {{ features }}.frequency_order_days_total >= 5 then 'loyal'
        when {{ features }}.frequency_order_days_total > 1 then 'active'
        else 'unknown'
    end
{%- endmacro %}

{#-
    Whether somebody is held out: left alone on purpose, so that what acting brings can be measured on
    the others. Random, but the same in every run: a hash of the customer with a salt of the shop's.
-#}
{% macro is_held_out(customer) -%}
    {%- set share = var('holdout_share') | float -%}
    {%- if share < 0 or share >= 1 -%}
        {{ exceptions.raise_compiler_error('holdout_share must be at least 0 and below 1, not ' ~ share) }}
    {%- endif -%}
    (
        substr(md5('{{ var("holdout_salt") }}' || '|' || {{ customer }}), 1, 4)
        < '{{ "%04x" | format((65536 * share) | int) }}'
    )
{%- endmacro %}
