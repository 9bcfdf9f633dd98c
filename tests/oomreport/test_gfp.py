"""GFP masks: names by era, and what a request may do."""

import pytest

from memwatchd.oomreport.gfp import Request, decode, parse_flags, request_of

ERAS = {
    "≤2.6.30": {"HIGHUSER_MOVABLE": 0x1200D2, "KERNEL": 0xD0, "NOFS": 0x50, "ATOMIC": 0x20},
    "2.6.31": {"HIGHUSER_MOVABLE": 0x200DA, "KERNEL": 0xD0, "NOFS": 0x50, "ATOMIC": 0x20},
    "4.4": {"HIGHUSER_MOVABLE": 0x24200CA, "KERNEL": 0x24000C0, "NOFS": 0x2400040, "ATOMIC": 0x2080020},
    "4.10": {"HIGHUSER_MOVABLE": 0x14200CA, "KERNEL": 0x14000C0, "NOFS": 0x1400040, "ATOMIC": 0x1080020},
    "4.18": {"HIGHUSER_MOVABLE": 0x6200CA, "KERNEL": 0x6000C0, "NOFS": 0x600040, "ATOMIC": 0x480020},
    "5.1": {"HIGHUSER_MOVABLE": 0x100CCA, "KERNEL": 0xCC0, "NOFS": 0xC40, "ATOMIC": 0xA20},
    "6.9": {"HIGHUSER_MOVABLE": 0x100CCA, "KERNEL": 0xCC0, "NOFS": 0xC40, "ATOMIC": 0x820},
}


@pytest.mark.parametrize(
    ("name", "mask"), [(name, mask) for masks in ERAS.values() for name, mask in masks.items()]
)
def test_composite_names_are_told_by_the_mask_alone(name: str, mask: int) -> None:
    """Otherwise a report without a version line, as most pastes are, would have no names."""
    assert decode(mask) == (f"GFP_{name}",)


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (0x201DA, "GFP_HIGHUSER_MOVABLE|__GFP_COLD"),
        (0x280DA, "GFP_HIGHUSER_MOVABLE|__GFP_ZERO"),
        (0x84D0, "GFP_KERNEL|__GFP_REPEAT|__GFP_ZERO"),
        (0x204020, "GFP_ATOMIC|__GFP_COMP|__GFP_NOTRACK"),
        (0x24002C2, "GFP_KERNEL|__GFP_HIGHMEM|__GFP_NOWARN"),
        (0x27080C0, "GFP_KERNEL_ACCOUNT|__GFP_ZERO|__GFP_NOTRACK"),
        (0x6040C0, "GFP_KERNEL|__GFP_COMP"),
        (0x101C4A, "GFP_NOFS|__GFP_HIGHMEM|__GFP_HARDWALL|__GFP_MOVABLE|__GFP_WRITE"),
        (0x500CC2, "GFP_HIGHUSER|__GFP_ACCOUNT"),
        (0x60C40, "GFP_NOFS|__GFP_COMP|__GFP_MEMALLOC"),
        (0xCD0, "GFP_KERNEL|__GFP_RECLAIMABLE"),
        (0x1, "GFP_DMA"),
        (0x0, ""),
        (0x1100CCA, "GFP_HIGHUSER_MOVABLE|0x1000000"),
    ],
)
def test_the_names_are_the_kernels_and_in_its_order(mask: int, text: str) -> None:
    """Otherwise decoded masks could not be compared with printed ones."""
    assert decode(mask) == parse_flags(text)


def test_the_version_is_asked_only_where_the_mask_does_not_tell() -> None:
    """Otherwise a kernel with patches carried back would be read by the wrong table."""
    assert decode(0x200) is None
    assert decode(0x200, "4.4.0-210-generic") == ("__GFP_NOWARN",)
    assert decode(0x200, "5.4.0") == ("__GFP_ATOMIC",)
    assert decode(0xCC0, "4.18.0-553.el8_10.x86_64") == ("GFP_KERNEL",)
    assert decode(0x120050, "2.6.26-2-686") == ("GFP_NOFS", "__GFP_HARDWALL", "__GFP_MOVABLE")


