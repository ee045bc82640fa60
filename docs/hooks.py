"""Where MkDocs looks for what it is to call; see `python_ml/docs_site`."""

from python_ml.docs_site.site import on_config, on_files, on_page_markdown, on_pre_page

__all__ = ["on_config", "on_files", "on_page_markdown", "on_pre_page"]
