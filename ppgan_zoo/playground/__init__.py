"""A page that makes a generator's images in the browser, alone in one HTML file.

Read ``model``, then ``directions``, ``styles``, ``page``, ``server``; the page itself is
``page.html`` and the scripts beside it.
"""
