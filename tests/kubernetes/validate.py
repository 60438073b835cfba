"""Validates Kubernetes manifests offline: validate.py MANIFEST...

Prints one line for each document that is right, and ends with 1 after a line for each that is not. A file whose name
ends in -patch.yaml is a merge patch, and is validated in the object that it patches.
"""

import copy
import json
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent
SCHEMAS = {
    ("forklift.konveyor.io/v1beta1", "ForkliftController"): HERE / "forkliftcontroller-v1beta1.schema.json",
    ("forklift.konveyor.io/v1beta1", "Plan"): HERE / "plan-v1beta1.schema.json",
    ("cdi.kubevirt.io/v1beta1", "DataVolume"): HERE / "datavolume-v1beta1.schema.json",
    ("kubevirt.io/v1", "VirtualMachine"): HERE / "../../crates/kubevirt/tests/virtualmachine-v1.schema.json",
}
# The oldest release that KubeVirt and Forklift of today support, and the newest that the validator knows.
RELEASES = ["1.30", kubernetes_validate.latest_version()]
NAMED = {"name": "example", "namespace": "example"}
PATCHED = {
    "forkliftcontroller-patch.yaml": {
        "apiVersion": "forklift.konveyor.io/v1beta1", "kind": "ForkliftController", "metadata": NAMED, "spec": {},
    },
    "plan-patch.yaml": {
        "apiVersion": "forklift.konveyor.io/v1beta1", "kind": "Plan", "metadata": NAMED,
        "spec": {
            "provider": {"source": NAMED, "destination": NAMED},
            "map": {"network": NAMED, "storage": NAMED},
            "targetNamespace": "example", "vms": [{"name": "web1"}],
        },
    },
}


def strict(schema):
    """The schema, in which an object has no fields but those that are named."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: strict(value) for name, value in schema.items()}
    named = isinstance(schema.get("properties"), dict)
    if named and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema["additionalProperties"] = False
    # `type: [..]` cannot say it: an integer or a string.
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
    return schema


def merge(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merge(target.get(name), value)
    return target


def validate(document):
    """Raises an exception unless the document is right."""
    kind = (document["apiVersion"], document["kind"])
    if kind not in SCHEMAS:
        for release in RELEASES:
            kubernetes_validate.validate(document, release, strict=True)
        return
    schema = strict(json.loads(SCHEMAS[kind].read_text()))
    # Every object has these; the schemas of custom resources leave them to Kubernetes.
    schema["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}}
    jsonschema.Draft202012Validator(schema).validate(document)


def main(paths):
    wrong = 0
    for path in map(Path, paths):
        for document in yaml.safe_load_all(path.read_text()):
            if path.name.endswith("-patch.yaml"):
                document = merge(copy.deepcopy(PATCHED[path.name]), document)
            name = f"{path.name}: {document.get('kind')}"
            try:
                validate(document)
                print(f"{name}: right")
            except Exception as error:  # whatever a validator thinks of it
                wrong = 1
                print(f"{name}: {getattr(error, 'message', error)}")
    return wrong


sys.exit(main(sys.argv[1:]))
