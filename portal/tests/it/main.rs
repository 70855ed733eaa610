//! The portal as its users meet it: the real router over a database of its own.

mod approval;
mod audit;
mod defects;
mod health;
mod kubeconfigs;
mod operator;
mod pages;
mod people;
mod quotas;
mod recovery;
mod requests;
mod rights;
mod twenty;
mod world;
