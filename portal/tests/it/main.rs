//! The portal as its users meet it: the real router over a database of its own.

mod health;
mod world;
