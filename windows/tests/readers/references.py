"""What in a guest's registry points at nothing, by a reader of hives that is not ours (libhivex, else python-registry).

references.py ROOT prints one line for each reference that leads nowhere. It knows nothing of any hypervisor: it follows
every text that is a path on the system's drive, and every name of a service, class or product where Windows follows one.
"""

import os
import re
import struct
import sys


def decode(kind, data):
    """The texts of a value: none, one, or several."""
    if kind not in (1, 2, 7):
        return []
    text = data.decode("utf-16-le", "replace")
    return [part for part in text.split("\0") if part]


def with_registry(file):
    from Registry import Registry

    def walk(key, path):
        values = {}
        for value in key.values():
            name = "" if value.name() == "(default)" else value.name()
            values[name.lower()] = (value.value_type(), value.raw_data())
        yield path, values
        for sub in key.subkeys():
            yield from walk(sub, f"{path}\\{sub.name()}".lstrip("\\"))

    return walk(Registry.Registry(file).root(), "")


def with_hivex(file):
    import hivex

    hive = hivex.Hivex(file)

    def walk(key, path):
        values = {}
        for value in hive.node_values(key):
            kind, data = hive.value_value(value)
            values[hive.value_key(value).lower()] = (kind & 0xFFFFFFFF, data)
        yield path, values
        for sub in hive.node_children(key):
            yield from walk(sub, f"{path}\\{hive.node_name(sub)}".lstrip("\\"))

    return walk(hive.root(), "")


def read(file):
    try:
        import hivex  # noqa: F401

        reader = with_hivex
    except ImportError:
        reader = with_registry
    return {path.lower(): values for path, values in reader(file)}


class Tree:
    """The files of a Windows, found without regard to case."""

    def __init__(self, root):
        self.paths = set()
        for folder, folders, files in os.walk(root):
            base = os.path.relpath(folder, root)
            for name in folders + files:
                path = name if base == "." else f"{base}/{name}"
                self.paths.add(path.lower().replace("/", "\\"))

    def has(self, path):
        return path.lower().strip("\\") in self.paths


VARIABLES = {
    "%systemroot%": "c:\\windows",
    "%windir%": "c:\\windows",
    "%systempath%": "c:\\windows",
    "\\systemroot\\": "c:\\windows\\",
    "\\??\\": "",
    "%programfiles%": "c:\\program files",
}
FILE = re.compile(r'c:\\[^"<>|*?;,]*?\.(?:exe|sys|dll|cpl|mof|msi)(?=$|["\s;,\\])')


def files(text):
    """The files on drive C that a text names."""
    if "." not in text:
        return []
    text = text.lower().replace("/", "\\")
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    if re.match(r"system32\\", text):
        text = "c:\\windows\\" + text
    return [match[3:] for match in FILE.findall(text)]


def texts(values, name):
    return decode(*values[name]) if name in values else []


