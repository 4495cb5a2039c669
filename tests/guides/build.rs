//! Generates the client and the server of the guide to tonic, from the definition of the example.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const FOLDER: &str = "../../examples/tonic-greeter/proto";
    println!("cargo::rerun-if-changed={FOLDER}");
    let descriptors = protox::compile(["greeter.proto"], [FOLDER])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
