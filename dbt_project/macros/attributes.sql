{#-
    The kinds of the attributes named at load, as the loader recorded them: by column, what the
    value is (category, number, date), how it is written, and the pattern that a value must match to be read.
-#}
{% macro attribute_kinds() -%}
    {%- set recorded = source('shop', 'attribute_kinds') -%}
    {%- set kinds = {} -%}
    {%- if execute and load_relation(recorded) is not none -%}
        {%- for row in run_query(
            'select column_name, kind, notation, pattern from ' ~ recorded ~ ' order by 1'
        ).rows -%}
            {%- do kinds.update({row[0]: {'kind': row[1], 'notation': row[2], 'pattern': row[3]}}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(kinds) }}
{%- endmacro %}

{#- An attribute in the type of its kind; a value that is not of the kind is empty. -#}
{% macro typed_attribute(value, recorded) -%}
    {%- if recorded is none or recorded.kind == 'category' -%}
        {{ value }}
    {%- elif recorded.kind == 'number' -%}
        case
            when {{ regexp_matches(value, recorded.pattern) }}
                then cast(replace({{ value }}, ',', '.') as {{ type_double() }})
        end
    {%- else -%}
        {%- set iso_parts = {'iso': [1, 2, 3], 'dmy': [3, 2, 1], 'mdy': [3, 1, 2]} -%}
        {%- set iso_text = [] -%}
        {%- for part in iso_parts[recorded.notation] -%}
            {%- do iso_text.append(regexp_group(part)) -%}
        {%- endfor -%}
        {%- set iso = "regexp_replace(" ~ value ~ ", '^([0-9]+)[-/.]([0-9]+)[-/.]([0-9]+).*$', '"
            ~ (iso_text | join('-')) ~ "')" -%}
        case
            when {{ regexp_matches(value, recorded.pattern) }} then {{ date_if_valid(iso) }}
        end
    {%- endif -%}
{%- endmacro %}

{#-
    What the attributes of an entity give a feature model, each as {name, sql, type, column}: categories and
    numbers as they are (`attribute_customer_state`), dates as their age in days
    (`attribute_customer_birthday_age_days`), and the column that they come from. No name and no type
    stands in the model.

    `relation`: what carries the attributes, typed by staging. `alias`: its alias in the query, joined
    through version_known_before where it has versions. `as_of`: the date at which features are true.
-#}
{% macro attribute_features(relation, alias, as_of) -%}
    {%- set features = [] -%}
    {%- if execute -%}
        {%- for column in adapter.get_columns_in_relation(relation) if column.name.startswith('attribute_') -%}
            {%- set value = alias ~ '.' ~ column.name -%}
            {%- if column.data_type | lower == 'date' -%}
                {%- do features.append({
                    'name': column.name ~ '_age_days',
                    'sql': 'cast(' ~ days_between(value, as_of) ~ ' as integer)',
                    'type': 'integer',
                    'column': column.name,
                }) -%}
            {%- else -%}
                {%- do features.append({
                    'name': column.name, 'sql': value, 'type': column.data_type, 'column': column.name,
                }) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {#- where no database is asked (parsing, linting), one stands for all -#}
        {%- do features.append({
            'name': 'attribute_any', 'sql': alias ~ '.attribute_any', 'type': 'text', 'column': 'attribute_any',
        }) -%}
    {%- endif -%}
    {{ return(features) }}
{%- endmacro %}
