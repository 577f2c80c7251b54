"""Pages: what each template is given."""
