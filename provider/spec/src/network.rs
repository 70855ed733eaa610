//! IPv4 arithmetic: networks (CIDR), address ranges, VLAN tags.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// A network such as `10.244.0.0/16`, always with its host bits zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    network: Ipv4Addr,
    prefix_length: u8,
}

/// A text that is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCidr {
    /// Not of the form address/length.
    #[error("{0:?} is not an IPv4 network: write address/length, for instance 10.244.0.0/16")]
    Form(String),
    /// An address inside the network instead of the network.
    #[error("{given:?} is an address inside a network: did you mean {meant}?")]
    HostBits {
        /// The text as given.
        given: String,
        /// The network that holds the given address.
        meant: Cidr,
    },
}

impl Cidr {
    /// Parses `10.244.0.0/16`.
    pub fn parse(text: &str) -> Result<Self, InvalidCidr> {
        let form = || InvalidCidr::Form(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(form)?;
        let address: Ipv4Addr = address.parse().map_err(|_| form())?;
        if length.is_empty() || length.len() > 2 || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(form());
        }
        let prefix_length: u8 = length.parse().map_err(|_| form())?;
        let cidr = Self::containing(address, prefix_length).ok_or_else(form)?;
        if cidr.network == address {
            Ok(cidr)
        } else {
            Err(InvalidCidr::HostBits { given: text.to_owned(), meant: cidr })
        }
    }

    /// The network of that length in which the address lies; `None` if the length is above 32.
    pub fn containing(address: Ipv4Addr, prefix_length: u8) -> Option<Self> {
        let mask = mask(prefix_length)?;
        Some(Self { network: Ipv4Addr::from_bits(address.to_bits() & mask), prefix_length })
    }

    /// The network's own (first) address.
    pub fn network(self) -> Ipv4Addr {
        self.network
    }

    /// The number of leading bits that all its addresses share.
    pub fn prefix_length(self) -> u8 {
        self.prefix_length
    }

    /// All its addresses, the network's and the broadcast address included.
    pub fn range(self) -> AddressRange {
        let mask = mask(self.prefix_length).expect("a Cidr never has more than 32 prefix bits");
        let last = Ipv4Addr::from_bits(self.network.to_bits() | !mask);
        AddressRange { first: self.network, last }
    }

    /// Whether the address lies in the network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        self.range().contains(address)
    }

    /// Whether two networks share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.range().overlaps(other.range())
    }
}

fn mask(prefix_length: u8) -> Option<u32> {
    match prefix_length {
        0 => Some(0),
        1..=32 => Some(u32::MAX << (32 - u32::from(prefix_length))),
        _ => None,
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix_length)
    }
}

impl std::str::FromStr for Cidr {
    type Err = InvalidCidr;
    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Cidr {
    type Error = InvalidCidr;
    fn try_from(text: String) -> Result<Self, InvalidCidr> {
        Self::parse(&text)
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

/// A run of addresses, both ends included and never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AddressRange {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

impl AddressRange {
    /// The range from first to last; `None` if last comes before first.
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// A range of that many addresses; `None` if there are none or they run past the address space.
    pub fn starting_at(first: Ipv4Addr, count: u32) -> Option<Self> {
        let last = first.to_bits().checked_add(count.checked_sub(1)?)?;
        Some(Self { first, last: Ipv4Addr::from_bits(last) })
    }

    /// The first address.
    pub fn first(self) -> Ipv4Addr {
        self.first
    }

    /// The last address.
    pub fn last(self) -> Ipv4Addr {
        self.last
    }

    /// How many addresses there are.
    pub fn capacity(self) -> u64 {
        u64::from(self.last.to_bits() - self.first.to_bits()) + 1
    }

    /// Whether the address lies in the range.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// Whether the whole other range lies in this one.
    pub fn contains_range(self, other: Self) -> bool {
        self.contains(other.first) && self.contains(other.last)
    }

    /// Whether two ranges share an address.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// How far the address lies after the first one; `None` if it is outside.
    pub fn offset(self, address: Ipv4Addr) -> Option<u32> {
        self.contains(address).then(|| address.to_bits() - self.first.to_bits())
    }

    /// The address that far after the first one; `None` past the end.
    pub fn nth(self, offset: u32) -> Option<Ipv4Addr> {
        let address = Ipv4Addr::from_bits(self.first.to_bits().checked_add(offset)?);
        self.contains(address).then_some(address)
    }

    /// Every address, ascending.
    pub fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first.to_bits()..=self.last.to_bits()).map(Ipv4Addr::from_bits)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// A VLAN tag, 1 to 4094.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct VlanTag(u16);

/// A number that is no VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a VLAN tag: use a number from 1 to 4094")]
pub struct InvalidVlanTag(pub u16);

impl TryFrom<u16> for VlanTag {
    type Error = InvalidVlanTag;
    fn try_from(tag: u16) -> Result<Self, InvalidVlanTag> {
        (1..=4094).contains(&tag).then_some(Self(tag)).ok_or(InvalidVlanTag(tag))
    }
}

impl From<VlanTag> for u16 {
    fn from(tag: VlanTag) -> Self {
        tag.0
    }
}

impl fmt::Display for VlanTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_network_is_written_with_its_own_address() {
        assert_eq!(
            Cidr::parse("10.244.7.1/16").unwrap_err().to_string(),
            "\"10.244.7.1/16\" is an address inside a network: did you mean 10.244.0.0/16?"
        );
        for text in ["10.244.0.0", "10.244.0.0/33", "10.244.0.0/", "10.244.0.0/+8", "10.0.0/8", ""]
        {
            let error = Cidr::parse(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "{text:?} is not an IPv4 network: write address/length, for instance 10.244.0.0/16"
                )
            );
        }
    }

    #[test]
    fn a_vlan_has_a_number_that_fits_into_a_frame() {
        assert_eq!([1, 4094].map(|tag| VlanTag::try_from(tag).map(u16::from)), [Ok(1), Ok(4094)]);
        for tag in [0, 4095] {
            let error = VlanTag::try_from(tag).unwrap_err().to_string();
            assert_eq!(error, format!("{tag} is not a VLAN tag: use a number from 1 to 4094"));
        }
    }

    fn cidr() -> impl Strategy<Value = Cidr> {
        (any::<u32>(), 0u8..=32)
            .prop_map(|(bits, length)| Cidr::containing(Ipv4Addr::from_bits(bits), length).unwrap())
    }

    proptest! {
        #[test]
        fn a_network_survives_being_written_and_read(cidr in cidr()) {
            prop_assert_eq!(Cidr::parse(&cidr.to_string()), Ok(cidr));
        }

        #[test]
        fn two_networks_overlap_exactly_if_one_contains_the_other(a in cidr(), b in cidr()) {
            let nested = a.range().contains_range(b.range()) || b.range().contains_range(a.range());
            prop_assert_eq!(a.overlaps(b), nested);
            prop_assert_eq!(a.overlaps(b), b.overlaps(a));
        }

        #[test]
        fn offset_and_nth_undo_each_other(first in any::<u32>(), count in 1u32..5000, at in any::<u32>()) {
            let Some(range) = AddressRange::starting_at(Ipv4Addr::from_bits(first), count) else {
                return Ok(());
            };
            prop_assert_eq!(range.capacity(), u64::from(count));
            match range.nth(at) {
                Some(address) => prop_assert_eq!(range.offset(address), Some(at)),
                None => prop_assert!(at >= count),
            }
        }
    }
}
