"""Show the `Example:` of a docstring as code; Google's style knows the plural only."""

import re

import griffe


class ExampleSections(griffe.Extension):
    """Rename the section while the packages are read."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Do so in the docstring of one module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub("^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