def test_what_is_no_mask_has_no_names() -> None:
    """Otherwise a damaged number would become a request."""
    assert decode(1 << 40, "6.1.0") is None
    assert decode(-1) is None
    assert request_of(1 << 40, ()) is None


def test_printed_flags_may_be_damaged() -> None:
    """Otherwise blanks or a remainder in the text would spoil a name."""
    assert parse_flags("GFP_KERNEL | __GFP_ZERO|0x100,?") == ("GFP_KERNEL", "__GFP_ZERO", "0x100")
    assert parse_flags("GFP_DMA32") == ("GFP_DMA32",)
    assert parse_flags("") == ()


KERNEL = Request(
    highest_zone="Normal",
    movable=False,
    reclaimable=False,
    may_reclaim=True,
    may_io=True,
    may_fs=True,
    high_priority=False,
    this_node=False,
    no_retry=False,
)


@pytest.mark.parametrize("era", ERAS)
def test_a_request_is_the_same_in_all_eras(era: str) -> None:
    """Otherwise findings on zones and reclaim would depend on the kernel's age."""
    masks = ERAS[era]
    assert request_of(masks["KERNEL"], ()) == KERNEL
    movable = request_of(masks["HIGHUSER_MOVABLE"], ())
    assert movable is not None
    assert (movable.highest_zone, movable.movable, movable.may_reclaim) == ("Movable", True, True)
    atomic = request_of(masks["ATOMIC"], ())
    assert atomic is not None
    assert (atomic.may_reclaim, atomic.high_priority, atomic.may_io) == (False, True, False)
    nofs = request_of(masks["NOFS"], ())
    assert nofs is not None
    assert (nofs.may_reclaim, nofs.may_io, nofs.may_fs) == (True, True, False)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("GFP_KERNEL|GFP_DMA", "DMA"),
        ("GFP_KERNEL|GFP_DMA32", "DMA32"),
        ("GFP_KERNEL|__GFP_DMA32", "DMA32"),
        ("GFP_KERNEL|__GFP_MOVABLE", "Normal"),
        ("GFP_HIGHUSER|__GFP_ACCOUNT", "HighMem"),
        ("GFP_HIGHUSER_MOVABLE|__GFP_COMP", "Movable"),
    ],
)
def test_the_highest_zone_of_a_request(text: str, zone: str) -> None:
    """Otherwise the wrong zones would be looked at for a shortage."""
    request = request_of(None, parse_flags(text))
    assert request is not None
    assert request.highest_zone == zone


def test_names_go_before_the_mask() -> None:
    """Otherwise bits that depend on the configuration would be read by a table that cannot know it."""
    request = request_of(0x20, parse_flags("GFP_NOWAIT|__GFP_THISNODE|__GFP_NORETRY|__GFP_RECLAIMABLE"))
    assert request == Request(
        highest_zone="Normal",
        movable=False,
        reclaimable=True,
        may_reclaim=False,
        may_io=False,
        may_fs=False,
        high_priority=False,
        this_node=True,
        no_retry=True,
    )


def test_a_mask_of_unknown_era_still_has_its_zone() -> None:
    """Otherwise a patched kernel's masks would say nothing at all."""
    request = request_of(0x120050, ())
    assert request is not None
    assert (request.highest_zone, request.may_io, request.may_fs, request.may_reclaim) == (
        "Normal",
        True,
        False,
        True,
    )


def test_no_mask_is_no_request() -> None:
    """Otherwise the page fault path's 0x0 would be taken for a request that cannot wait."""
    assert request_of(0, ()) is None
    assert request_of(None, ()) is None
    assert request_of(None, ("__GFP_OF_ANOTHER_KERNEL",)) is None
