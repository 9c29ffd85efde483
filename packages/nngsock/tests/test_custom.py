import io
import pickle
import sys
import threading
import types

import pytest

import nngsock
from nngsock.message import take_view
from nngsock.serial import MAGIC, OUT_OF_BAND_SIZE, codec_for, decode_serial, encode_serial


class Handle:
    """What pickle cannot write, like a connection or an object of another language."""

    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()


class SubHandle(Handle):
    pass


def to_bytes(handle):
    return handle.name.encode()


def from_bytes(data):
    return Handle(data.decode())


@pytest.fixture
def config():
    return nngsock.serial_config(Handle, to_bytes, from_bytes)


@pytest.fixture
def foreign(monkeypatch):
    """A module that is imported later than it is named."""
    module = types.ModuleType("foreign.inner")
    module.Handle = Handle
    monkeypatch.setitem(sys.modules, "foreign", types.ModuleType("foreign"))
    monkeypatch.setitem(sys.modules, "foreign.inner", module)


def round_trip(data, sending, receiving=None, serializer="pickle"):
    message = encode_serial(codec_for(serializer, sending), data)
    return decode_serial(codec_for(serializer, receiving or sending), take_view(message))


class TestApplying:
    def test_at_any_depth(self, config):
        received = round_trip({"a": [Handle("x"), (1, {"b": Handle("y")})]}, config)
        assert received["a"][0].name == "x"
        assert received["a"][1][1]["b"].name == "y"

    def test_the_same_object_twice_arrives_as_one(self, config):
        handle = Handle("x")
        first, second = round_trip([handle, handle], config)
        assert first is second

    def test_subclasses_follow_their_class(self, config):
        assert round_trip(SubHandle("sub"), config).name == "sub"

    def test_the_first_entry_that_matches_counts(self):
        both = nngsock.serial_config([SubHandle, Handle], [to_bytes] * 2, [lambda b: ("sub", b), from_bytes])
        assert round_trip([SubHandle("s"), Handle("h")], both)[0] == ("sub", b"s")
        general_first = nngsock.serial_config(
            [Handle, SubHandle], [to_bytes] * 2, [bytes.upper, lambda _: "never"]
        )
        assert round_trip(SubHandle("s"), general_first) == b"S"

    def test_other_objects_are_pickled_as_ever(self, config):
        assert round_trip([1j, range(3), {"x": None}], config) == [1j, range(3), {"x": None}]

    def test_a_class_can_be_given_by_name_before_it_is_imported(self, request):
        config = nngsock.serial_config("foreign.inner.Handle", to_bytes, from_bytes)
        assert round_trip(1j, config) == 1j
        request.getfixturevalue("foreign")
        assert round_trip([Handle("x")], config)[0].name == "x"

    def test_a_class_inside_a_class_can_be_given_by_name(self, foreign, monkeypatch):
        monkeypatch.setattr(Handle, "Inner", type("Inner", (), {}), raising=False)
        config = nngsock.serial_config("foreign.inner.Handle.Inner", lambda _: b"in", bytes)
        assert round_trip(Handle.Inner(), config) == b"in"

    @pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
    def test_any_bytes_like_may_be_returned_and_bytes_arrive(self, make):
        config = nngsock.serial_config(
            Handle, lambda h: make(h.name.encode()), lambda data: (type(data), data)
        )
        assert round_trip(Handle("abc"), config) == (bytes, b"abc")

    def test_large_data_travels_beside_the_pickle_and_arrives_as_bytes(self):
        data = b"z" * (OUT_OF_BAND_SIZE + 1)
        config = nngsock.serial_config(Handle, lambda _: data, lambda data: (type(data), data))
        assert bytes(take_view(encode_serial(codec_for("pickle", config), Handle("x")))[:4]) == MAGIC
        assert round_trip(Handle("x"), config) == (bytes, data)

    def test_cloudpickle_writes_the_rest(self, config):
        pytest.importorskip("cloudpickle")
        handle, function = round_trip([Handle("x"), lambda: 3], config, serializer="cloudpickle")
        assert (handle.name, function()) == ("x", 3)

    def test_a_function_that_reads_with_another_configuration_does_not_disturb_the_rest(self, config):
        inner = _dumps(config, Handle("inner"))
        outer = nngsock.serial_config(Handle, to_bytes, lambda data: config.loads(inner).name + data.decode())
        assert round_trip([Handle("1"), Handle("2")], outer) == ["inner1", "inner2"]


