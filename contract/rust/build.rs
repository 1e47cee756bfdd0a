//! Generates the Rust code from the committed descriptor set: the very bytes whose digest is the contract's
//! identity, so code and identity cannot disagree. No protoc is needed.

use prost::Message;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=gen/descriptor.binpb");
    let set = prost_types::FileDescriptorSet::decode(&*std::fs::read("gen/descriptor.binpb")?)?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure().bytes(".").include_file(out.join("contract.rs")).compile_fds(set)?;
    Ok(())
}
