"""Marks of what is generated: a face says that it is synthetic, of which bundle, and that it is not the speaker's likeness.

* `mark`: what a face says of itself; `xmp`, `png_text`, `gif_comment`, `gltf_extras`, `comment`, `web_page`: the same in each
  format
* `found_mark`, `readers`, `finding`: the marks of a file, also those of other makers
* `content_credentials`: C2PA manifests, signed with the user's own certificate
"""
