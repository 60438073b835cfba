"""The lines that other readers of hives make of one; tests/support/mod.rs writes the same.

READER is hivex (libhivex) or registry (python-registry).
"""

import sys
import zlib


def line(path, name, kind, data):
    shown = data.hex() if len(data) <= 64 else f"{len(data)} bytes, CRC {zlib.crc32(data):08x}"
    return f"{path}\t={name}\t{kind}\t{shown}\n"


def with_hivex(file):
    import hivex

    hive = hivex.Hivex(file)
    waiting = [(hive.root(), "")]
    while waiting:
        key, path = waiting.pop()
        yield f"{path}\t\n"
        for value in hive.node_values(key):
            kind, data = hive.value_value(value)
            yield line(path, hive.value_key(value), kind & 0xFFFFFFFF, data)
        for sub in hive.node_children(key):
            waiting.append((sub, f"{path}\\{hive.node_name(sub)}"))


def with_registry(file):
    from Registry import Registry

    waiting = [(Registry.Registry(file).root(), "")]
    while waiting:
        key, path = waiting.pop()
        yield f"{path}\t\n"
        for value in key.values():
            name = "" if value.name() == "(default)" else value.name()
            # It shortens types above 65535, and reads some data by its type: only long data is left to it.
            record = value._vkrecord
            length = record.data_length()
            if record.unpack_dword(0x4) & 0x80000000:
                data = record.unpack_binary(0x8, length)
            elif length <= 16344:
                start = record.abs_offset_from_hbin_offset(record.unpack_dword(0x8)) + 4
                data = bytes(record._buf[start : start + length])
            else:
                data = value.raw_data()[:length]
            yield line(path, name, record.unpack_dword(0xC), data)
        for sub in key.subkeys():
            waiting.append((sub, f"{path}\\{sub.name()}"))


if __name__ == "__main__":
    reader = {"hivex": with_hivex, "registry": with_registry}[sys.argv[1]]
    lines = sorted(text.encode("utf-8", "surrogatepass") for text in reader(sys.argv[2]))
    sys.stdout.buffer.writelines(lines)
