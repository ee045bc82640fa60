{#-
    The reasons that Python landed as JSON, as one text: what makes it more likely, then what makes it
    less likely. Empty where they carry no words, as those of older runs.
-#}
{% macro reasons_in_words(reasons) -%}
    nullif(
        concat_ws(
            '; ',
            'more likely: ' || {{ words_of_reasons(reasons, '>') }},
            'less likely: ' || {{ words_of_reasons(reasons, '<') }}
        ),
        ''
    )
{%- endmacro %}

{#- The words of the reasons whose logit is on one side of 0, with commas between; null for none. -#}
{% macro words_of_reasons(reasons, side) -%}
    {{ return(adapter.dispatch('words_of_reasons', 'smartretail')(reasons, side)) }}
{%- endmacro %}

{% macro default__words_of_reasons(reasons, side) -%}
    (
        select string_agg(reason ->> 'words', ', ' order by place)
        from jsonb_array_elements(cast({{ reasons }} as jsonb))
            with ordinality as listed (reason, place)
        where cast(reason ->> 'logit' as {{ type_double() }}) {{ side }} 0
    )
{%- endmacro %}

{% macro duckdb__words_of_reasons(reasons, side) -%}
    nullif(array_to_string(
        list_transform(
            list_filter(
                from_json({{ reasons }}, '[{"words": "VARCHAR", "logit": "DOUBLE"}]'),
                lambda reason : reason.logit {{ side }} 0 and reason.words is not null
            ),
            lambda reason : reason.words
        ),
        ', '
    ), '')
{%- endmacro %}

{% macro spark__words_of_reasons(reasons, side) -%}
    nullif(array_join(
        transform(
            filter(
                from_json({{ reasons }}, 'array<struct<words: string, logit: double>>'),
                reason -> reason.logit {{ side }} 0 and reason.words is not null
            ),
            reason -> reason.words
        ),
        ', '
    ), '')
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
