//! Compiles the wire definitions; protox is a protoc in Rust, so nothing has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let definitions = protox::compile(["tfplugin6.proto", "plugin.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_client(std::env::var_os("CARGO_FEATURE_TESTING").is_some())
        .build_transport(false)
        .generate_default_stubs(true)
        .btree_map(".")
        .compile_fds(definitions)?;
    Ok(())
}
