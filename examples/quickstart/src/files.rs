//! The input file and the output file.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use bytes::Bytes;

pub(crate) struct Files {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    /// `true` if an existing output file may be replaced.
    replace: bool,
}

impl Files {
    /// Chooses the files for the options of the command line.
    ///
    /// An existing `FILE.xz` is replaced only if the user named it as the output.
    pub(crate) fn choose(file: Option<PathBuf>, output: Option<PathBuf>) -> anyhow::Result<Self> {
        let (input, directory) = match file {
            Some(file) => (file, None),
            None => (lock_file(), Some(env::temp_dir())),
        };
        let replace = output.is_some() || directory.is_some();
        let output = match output {
            Some(output) => output,
            None => {
                let mut name = input.file_name().unwrap_or_default().to_owned();
                name.push(".xz");
                directory.unwrap_or_default().join(name)
            }
        };
        let there = output.exists();
        ensure!(
            replace || !there,
            "{} is there already, name another by --output",
            output.display()
        );
        let directory = output.parent().unwrap_or(&output);
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
        Ok(Self {
            input,
            output,
            replace,
        })
    }

    pub(crate) fn read(&self) -> anyhow::Result<Bytes> {
        let contents = fs::read(&self.input);
        let contents = contents.with_context(|| format!("cannot read {}", self.input.display()))?;
        Ok(contents.into())
    }

    pub(crate) fn save(&self, contents: &[u8]) -> anyhow::Result<()> {
        File::options()
            .write(true)
            .create(self.replace)
            .truncate(self.replace)
            .create_new(!self.replace)
            .open(&self.output)
            .and_then(|mut file| file.write_all(contents))
            .with_context(|| format!("cannot write {}", self.output.display()))
    }

    /// Decompresses the output file.
    pub(crate) fn decompress(&self) -> anyhow::Result<Vec<u8>> {
        let mut contents = Vec::new();
        File::open(&self.output)
            .and_then(|file| io::copy(&mut liblzma::read::XzDecoder::new(file), &mut contents))
            .with_context(|| format!("cannot decompress {}", self.output.display()))?;
        Ok(contents)
    }
}

/// Returns the path of this workspace's lock file.
fn lock_file() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = package.ancestors().nth(2).unwrap_or(package);
    workspace.join("Cargo.lock")
}
