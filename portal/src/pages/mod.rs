//! What people see: one file per page, its template of the same name in `templates/`.

pub mod assets;
pub mod home;
