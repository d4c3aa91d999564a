//! Label documents: bytes to pages to 1-bit bitmaps at the head's dpi, in a limited worker process.
