from __future__ import annotations

import pytest

import antiphon.testing


def test_every_name_has_a_home_and_is_found():
    homes = {name for names in antiphon.testing._HOMES.values() for name in names}
    assert sorted(homes) == sorted(antiphon.testing.__all__)
    for name in antiphon.testing.__all__:
        getattr(antiphon.testing, name)  # raises if its home does not have it
        assert name in dir(antiphon.testing)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="VirtualLop"):
        antiphon.testing.VirtualLop  # noqa: B018 - to look at it is what raises
