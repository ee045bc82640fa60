{%- set attributes = columns_like(ref_shop('products'), 'attribute_product_') %}
{{ attribute_versions(
    ref_shop('products'), 'product_id', ['product_name', 'category'] + attributes
) }}
