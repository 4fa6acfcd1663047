"""Results as a page that one is glad to show, and as Markdown and PNG for a README."""
