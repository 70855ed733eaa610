//! What is embedded at compile time: Cargo does not see it by itself.

fn main() {
    for folder in ["migrations", "templates", "assets"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
