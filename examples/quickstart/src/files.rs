//! The input and the output file.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::PathBuf,
};

use anyhow::{Context, ensure};
use bytes::Bytes;

/// The input of a run without a FILE, which is part of the program.
const SPECIFICATION: &[u8] = include_bytes!("../../../docs/protocol.md");

pub(crate) struct Files {
    /// `None` selects the [`SPECIFICATION`].
    input: Option<PathBuf>,
    /// `None` if the result is checked, and not saved.
    output: Option<PathBuf>,
    /// `true` if an existing output file may be replaced.
    replace: bool,
}

impl Files {
    /// Chooses the files for the options of the command line.
    ///
    /// An existing `FILE.xz` is replaced only if the user named it as the output. Without a FILE,
    /// nothing is written that the user has not named.
    pub(crate) fn choose(input: Option<PathBuf>, output: Option<PathBuf>) -> anyhow::Result<Self> {
        let replace = output.is_some();
        let beside = |input: &PathBuf| {
            let mut name = input.file_name().unwrap_or_default().to_owned();
            name.push(".xz");
            PathBuf::from(name)
        };
        let output = output.or_else(|| input.as_ref().map(beside));
        if let Some(output) = &output {
            ensure!(
                replace || !output.exists(),
                "{} is there already, name another by --output",
                output.display()
            );
            let directory = output.parent().unwrap_or(output);
            ensure!(
                directory.as_os_str().is_empty() || directory.is_dir(),
                "cannot write {}: its directory does not exist",
                output.display()
            );
            ensure!(
                !output.is_dir(),
                "cannot write {}: it is a directory",
                output.display()
            );
        }
        Ok(Self {
            input,
            output,
            replace,
        })
    }

    /// Returns the input, with a name for it.
    pub(crate) fn read(&self) -> anyhow::Result<(String, Bytes)> {
        let Some(input) = &self.input else {
            let name = "docs/protocol.md".to_owned();
            return Ok((name, Bytes::from_static(SPECIFICATION)));
        };
        let contents = fs::read(input);
        let contents = contents.with_context(|| format!("cannot read {}", input.display()))?;
        Ok((input.display().to_string(), contents.into()))
    }

    /// Saves the result, if it has a file, and decompresses what was saved.
    pub(crate) fn save(&self, compressed: &[u8]) -> anyhow::Result<Vec<u8>> {
        let Some(output) = &self.output else {
            println!("compressed: {} bytes", compressed.len());
            return decompress(compressed).context("cannot decompress the result");
        };
        File::options()
            .write(true)
            .create(self.replace)
            .truncate(self.replace)
            .create_new(!self.replace)
            .open(output)
            .and_then(|mut file| file.write_all(compressed))
            .with_context(|| format!("cannot write {}", output.display()))?;
        println!("saved as {}: {} bytes", output.display(), compressed.len());
        File::open(output)
            .and_then(decompress)
            .with_context(|| format!("cannot decompress {}", output.display()))
    }
}

fn decompress(compressed: impl Read) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    liblzma::read::XzDecoder::new(compressed).read_to_end(&mut contents)?;
    Ok(contents)
}
