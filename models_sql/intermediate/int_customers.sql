{%- set attributes = columns_like(ref_shop('customers'), 'attribute_customer_') %}
{{ attribute_versions(ref_shop('customers'), 'customer_id', attributes) }}
