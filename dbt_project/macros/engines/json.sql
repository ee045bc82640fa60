{#-
    The reasons that Python landed as JSON, as one text: what makes it more likely, then what makes it
    less likely. Empty where they carry no words, as those of older runs.
-#}
{% macro reasons_in_words(reasons) -%}
    {{ return(adapter.dispatch('reasons_in_words', 'smartretail')(reasons)) }}
{%- endmacro %}

{% macro default__reasons_in_words(reasons) -%}
    nullif(
        concat_ws(
            '; ',
            'more likely: ' || (
                select string_agg(reason ->> 'words', ', ' order by place)
                from jsonb_array_elements(cast({{ reasons }} as jsonb))
                    with ordinality as listed (reason, place)
                where cast(reason ->> 'logit' as {{ type_double() }}) > 0
            ),
            'less likely: ' || (
                select string_agg(reason ->> 'words', ', ' order by place)
                from jsonb_array_elements(cast({{ reasons }} as jsonb))
                    with ordinality as listed (reason, place)
                where cast(reason ->> 'logit' as {{ type_double() }}) < 0
            )
        ),
        ''
    )
{%- endmacro %}

{% macro duckdb__reasons_in_words(reasons) -%}
    {%- set listed = "from_json(" ~ reasons ~ ", '[{\"words\": \"VARCHAR\", \"logit\": \"DOUBLE\"}]')" -%}
    nullif(
        concat_ws(
            '; ',
            {%- for words, sign in [('more likely: ', '>'), ('less likely: ', '<')] %}
            '{{ words }}' || nullif(array_to_string(
                list_transform(
                    list_filter({{ listed }}, lambda reason : reason.logit {{ sign }} 0 and reason.words is not null),
                    lambda reason : reason.words
                ),
                ', '
            ), ''){{ ',' if not loop.last }}
            {%- endfor %}
        ),
        ''
    )
{%- endmacro %}

{% macro spark__reasons_in_words(reasons) -%}
    {%- set listed = "from_json(" ~ reasons ~ ", 'array<struct<words: string, logit: double>>')" -%}
    nullif(
        concat_ws(
            '; ',
            {%- for words, sign in [('more likely: ', '>'), ('less likely: ', '<')] %}
            '{{ words }}' || nullif(array_join(
                transform(
                    filter({{ listed }}, reason -> reason.logit {{ sign }} 0 and reason.words is not null),
                    reason -> reason.words
                ),
                ', '
            ), ''){{ ',' if not loop.last }}
            {%- endfor %}
        ),
        ''
    )
{%- endmacro %}

{#- One text of a JSON object, null where it has none of that name. -#}
{% macro json_text(object, name) -%}
    {{ return(adapter.dispatch('json_text', 'smartretail')(object, name)) }}
{%- endmacro %}

{% macro default__json_text(object, name) -%}
    (cast({{ object }} as jsonb) ->> '{{ name }}')
{%- endmacro %}

{% macro duckdb__json_text(object, name) -%}
    (cast({{ object }} as json) ->> '{{ name }}')
{%- endmacro %}

{% macro spark__json_text(object, name) -%}
    get_json_object({{ object }}, '$.{{ name }}')
{%- endmacro %}
