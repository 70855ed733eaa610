//! Styles and scripts, embedded, under names that change with their content.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use http::header;
use include_dir::{Dir, include_dir};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::extract::Path;

static ASSETS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/assets");

/// `style.css` as `/assets/style.3f2a9c81.css`: a browser may keep it for ever.
pub fn address(name: &str) -> String {
    let hashed = hashed();
    let known = hashed.iter().find(|(_, (plain, _))| *plain == name);
    known.map_or_else(|| format!("/assets/{name}"), |(hashed, _)| format!("/assets/{hashed}"))
}

/// Serves one of them.
pub async fn file(Path(name): Path<String>) -> Result<Response> {
    let (plain, content) = hashed().get(&name).ok_or_else(Error::not_found)?;
    let kind = match plain.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, *content).into_response())
}

/// By their hashed names: the plain name and the content.
fn hashed() -> &'static BTreeMap<String, (&'static str, &'static [u8])> {
    static HASHED: OnceLock<BTreeMap<String, (&'static str, &'static [u8])>> = OnceLock::new();
    HASHED.get_or_init(|| {
        let named = ASSETS.files().filter_map(|file| {
            let plain = file.path().to_str()?;
            let (stem, ending) = plain.rsplit_once('.')?;
            let hash = hex::encode(&Sha256::digest(file.contents())[..4]);
            Some((format!("{stem}.{hash}.{ending}"), (plain, file.contents())))
        });
        named.collect()
    })
}