def _dumps(config, data):
    class Pickler(pickle.Pickler):
        def reducer_override(self, obj):
            return config.reduce(obj)

    file = io.BytesIO()
    Pickler(file, 5).dump(data)
    return file.getvalue()


class TestPicklersOfOthers:
    """`reduce` and `loads` are for layers above that pickle for themselves."""

    def test_they_write_and_read(self, config):
        assert config.loads(_dumps(config, [Handle("x")]))[0].name == "x"

    def test_buffers_can_be_left_beside(self):
        class Pickler(pickle.Pickler):
            def reducer_override(self, obj):
                return config.reduce(obj)

        config = nngsock.serial_config(Handle, lambda _: bytearray(b"large"), bytes)
        file, buffers = io.BytesIO(), []
        Pickler(file, 5, buffer_callback=buffers.append).dump(Handle("x"))
        assert len(buffers) == 1
        assert config.loads(file.getvalue(), buffers=buffers) == b"large"

    def test_what_is_not_configured_is_not_reduced(self, config):
        assert config.reduce(1j) is NotImplemented

    def test_a_configuration_can_be_pickled(self):
        config = nngsock.serial_config("collections.UserDict", repr, eval)
        assert pickle.loads(pickle.dumps(config)) == config

    def test_it_shows_its_classes(self, config):
        assert repr(config) == "< serialConfig | Handle >"
        assert repr(nngsock.serial_config(["a.B", Handle], [repr] * 2, [eval] * 2)) == (
            "< serialConfig | a.B, Handle >"
        )


class TestFailing:
    def test_a_receiver_without_configuration_gets_bytes_and_a_warning(self, config):
        message = encode_serial(codec_for("pickle", config), Handle("x"))
        content = take_view(message)
        with pytest.warns(
            nngsock.NngWarning, match="entry 0 of a serial_config, which this side does not have"
        ):
            assert decode_serial(codec_for("pickle"), content) == content

    def test_a_receiver_with_fewer_entries_too(self, config):
        longer = nngsock.serial_config([complex, Handle], [repr, to_bytes], [eval, from_bytes])
        with pytest.warns(nngsock.NngWarning, match="entry 1 of a serial_config"):
            assert isinstance(round_trip(Handle("x"), longer, config), bytes)

    def test_an_index_below_zero_is_not_looked_up(self, config):
        crafted = b"\x80\x05cnngsock.custom\nrestore\n(J\xff\xff\xff\xffC\x01xtR."
        with pytest.warns(nngsock.NngWarning, match="entry -1"):
            assert decode_serial(codec_for("pickle", config), crafted) == crafted

    def test_a_failing_ufunc_gives_bytes_and_a_warning(self):
        config = nngsock.serial_config(Handle, to_bytes, int)
        with pytest.warns(nngsock.NngWarning, match="ValueError: invalid literal"):
            assert isinstance(round_trip(Handle("x"), config), bytes)

    def test_a_failing_sfunc_sends_nothing(self, connect, patience):
        a, b = connect("pair")
        a.set_opt("serial", nngsock.serial_config(Handle, lambda _: 1 / 0, bytes))
        with pytest.raises(ZeroDivisionError):
            a.send(Handle("x"), block=patience)
        a.send("next", block=patience)
        assert b.recv(block=patience) == "next"

    @pytest.mark.parametrize("wrong", [None, "text", 3])
    def test_an_sfunc_must_return_bytes(self, wrong):
        config = nngsock.serial_config(Handle, lambda _: wrong, bytes)
        with pytest.raises(
            nngsock.NngsockError, match="Serialization function for `Handle` did not return bytes"
        ):
            round_trip(Handle("x"), config)

    @pytest.mark.parametrize(
        ("class_", "sfunc", "ufunc"),
        [([Handle], [to_bytes] * 2, [from_bytes]), ([Handle] * 2, to_bytes, from_bytes), ([], [], [bytes])],
    )
    def test_lengths_must_agree(self, class_, sfunc, ufunc):
        with pytest.raises(ValueError, match="must all be the same length"):
            nngsock.serial_config(class_, sfunc, ufunc)

    @pytest.mark.parametrize(
        ("sfunc", "ufunc", "name"),
        [(1, bytes, "sfunc"), ([repr, "x"], [bytes] * 2, "sfunc"), (repr, None, "ufunc")],
    )
    def test_functions_must_be_functions(self, sfunc, ufunc, name):
        with pytest.raises(TypeError, match=f"`{name}` must be a function or list of functions"):
            nngsock.serial_config(Handle, sfunc, ufunc)

    @pytest.mark.parametrize(
        ("class_", "error"),
        [(3, TypeError), ("Handle", ValueError), ("a.", ValueError), (Handle("x"), TypeError)],
    )
    def test_classes_must_be_classes_or_full_names(self, class_, error):
        with pytest.raises(error, match="`class_` must be a class"):
            nngsock.serial_config(class_, to_bytes, from_bytes)

    @pytest.mark.parametrize("class_", [int, dict, list, bytes, type(None)])
    def test_a_class_that_pickle_writes_itself_is_refused(self, class_):
        with pytest.raises(ValueError, match=f"cannot be {class_.__name__}, which pickle writes itself"):
            nngsock.serial_config(class_, repr, eval)


