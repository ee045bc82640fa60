{#- The largest of the columns <prefix><n>. -#}
{% macro largest(prefix, numbers) -%}
    greatest({% for n in numbers %}{{ prefix }}{{ n }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro %}

{#- The smallest n whose column <prefix><n> is the largest. -#}
{% macro first_of_largest(prefix, numbers) -%}
    case {{ largest(prefix, numbers) }}
        {%- for n in numbers %}
        when {{ prefix }}{{ n }} then {{ n }}
        {%- endfor %}
    end
{%- endmacro %}
