{%- set attributes = columns_like(ref_shop('order_lines'), 'attribute_customer_') %}
{{ attribute_versions(ref_shop('order_lines'), 'customer_id', attributes) }}