class TestOption:
    def test_both_sides_have_it(self, connect, config, patience):
        a, b = connect("pair")
        assert a.set_opt("serial", config) is a
        nngsock.set_opt(b, "serial", config)
        a.send([Handle("x")], block=patience)
        assert b.recv(block=patience)[0].name == "x"
        aio = nngsock.recv_aio(a)
        nngsock.send_aio(b, Handle("y"))
        assert aio.collect().name == "y"

    def test_contexts_follow_their_socket(self, connect, config, patience):
        req, rep = connect("req", "rep")
        asking, answering = nngsock.context(req), nngsock.context(rep)
        for sock in (req, rep):
            sock.set_opt("serial", config)
        answer = nngsock.request(asking, Handle("x"))
        nngsock.reply(answering, lambda h: Handle(h.name + "!"), timeout=patience)
        assert answer.collect().name == "x!"
        with pytest.raises(nngsock.NngError, match=r"9 \| Not supported"):
            asking.set_opt("serial", config)

    @pytest.mark.parametrize("empty", [{}, [], (), nngsock.serial_config([], [], [])])
    def test_an_empty_one_removes_it(self, make_socket, config, empty):
        sock = make_socket("pair").set_opt("serial", config)
        sock.set_opt("serial", empty)
        with pytest.raises(TypeError, match="lock"):
            sock.send(Handle("x"))

    def test_a_dict_of_the_arguments_serves(self, connect, patience):
        a, b = connect("pair")
        for sock in (a, b):
            sock.set_opt("serial", {"class_": Handle, "sfunc": to_bytes, "ufunc": from_bytes})
        a.send(Handle("x"), block=patience)
        assert b.recv(block=patience).name == "x"

    def test_it_and_the_serializer_are_set_in_any_order(self, make_socket, config):
        sock = make_socket("pair").set_opt("serial", config)
        sock.set_opt("serializer", "json")
        assert sock.opt("serializer") == "json"
        sock.set_opt("serializer", "pickle")
        assert sock.send(Handle("x")) == 8  # nobody is there, but it could be encoded

    def test_json_does_not_apply_it(self, make_socket, config):
        sock = make_socket("pair").set_opt("serializer", "json").set_opt("serial", config)
        with pytest.raises(TypeError, match="not JSON serializable"):
            sock.send(Handle("x"))

    def test_it_cannot_be_read(self, make_socket):
        with pytest.raises(nngsock.NngError, match=r"25 \| Write only resource"):
            make_socket("pair").opt("serial")

    @pytest.mark.parametrize("value", [3, "x", True, {"class_": Handle}, [1]])
    def test_anything_else_is_refused(self, make_socket, value):
        with pytest.raises(TypeError, match="type of `value` not supported"):
            make_socket("pair").set_opt("serial", value)

    def test_none_is_an_error(self, make_socket):
        with pytest.raises(nngsock.NngError):
            make_socket("pair").set_opt("serial", None)

    def test_other_options_take_no_configuration_list_or_dict(self, make_socket, config):
        for value in (config, [1], {"a": 1}):
            with pytest.raises(TypeError, match="type of `value` not supported"):
                make_socket("pair").set_opt("recv-buffer", value)
