//! What people see: one file per page, its template of the same name in `templates/`.

pub mod access;
pub mod assets;
pub mod audit;
pub mod clusters;
pub mod environments;
pub mod home;
pub mod limits;
pub mod namespaces;
pub mod people;
pub mod profile;
pub mod runs;
pub mod sharing;
pub mod sign_in;
