import os
import subprocess
import sys
import textwrap

import pytest

import nngsock

READ_ALL = """
    import nngsock
    lines = nngsock.read_stdin()
    ended = nngsock.cv()
    nngsock.pipe_notify(lines, ended, remove=True, flag=True)
    nngsock.msleep(float(PAUSE))
    count = 1
    while (line := lines.recv("string", block=20_000)) != LAST:
        assert isinstance(line, str), line
        count += 1
    print(count, repr(line), nngsock.until(ended, 20_000))
"""


def run(code, text, **names):
    given = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    ended = subprocess.run(
        [sys.executable, "-c", given + textwrap.dedent(code)],
        check=False, input=text, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


class TestReadStdin:
    @pytest.mark.parametrize(
        ("text", "last", "count"),
        [
            ("one\n", "one", 1),
            ("one\ntwo", "two", 2),
            ("\n\nx\n", "x", 3),
            ("é\n" * 2000 + "end\n", "end", 2001),
        ],
    )
    def test_each_line_is_a_message_and_the_end_closes_the_connection(self, text, last, count):
        assert run(READ_ALL, text, PAUSE=0, LAST=last) == f"{count} {last!r} True\n"

    def test_a_slow_reader_loses_no_line(self):
        assert run(READ_ALL, "a\nb\nc", PAUSE=300, LAST="c") == "3 'c' True\n"

    def test_a_line_may_be_long(self):
        assert run(READ_ALL, "x" * 5_000_000 + "\nend", PAUSE=0, LAST="end") == "2 'end' True\n"

    def test_the_process_ends_while_input_may_still_come(self):
        code = "import nngsock; s = nngsock.read_stdin(); print(s.protocol, flush=True)"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.read() == "pull\n"
            assert process.wait(timeout=20) == 0

    def test_closing_the_socket_ends_the_thread(self):
        code = """
            import threading, nngsock
            lines = nngsock.read_stdin()
            print(lines.recv("string", block=20_000), lines.close())
            [thread] = [t for t in threading.enumerate() if t.name == "nngsock-stdin"] or [threading.Thread()]
            if thread.ident:
                thread.join(20)
            print(thread.is_alive())
        """
        assert run(code, "one\ntwo\nthree\n") == "one 0\nFalse\n"

    def test_there_is_one_at_a_time(self):
        code = """
            import nngsock
            lines = nngsock.read_stdin()
            try:
                nngsock.read_stdin()
            except nngsock.NngError as error:
                print(error.code, lines.recv("string", block=20_000))
        """
        assert run(code, "one\n") == "10 one\n"

    def test_an_interactive_session_keeps_its_input(self, monkeypatch):
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
        with pytest.raises(nngsock.NngsockError, match="cannot be used in an interactive session"):
            nngsock.read_stdin()


class TestWriteStdout:
    def test_a_line_goes_past_sys_stdout_in_one_piece(self, capfd):
        nngsock.write_stdout("a linë")
        assert capfd.readouterr().out == "a linë\n"

    def test_lines_of_several_processes_stay_whole(self):
        code = "import nngsock, sys\nfor _ in range(200): nngsock.write_stdout(sys.argv[1] * 1000)"
        reading, writing = os.pipe()
        processes = [
            subprocess.Popen([sys.executable, "-c", code, letter], stdout=writing) for letter in "ab"
        ]
        os.close(writing)
        with os.fdopen(reading) as file:
            lines = file.read().splitlines()
        assert [process.wait(timeout=30) for process in processes] == [0, 0]
        assert sorted(lines) == ["a" * 1000] * 200 + ["b" * 1000] * 200

    def test_a_line_longer_than_the_pipe_is_written_whole(self):
        assert run("import nngsock; nngsock.write_stdout('x' * 500_000)", "") == "x" * 500_000 + "\n"

    def test_only_text_can_be_written(self):
        with pytest.raises(TypeError, match="`x` must be a str"):
            nngsock.write_stdout(b"bytes")
