{#-
    What return risk learns: `observed`, what came back; or `proxy`, a large discount on a small line,
    for shops that record no returns. Set by `smartretail` from its setting.
-#}
{% macro return_label() -%}
    {{ return(env_var('SMARTRETAIL_RETURN_LABEL', 'observed')) }}
{%- endmacro %}