def references(root):
    folder = os.path.join(root, "Windows/System32/config")
    if not os.path.isdir(folder):
        folder = os.path.join(root, "WINDOWS/system32/config")
    system = read(os.path.join(folder, "SYSTEM"))
    software = read(os.path.join(folder, "SOFTWARE"))
    tree = Tree(root)
    found = set()

    users = []
    for place in ("Users", "Profiles", "Documents and Settings"):
        for folder_name, _, names in os.walk(os.path.join(root, place)):
            for name in names:
                file = os.path.join(folder_name, name)
                if name.lower() == "ntuser.dat" and open(file, "rb").read(4) == b"regf":
                    users.append((os.path.relpath(file, root), read(file)))
    default = os.path.join(folder, "DEFAULT")
    if os.path.exists(default):
        users.append(("DEFAULT", read(default)))

    select = system["select"]
    sets = {struct.unpack("<I", select[name][1])[0] for name in ("current", "default", "lastknowngood")}
    roots = [f"controlset{number:03}" for number in sorted(sets) if number]

    for hive, keys in (("SYSTEM", system), ("SOFTWARE", software), *users):
        for path, values in keys.items():
            # Where a package came from is no reference, and other control sets do not boot.
            if path.startswith("driverdatabase") or "appcompat" in path:
                continue
            if hive == "SYSTEM" and not path.startswith(tuple(roots)):
                continue
            for name, (kind, data) in values.items():
                for text in [name, *decode(kind, data)]:
                    for file in files(text):
                        if not tree.has(file):
                            found.add(f"{hive}: {path}, {name!r}: file {file}")

    def subkeys(keys, path):
        start = path.lower() + "\\"
        return {key[len(start) :].split("\\")[0] for key in keys if key.startswith(start)}

    # A drive of a provider that is not there, and a choice of a handler that is not.
    providers = {
        texts(values, "name")[0].lower()
        for path, values in system.items()
        if path.endswith("\\networkprovider") and texts(values, "name")
    } | {"microsoft windows network"}
    handlers = subkeys(software, "classes")
    for hive, keys in users:
        for path, values in keys.items():
            if re.fullmatch(r"network\\.", path):
                for name in texts(values, "providername"):
                    if name.lower() not in providers:
                        found.add(f"{hive}: {path}: provider {name}")
            if path.endswith("\\userchoice"):
                for name in texts(values, "progid"):
                    if "." in name and name.lower() not in handlers:
                        found.add(f"{hive}: {path}: handler {name}")

    classes = set()
    for view in ("classes", "classes\\wow6432node"):
        classes |= subkeys(software, f"{view}\\clsid")

    for root_key in roots:
        services = subkeys(system, f"{root_key}\\services")

        def need(path, what, name):
            if name.lower() not in services:
                found.add(f"SYSTEM: {path}: {what} {name}")

        for path, values in system.items():
            if not path.startswith(root_key):
                continue
            for filters in ("upperfilters", "lowerfilters"):
                for name in texts(values, filters):
                    need(path, "filter", name)
            for name in texts(values, "dependonservice"):
                need(path, "needed service", name)
            loads = "\\enum\\root\\" in path or "\\criticaldevicedatabase\\" in path or path.endswith("\\video")
            if loads:
                for name in texts(values, "service"):
                    need(path, "driver", name)
            if path.endswith(("\\networkprovider\\order", "\\networkprovider\\hworder")):
                for text in texts(values, "providerorder"):
                    for name in filter(None, text.split(",")):
                        need(path, "network provider", name)
            if "\\vss\\providers\\" in path and path.endswith("\\clsid"):
                for name in texts(values, ""):
                    if name.lower() not in classes:
                        found.add(f"SYSTEM: {path}: class {name}")
            if "\\control\\class\\" not in path and texts(values, "driver"):
                for name in texts(values, "driver"):
                    if "\\" in name and "\\enum\\" in path and f"{root_key}\\control\\class\\{name.lower()}" not in system:
                        found.add(f"SYSTEM: {path}: class key {name}")

        catalogue = f"{root_key}\\services\\winsock2\\parameters\\protocol_catalog9"
        for entries, count in (("catalog_entries", "num_catalog_entries"), ("catalog_entries64", "num_catalog_entries64")):
            names = sorted(subkeys(system, f"{catalogue}\\{entries}"))
            if not names:
                continue
            number = struct.unpack("<I", system[catalogue][count][1])[0]
            if names != [f"{at:012}" for at in range(1, number + 1)]:
                found.add(f"SYSTEM: {catalogue}: {number} entries counted, there are {names}")
            for name in names:
                item = system[f"{catalogue}\\{entries}\\{name}"]["packedcatalogitem"][1]
                for file in files(item[:260].split(b"\0")[0].decode("latin-1")):
                    if not tree.has(file):
                        found.add(f"SYSTEM: {catalogue}\\{entries}\\{name}: file {file}")

    products = subkeys(software, "classes\\installer\\products")
    for path, values in software.items():
        last = path.rsplit("\\", 1)[-1]
        if "\\components\\" in path or "\\upgradecodes\\" in path:
            for name in values:
                if re.fullmatch("[0-9a-f]{32}", name) and name not in products and name.strip("0"):
                    found.add(f"SOFTWARE: {path}: product {name}")
        if path.startswith("classes\\") and path.count("\\") == 2 and last == "clsid":
            for name in texts(values, ""):
                if name.lower() not in classes:
                    found.add(f"SOFTWARE: {path}: class {name}")
        if "\\controlpanel\\namespace\\" in path or "\\credential providers\\" in path:
            if last.startswith("{") and last not in classes:
                found.add(f"SOFTWARE: {path}: class {last}")
        for name in texts(values, "appid"):
            if path.startswith("classes\\clsid\\") and f"classes\\appid\\{name.lower()}" not in software:
                found.add(f"SOFTWARE: {path}: application {name}")
        if "\\taskcache\\tree\\" in path:
            for name in texts(values, "id"):
                cache = path.split("\\tree\\")[0]
                if f"{cache}\\tasks\\{name.lower()}" not in software:
                    found.add(f"SOFTWARE: {path}: task {name}")
    return found


if __name__ == "__main__":
    for line in sorted(references(sys.argv[1])):
        print(line)
