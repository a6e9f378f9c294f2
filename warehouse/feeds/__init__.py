"""Report feeds: published reports as files, and the delivery of these files to recipients."""
