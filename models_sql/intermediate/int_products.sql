{%- set attributes = columns_like(ref_shop('order_lines'), 'attribute_product_') %}
{{ attribute_versions(
    ref_shop('order_lines'), 'product_id', ['product_name', 'category'] + attributes
) }}
