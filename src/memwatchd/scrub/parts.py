"""Names of what a machine is made of: kernel release, model, slab caches, modules, work queues.

::

    4.19.0-acme-prod7 #1 SMP Debian 4.19.98-1      4.19.0-vendor-1-vendor-2 #1 SMP Debian 4.19.98-1
    Acme R740/0K1234567, BIOS 2.1 03/04/2020       Acme R740/serial-1, BIOS 2.1 03/04/2020
    dentry(123:web.service)                        dentry(123:unit-1.service)
"""

import re
from collections.abc import Iterator

from memwatchd.scrub.names import Names
from memwatchd.scrub.vocabulary import is_kernel_word, words_of

_RELEASE_PART = re.compile(r"[^\W_]+")
_RELEASE_WORDS = words_of(
    """
    rc next generic amd64 x86 i386 i486 i586 i686 ia32 ia64 arm arm64 armv5 armv6 armv6l armv7 armv7l
    armhf aarch64 mips mipsel mips64 ppc ppc64 ppc64le powerpc s390 s390x riscv riscv64 sparc64
    lowlatency aws azure gcp gke oracle kvm pve uek default preempt rt zen lts hardened pae smp bigsmp
    debug cloud server virtual desktop raspi rpi v7 v7l v8 gki android mainline dirty arch linode fedora
    debian ubuntu suse el lp fc amzn bpo deb mm yocto standard custom microsoft wsl2 azl cm tegra qcom
    openela centos plus xen xanmod liquorix longterm stable gnu red hat enterprise rocky
    almalinux opensuse leap tumbleweed alpine amazon raspbian nixos gentoo void slackware mint manjaro
    bookworm trixie bullseye buster stretch jessie bionic focal jammy noble xenial trusty ootpa plow
    """
)
_SERIAL = re.compile(
    r"(?=(?:[A-Za-z-]{0,64}\d){5})(?=[\d-]{0,64}[A-Za-z])[A-Za-z0-9-]{9,64}|\d{7,64}", re.ASCII
)
_VIRTUAL = re.compile(r"qemu|kvm|virtualbox|vmware|xen|hyper-v|bochs", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?<![\w.-])[A-Za-z][\w-]{0,62}(?:\.[\w-]{1,62}){0,6}\.[A-Za-z]{2,12}(?![\w.])", re.ASCII
)
_KNOWN_DOMAIN = re.compile(r"qemu(?:-project)?\.org$", re.ASCII)
_CACHE = re.compile(r"[\w.:$-]{1,64}", re.ASCII)
_MODULE = re.compile(r"\[?[\w()+-]{1,70}:?\]?", re.ASCII)
_FUNCTION = re.compile(r"\w{1,100}", re.ASCII)


def scrub_release(names: Names, text: str) -> str:
    """Keep the numbers of a version and the words distributions use in theirs."""

    def part(found: re.Match[str]) -> str:
        word = found[0].lower()
        bare = word.strip("0123456789")
        plain = bare in _RELEASE_WORDS or word in _RELEASE_WORDS or len(bare) < 2
        return found[0] if plain or is_kernel_word(found[0]) else names.of("vendor", found[0])

    return _RELEASE_PART.sub(part, text)


def scrub_hardware(names: Names, text: str) -> str:
    """Keep the model of a machine; what looks like a serial number or a domain goes."""

    def domain(found: re.Match[str]) -> str:
        return found[0] if _KNOWN_DOMAIN.search(found[0]) else names.of("domain", found[0])

    text = _DOMAIN.sub(domain, text)
    if _VIRTUAL.search(text):  # its version would look like one
        return text
    return _SERIAL.sub(lambda found: names.of("serial", found[0]), text)


def scrub_cache(names: Names, name: str) -> str:
    """Keep the name of a slab cache, but not that of the cgroup it was made for (until 5.8)."""
    cache, opened, owner = name.partition("(")
    number, colon, cgroup = owner.partition(":")
    if _CACHE.fullmatch(cache) and not opened:
        return name
    if not _CACHE.fullmatch(cache) or not colon or not number.isdigit():
        return names.of("cache", name)
    closed = ")" if cgroup.endswith(")") else ""
    return f"{cache}({number}:{names.cgroup(cgroup.removesuffix(')'))}{closed}"


def scrub_modules(names: Names, text: str) -> str:
    """Keep the names of modules, whoever made them."""
    return "".join(_modules(names, text))


def _modules(names: Names, text: str) -> Iterator[str]:
    for word in re.split(r"(\s+)", text):
        yield word if not word.strip() or _MODULE.fullmatch(word) else names.of("module", word)


def scrub_queue(names: Names, text: str) -> str:
    """Keep the function of a work queue, and its name if it is one of the kernel's own."""
    queue, blank, rest = text.partition(" ")
    function = _FUNCTION.match(rest)
    return (
        (queue if is_kernel_word(queue) else names.of("queue", queue))
        + blank
        + (function[0] if function else "")
    )
