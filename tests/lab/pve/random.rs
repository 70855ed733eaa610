//! Identifiers as Proxmox VE makes them up.

use rand::RngExt;

/// A UUID of version 4.
pub(crate) fn uuid() -> String {
    let bits: u128 = rand::rng().random();
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A MAC address with the prefix that Proxmox uses.
pub(crate) fn mac() -> String {
    let [a, b, c]: [u8; 3] = rand::rng().random();
    format!("BC:24:11:{a:02X}:{b:02X}:{c:02X}")
}

/// What makes a ticket hard to guess.
pub(crate) fn secret() -> String {
    let bits: [u128; 2] = rand::rng().random();
    format!("{:032x}{:032x}", bits[0], bits[1])
}
