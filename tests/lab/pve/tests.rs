//! The simulation from outside, over its own wire.

mod asker;
mod behaviour;
mod conformance;
mod faults;
