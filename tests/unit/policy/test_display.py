"""What people see of a call's parameters."""

from models.values import SecretHandle, SecretText, Value
from planvault.policy.display import MASK, MAX_ENTRIES, MAX_TEXT, shown


def test_handles_are_spelled_out_and_never_resolved() -> None:
    header = SecretText(("Bearer ", SecretHandle("SHOP_TOKEN")))
    assert shown({"auth": header}).params == {"auth": "Bearer {{secrets.SHOP_TOKEN}}"}


def test_values_under_secret_names_are_masked_however_deep() -> None:
    args: dict[str, Value] = {
        "user": {
            "name": "ada",
            "Password": "hunter2",
            "apiKey": "k",
            "card": {"cvv": 123},
            "pin": "1",
            "shipping": "x",
        },
        "token": ["t"],
    }
    seen = shown(args)
    assert seen.params == {
        "user": {"name": "ada", "Password": MASK, "apiKey": MASK, "card": {"cvv": MASK}, "pin": MASK, "shipping": "x"},
        "token": MASK,
    }


def test_what_is_large_is_cut_and_says_so() -> None:
    args: dict[str, Value] = {"text": "x" * 5_000, "list": list(range(100)), "map": {str(n): n for n in range(100)}}
    seen = shown(args)
    assert not seen.is_whole
    text, numbers, names = seen.params["text"], seen.params["list"], seen.params["map"]
    assert isinstance(text, str)
    assert text.endswith("(5000 characters)")
    assert len(text) < MAX_TEXT + 30
    assert isinstance(numbers, list)
    assert numbers[-1] == "… 100 in all"
    assert isinstance(names, dict)
    assert len(names) == MAX_ENTRIES + 1


def test_nothing_makes_a_form_without_bounds() -> None:
    nested: Value = "x"
    for _ in range(90):
        nested = [nested] * 2
    wide: Value = [[["x" * 600] * 50] * 50] * 50
    seen = shown({"nested": nested, "wide": wide})
    assert not seen.is_whole
    assert len(str(seen.params)) < 200_000


def test_a_rule_can_choose_what_is_shown() -> None:
    assert shown({"a": 1, "b": 2}, {"b", "c"}).params == {"b": 2}
    assert shown({"a": 1, "b": None}).is_whole
