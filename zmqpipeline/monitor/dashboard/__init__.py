"""A run as a page in the browser; it needs starlette and uvicorn, the extra ``[dashboard]``."""
