from models.base import JsonObject
from planvault.ingestion.flatten import MAX_LEAVES
from planvault.plan.parameter_schema import mismatch
from tests.unit.ingestion.documents import only, openapi, posting, shape


def obj(properties: JsonObject, *required: str, **more: object) -> JsonObject:
    return {"type": "object", "properties": properties, "required": list(required), **more}


TEXT: JsonObject = {"type": "string"}


def test_nested_objects_become_one_parameter_a_property() -> None:
    address = obj({"city": TEXT, "zip": TEXT}, "city")
    tool = posting(obj({"name": TEXT, "address": address, "billing": address}, "name", "address"))
    assert shape(tool.params) == {
        "name": ("body name", True),
        "address_city": ("body address.city", True),
        "address_zip": ("body address.zip", False),
        "billing_city": ("body billing.city", False),  # its parent is optional
        "billing_zip": ("body billing.zip", False),
    }
    assert tool.binding.required_objects == (("address",),)


def test_an_object_that_an_optional_object_requires_is_noted() -> None:
    tool = posting(obj({"outer": obj({"inner": obj({"x": TEXT})}, "inner")}))
    assert tool.binding.required_objects == (("outer", "inner"),)


def test_all_of_is_merged_through_references() -> None:
    tool = posting(
        {"allOf": [{"$ref": "#/components/schemas/Base"}, obj({"b": TEXT}, "b")]},
        components={"schemas": {"Base": obj({"a": TEXT}, "a")}},
    )
    assert shape(tool.params) == {"a": ("body a", True), "b": ("body b", True)}


def test_two_parts_may_share_a_base() -> None:
    schemas: JsonObject = {
        "Base": obj({"id": TEXT}),
        "Left": {"allOf": [{"$ref": "#/components/schemas/Base"}, obj({"l": TEXT})]},
        "Right": {"allOf": [{"$ref": "#/components/schemas/Base"}, obj({"r": TEXT})]},
    }
    both = {"allOf": [{"$ref": "#/components/schemas/Left"}, {"$ref": "#/components/schemas/Right"}]}
    tool = posting(both, components={"schemas": schemas})
    assert set(shape(tool.params)) == {"id", "l", "r"}


def test_what_has_no_fixed_shape_stays_one_parameter_with_its_schema() -> None:
    union: JsonObject = {"oneOf": [obj({"card": TEXT}), obj({"iban": TEXT})]}
    tool = posting(
        obj(
            {
                "pay": union,
                "labels": {"type": "object", "additionalProperties": TEXT},
                "extensible": obj({"a": TEXT}, additionalProperties=True),
                "free": {"type": "object"},
                "lines": {"type": "array", "items": obj({"sku": TEXT})},
                "closed": obj({"a": TEXT}, additionalProperties=False),
            }
        )
    )
    assert set(shape(tool.params)) == {"pay", "labels", "extensible", "free", "lines", "closed_a"}
    schemas = {param.name: param.schema_ for param in tool.params}
    assert schemas["pay"]["anyOf"] == [
        {"type": "object", "properties": {"card": TEXT}},
        {"type": "object", "properties": {"iban": TEXT}},
    ]
    assert schemas["lines"]["items"] == {"type": "object", "properties": {"sku": TEXT}}
    assert schemas["labels"] == {"type": "object", "additionalProperties": TEXT}


def test_a_union_with_null_alone_is_the_object_itself() -> None:
    tool = posting(obj({"who": {"anyOf": [obj({"name": TEXT}), {"type": "null"}]}}), required=True)
    assert shape(tool.params) == {"who_name": ("body who.name", False)}


def test_a_union_that_only_groups_required_names_does_not_hide_the_properties() -> None:
    tool = posting({**obj({"a": TEXT, "b": TEXT}), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]})
    assert set(shape(tool.params)) == {"a", "b"}


def test_the_base_of_a_hierarchy_stays_whole() -> None:
    tool = posting({**obj({"kind": TEXT}), "discriminator": {"propertyName": "kind"}})
    assert shape(tool.params) == {"body": ("body ", True)}


