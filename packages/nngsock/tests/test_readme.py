import re
from importlib.util import find_spec
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_examples_run(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) > 3
    if find_spec("aiohttp") is None:
        blocks = [block for block in blocks if "http_server" not in block]
    namespace = {"__name__": "readme"}
    try:
        for block in blocks:
            exec(compile(block, str(README), "exec"), namespace)
    finally:
        for value in namespace.values():
            if hasattr(value, "try_close"):
                value.try_close()
    assert capsys.readouterr().out.splitlines() == re.findall(r"# prints (.*)", "".join(blocks))
