{#-
    The customer attribute that performance is cut by: the one that `segment_attribute` names, else the
    first one with categories in the order of the alphabet; none where the shop named none.
-#}
{% macro segment_attribute(features) -%}
    {%- set named = var('segment_attribute') -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(features) | sort(attribute='name')
            if column.name.startswith('attribute_customer_') and column.is_string() -%}
            {%- do found.append(column.name) -%}
        {%- endfor -%}
        {%- if named and 'attribute_customer_' ~ named not in found -%}
            {{ exceptions.raise_compiler_error(
                "segment_attribute '" ~ named ~ "' is no customer attribute with categories; there are: "
                ~ (found | join(', ') or 'none')
            ) }}
        {%- endif -%}
    {%- endif -%}
    {%- if named -%}
        {{ return('attribute_customer_' ~ named) }}
    {%- endif -%}
    {{ return(found[0] if found else none) }}
{%- endmacro %}

{#-
    The window of a run whose outcomes are asked for. An order line's runs from its order, but what is
    stated without a date is settled when the line can no longer come back.
-#}
{% macro window_to_settle(runs) -%}
    case
        when {{ runs }}.prediction = 'return_risk'
            then greatest({{ runs }}.horizon_days, {{ var('return_window_days') }})
        else {{ runs }}.horizon_days
    end
{%- endmacro %}

{#- A probability that a logarithm can be taken of; no model of ours is surer than this. -#}
{% macro kept_from_the_edge(probability) -%}
    least(greatest({{ probability }}, 1e-6), 1 - 1e-6)
{%- endmacro %}

{#- The logistic function, of arguments that no engine chokes on. -#}
{% macro logistic(logit) -%}
    1 / (1 + exp(-least(greatest({{ logit }}, -30), 30)))
{%- endmacro %}

{#-
    A figure with its 95 % interval, as three columns: `<name>`, `<name>_low`, `<name>_high`. Without a
    condition that is met there is no interval; what cannot lie outside a range does not.
-#}
{% macro with_interval(name, value, standard_error, condition='true', lowest=none, highest=none) -%}
    {{ value }} as {{ name }},
    {%- set low = value ~ ' - 1.959963984540054 * ' ~ standard_error %}
    {%- set high = value ~ ' + 1.959963984540054 * ' ~ standard_error %}
    case when {{ condition }} then
        {{ low if lowest is none else 'greatest(' ~ lowest ~ ', ' ~ low ~ ')' }} end as {{ name }}_low,
    case when {{ condition }} then
        {{ high if highest is none else 'least(' ~ highest ~ ', ' ~ high ~ ')' }} end as {{ name }}_high
{%- endmacro %}

{#-
    One end of Wilson's 95 % interval of a share: it does not shrink to nothing where nobody, or
    everybody, said yes. `sign` is - or +.
-#}
{% macro wilson_bound(rate, rows, sign) -%}
    (
        {{ rate }} + 1.920729410347062 / {{ rows }}
        {{ sign }} 1.959963984540054 * sqrt(
            {{ rate }} * (1 - {{ rate }}) / {{ rows }} + 0.960364705173531 / ({{ rows }} * {{ rows }})
        )
    ) / (1 + 3.841458820694124 / {{ rows }})
{%- endmacro %}

{#-
    Runs that an incremental table of rows has none of yet; all of them when it is made. For the start of a
    model that has rows by run.
-#}
{% macro runs_not_there_yet() -%}
    select runs.* from {{ source('predictions', 'runs') }} as runs
    where {{ is_missing('runs', ['run_id']) }}
{%- endmacro %}