def test_a_recursive_schema_is_cut_where_it_meets_itself() -> None:
    node = obj({"value": TEXT, "next": {"$ref": "#/components/schemas/Node"}})
    tool = posting({"$ref": "#/components/schemas/Node"}, components={"schemas": {"Node": node}})
    assert shape(tool.params) == {"value": ("body value", False), "next": ("body next", False)}
    assert tool.params[1].schema_["type"] == "object"


def test_a_body_with_more_values_than_the_limit_stays_whole() -> None:
    many: JsonObject = {f"p{i}": TEXT for i in range(MAX_LEAVES + 1)}
    assert shape(posting(obj(many)).params) == {"body": ("body ", True)}


def test_when_the_count_runs_out_the_deep_objects_stay_whole() -> None:
    wide = obj({f"p{i}": TEXT for i in range(60)})
    tool = posting(obj({"first": wide, "second": wide, "flat": TEXT}))
    names = set(shape(tool.params))
    assert {"flat", "first_p0", "second"} <= names
    assert "second_p0" not in names


def test_an_objects_own_property_wins_over_that_of_its_parts() -> None:
    base = obj({"kind": TEXT, "name": TEXT})
    tool = posting({"properties": {"kind": {"type": "string", "enum": ["dog"]}}, "allOf": [base]})
    assert tool.params[0].schema_ == {"type": "string", "enum": ["dog"]}


def test_a_part_may_require_what_another_part_describes_but_nothing_that_is_not_sent() -> None:
    base = obj({"id": {"type": "integer", "readOnly": True}, "name": TEXT})
    tool = posting(obj({"many": {"type": "array", "items": {"allOf": [base, {"required": ["id", "name"]}]}}}))
    items = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}
    assert tool.params[0].schema_["items"] == items


def test_nullable_beside_a_composition_takes_null() -> None:
    choice: JsonObject = {"type": "string", "enum": ["a"]}
    tool = posting(
        obj(
            {
                "part": {"nullable": True, "allOf": [TEXT]},
                "choice": {"nullable": True, "allOf": [choice]},
                "union": {"nullable": True, "oneOf": [TEXT, {"type": "integer"}]},
                "clash": {"nullable": True, "allOf": [TEXT, {"type": ["string", "integer"]}]},
                "never": {"allOf": [TEXT]},
            }
        )
    )
    refused = [param.name for param in tool.params if mismatch(None, param.schema_) is not None]
    assert refused == ["never"]
    assert mismatch("b", tool.params[1].schema_) is not None


def test_read_only_properties_are_not_inputs() -> None:
    schema = obj({"id": {"type": "string", "readOnly": True}, "name": TEXT}, "id", "name")
    tool = posting(obj({"one": schema, "many": {"type": "array", "items": schema}}))
    assert set(shape(tool.params)) == {"one_name", "many"}
    assert tool.params[0].schema_["items"] == {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}


def test_names_that_meet_are_told_apart_by_their_place() -> None:
    tool = only(
        openapi(
            {
                "/things/{id}": {
                    "put": {
                        "operationId": "put",
                        "parameters": [
                            {"name": "id", "in": "query", "schema": TEXT},
                            {"name": "id", "in": "path", "required": True, "schema": TEXT},
                            {"name": "X-Id", "in": "header", "schema": TEXT},
                        ],
                        "requestBody": {
                            "content": {
                                "application/json": {
                                    "schema": obj({"id": TEXT, "customer": obj({"id": TEXT}), "customer_id": TEXT})
                                }
                            }
                        },
                    }
                }
            }
        )
    )
    assert {name: where for name, (where, _) in shape(tool.params).items()} == {
        "id": "path id",
        "query_id": "query id",
        "X_Id": "header X-Id",
        "body_id": "body id",
        "customer_id": "body customer_id",
        "body_customer_id": "body customer.id",
    }


def test_names_become_identifiers() -> None:
    tool = posting(obj({"from": TEXT, "$top": TEXT, "2fa": TEXT, "größe": TEXT, "名前": TEXT, "__class__": TEXT}))
    assert list(shape(tool.params)) == ["from_", "top", "param_2fa", "groe", "param", "class_"]
    assert all(name.isidentifier() for name in shape(tool.params))
