//! Compiles the .proto files with protox, so that no system protoc is needed.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "renaksi/log/v1/common.proto",
        "renaksi/log/v1/people.proto",
        "renaksi/log/v1/plan.proto",
        "renaksi/log/v1/entry.proto",
        "renaksi/log/v1/revision.proto",
        "renaksi/log/v1/quarter.proto",
        "renaksi/log/v1/config.proto",
        "renaksi/log/v1/narrative.proto",
        "renaksi/log/v1/record.proto",
        "renaksi/backup/v1/backup.proto",
        "renaksi/wire/v1/wire.proto",
    ];
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(files, ["proto"])?;
    let out = std::env::var("OUT_DIR")?;
    let bytes = protox::prost::Message::encode_to_vec(&descriptors);
    std::fs::write(Path::new(&out).join("descriptors.bin"), bytes)?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
